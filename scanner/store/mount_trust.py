"""Trust in directory mtimes by mount, kept over restarts in one value of the state (rule 5)."""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import os
import sqlite3
import threading
from contextlib import closing

from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, Trust
from scanner.errors import DamagedStateError, OutputError
from scanner.store.database import connect


class MountTrust:
    """The trust in each mount, by `Mount.identity`.

    `_lock` guards the table: one lane adds a mount while the commit of another one saves all.
    """

    def __init__(self, trusts: dict[str, Trust]) -> None:
        self._trusts = trusts
        self._lock = threading.Lock()

    def of(self, mount: Mount) -> Trust:
        """The trust in `mount`, which its lane may change; saved by the next commit."""
        with self._lock:
            return self._trusts.setdefault(mount.identity, Trust())

    def as_text(self) -> str:
        """Everything that was learned, as `trusts_from` reads it."""
        with self._lock:
            trusts = list(self._trusts.items())
        return json.dumps(
            {
                identity: (min(trust.proofs, PROOFS_WANTED), trust.is_lost)
                for identity, trust in trusts
                if trust.proofs or trust.is_lost
            },
            separators=(",", ":"),
        )


def trusts_from(text: str | None) -> dict[str, Trust]:
    """Inverse of `MountTrust.as_text`. Raises ValueError, TypeError or AttributeError if `text` is
    damaged."""
    trusts = json.loads(text or "{}")
    for proofs, lost in trusts.values():
        if not (isinstance(proofs, int) and isinstance(lost, int)):
            raise ValueError("not a trust")
    return {identity: Trust(proofs, lost) for identity, (proofs, lost) in trusts.items()}


def read_trust(state: str) -> dict[str, Trust]:
    """The trust in each mount by `Mount.identity`, from the database at `state`; empty if there is
    no such database. Only reads."""
    if not os.path.isfile(state):
        return {}
    try:
        with closing(connect(state, readonly=True)) as database:
            row = database.execute("SELECT value FROM meta WHERE key = 'trust'").fetchone()
        return trusts_from(None if row is None else row[0])
    except (DamagedStateError, OutputError, sqlite3.Error, ValueError, TypeError, AttributeError):
        return {}
