"""Opening the state: all that is read from it once, and what becomes of a damaged one."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from scanner.core.memory import Memory
from scanner.core.serialize import printable
from scanner.core.snapshot import Snapshot
from scanner.errors import DamagedStateError
from scanner.output.file_names import Outputs
from scanner.output.journal import Journal
from scanner.store.database import VALUE_ERRORS, damaged
from scanner.store.metadata import MetadataTable
from scanner.store.mount_trust import MountTrust, trusts_from
from scanner.store.recovery import rebuild, set_aside
from scanner.store.state import State

log = logging.getLogger(__name__)

_RETRY_AFTER = 0.2
"""Seconds after which a state that seems damaged is read again."""


class Loaded(NamedTuple):
    """An open state and everything that is read from it once."""

    state: State
    metadata: MetadataTable
    snapshot: Snapshot
    memory: Memory
    scan: int
    visible_scan: int
    shown_metadata: int
    trust: MountTrust
    inventory_seconds: float
    inventory_mark: str
    """The inventory as it was last written: see `published.mark_of`."""
    inventory_words: Mapping[str, int] | None
    """Number of its entries by status and mark; None if unknown."""

    def close(self) -> None:
        """Close the database."""
        self.metadata.close()
        self.state.close()


def load_or_set_aside(path: str) -> Loaded:
    """Open the database at `path`. A damaged one is put aside; then it is a new one, with the
    metadata that can be read in the old. Raises OutputError."""
    try:
        return _load(path)
    except DamagedStateError:
        # One read that fails says little: the disk may answer the next one.
        time.sleep(_RETRY_AFTER)
    try:
        return _load(path)
    except DamagedStateError as error:
        aside = set_aside(path, error)
    loaded = _load(path)
    try:
        loaded.state.salvage_known(aside)
        loaded.metadata.refresh()
    except BaseException:
        loaded.close()
        raise
    return loaded


def load_again(
    path: str,
    snapshot: Snapshot,
    memory: Memory,
    values: Mapping[str, object],
    undelivered: tuple[int, Sequence[bytes]],
) -> Loaded:
    """Open the database at `path`, whatever became of it, and bring it up to the last commit.

    `values` are single values of the state, `undelivered` the lines of the last scan. The journal
    leaves out what it has already. Raises OutputError.
    """
    log.warning(
        "The state %s was changed by something else, or is damaged: it is opened anew.",
        printable(path),
    )
    loaded = load_or_set_aside(path)
    state = loaded.state
    try:
        waiting = {number for number, _ in state.outbox()}
        with state.transaction():
            state.remove_directories(loaded.snapshot.keys() - snapshot.keys())
            state.save_directories(
                {
                    path: directory
                    for path, directory in snapshot.items()
                    if loaded.snapshot.get(path) != directory
                }
            )
            state.save_memory(loaded.memory, memory)
            if undelivered[0] not in waiting:
                state.put_outbox(*undelivered)
            for key, value in values.items():
                state.put(key, value)
    except BaseException:
        loaded.close()
        raise
    return loaded


def _load(path: str) -> Loaded:
    """Open the database at `path`. Raises OutputError, and DamagedStateError with nothing open."""
    state = State(path)
    try:
        snapshot = state.load_snapshot()
        try:
            trusts = trusts_from(state.get("trust"))
            words = words_from(state.get("inventory_words"))
            inventory_seconds = float(state.get("inventory_seconds") or 0.0)
            if not 0 <= inventory_seconds < math.inf:
                raise ValueError("a time that no write takes")
        except VALUE_ERRORS as error:
            raise damaged(path, error) from None
        # Damage is met here, where the state is rebuilt.
        state.outbox()
        state.requests()
        memory = state.load_memory()
        metadata = MetadataTable(path)
        try:
            # Files that went a moment ago may turn up elsewhere.
            awaited = {os.path.dirname(file) for file in memory.gone}
            metadata.forget_folders(metadata.versions.keys() - snapshot.keys() - awaited)
            return Loaded(
                state,
                metadata,
                snapshot,
                memory,
                state.number("scan"),
                state.number("visible_scan"),
                state.number("shown_knowledge"),
                MountTrust(trusts),
                inventory_seconds,
                state.get("inventory_file") or "",
                words,
            )
        except BaseException:
            metadata.close()
            raise
    except BaseException:
        state.close()
        raise


def words_text(words: Mapping[str, int]) -> str:
    """The counts of statuses and marks as they stand in the state."""
    return orjson.dumps(dict(words)).decode()


def words_from(text: str | None) -> Mapping[str, int] | None:
    """What `words_text` wrote. Raises ValueError."""
    if text is None:
        return None
    words = orjson.loads(text)
    if not isinstance(words, dict) or any(type(count) is not int for count in words.values()):
        raise ValueError("counts that were never written")
    return words


def rebuilt(loaded: Loaded, outputs: Outputs, journal: Journal) -> Loaded:
    """`loaded`, which is empty, with what the inventory and the journal hold of it."""
    found = rebuild(outputs)
    if found is None:
        return loaded
    scan = max(found.scan, journal.last_scan())
    with loaded.state.transaction():
        loaded.state.save_directories(found.snapshot)
        loaded.state.save_memory(Memory(), found.memory)
        loaded.state.put("scan", scan)
    return loaded._replace(snapshot=found.snapshot, memory=found.memory, scan=scan)
