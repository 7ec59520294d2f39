"""Trust in directory mtimes by mount, kept over restarts in one value of the state (rule 5)."""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import os
import sqlite3
import threading
from contextlib import closing

from scanner.core.mount_identity import MountIdentity, identity_from
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, Trust
from scanner.errors import DamagedStateError, OutputError
from scanner.store.database import connect


class MountTrust:
    """The trust in each mount, by `Mount.identity`.

    `_lock` guards the table: one lane adds a mount while the commit of another one saves all.
    """

    def __init__(self, trusts: dict[MountIdentity, Trust]) -> None:
        self._trusts = trusts
        self._lock = threading.Lock()

    def of(self, mount: Mount) -> Trust:
        """The trust in `mount`, which its lane may change; saved by the next commit."""
        identity = mount.identity
        with self._lock:
            if identity not in self._trusts:
                same = next(filter(identity.is_same, self._trusts), identity)
                self._trusts[identity] = self._trusts.pop(same, Trust())
            return self._trusts[identity]

    def as_text(self) -> str:
        """Everything that was learned, as `trusts_from` reads it."""
        with self._lock:
            trusts = list(self._trusts.items())
        return json.dumps(
            {
                identity.as_text(): (min(trust.proofs, PROOFS_WANTED), trust.failures)
                for identity, trust in trusts
                if trust.proofs or trust.failures
            },
            separators=(",", ":"),
        )


def trusts_from(text: str | None) -> dict[MountIdentity, Trust]:
    """Inverse of `MountTrust.as_text`. Raises ValueError, TypeError or AttributeError if `text` is
    damaged. Older versions wrote true for one counter-example."""
    trusts = json.loads(text or "{}")
    for proofs, failures in trusts.values():
        if not (isinstance(proofs, int) and isinstance(failures, int)):
            raise ValueError("not a trust")
    return {
        identity: Trust(int(proofs), int(failures))
        for text, (proofs, failures) in trusts.items()
        if (identity := identity_from(text)) is not None
    }


def read_trust(state: str) -> dict[MountIdentity, Trust]:
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
