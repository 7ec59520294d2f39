"""What the state knows, read while a scanner may write it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from scanner.core.memory import RootRecord
from scanner.core.serialize import printable
from scanner.core.snapshot import Snapshot
from scanner.diff.growth import growing
from scanner.disk.links import leads_to
from scanner.disk.mounts import Mount
from scanner.errors import DamagedStateError, InventoryError
from scanner.store.state import State


class Scanned(NamedTuple):
    """What the state knows, all of one moment."""

    snapshot: Snapshot
    roots: tuple[RootRecord, ...]
    """Roots, and the mounts below them."""
    unsettled: frozenset[str]
    """Files that have grown since they were last reported."""


_READS = 3
"""Times that the state is read before a scanner that keeps beginning and ending is given up on."""


def load(path: str, mounts: Iterable[Mount] = ()) -> Scanned:
    """Read the state at `path`, also while a scanner holds it; nothing is written.

    Where a root is a link itself, no listing says where to: that is found out by the mount table
    `mounts`, and only as far as local disks lead. Raises InventoryError.
    """
    if not os.path.isfile(path):
        raise InventoryError(f"No scan has written {printable(path)} yet.")
    for _ in range(_READS):
        before = _marks(path)
        try:
            scanned = _read(path, list(mounts))
        except DamagedStateError:
            if before != _marks(path):
                continue
            raise
        # A log says what is whole. Without one the file was read as one that nobody writes, and
        # that must have stayed true.
        if before.has_log or before == _marks(path):
            return scanned
    raise InventoryError(f"The state {printable(path)} changes too often to be read: try again.")


class _Marks(NamedTuple):
    has_log: bool
    size: int
    mtime: int


def _marks(path: str) -> _Marks:
    try:
        found = os.stat(path)
    except OSError:
        return _Marks(False, -1, -1)
    return _Marks(os.path.exists(path + "-wal"), found.st_size, found.st_mtime_ns)


def _read(path: str, mounts: Sequence[Mount]) -> Scanned:
    state = State(path, readonly=True)
    try:
        snapshot, memory = state.load_snapshot(), state.load_memory()
    finally:
        state.close()
    if not any(record.walked for record in memory.roots.values()):
        raise InventoryError(f"No scan has ended yet that was to be kept in {printable(path)}.")
    roots = [
        record
        if record.is_inner or not mounts
        else replace(record, target=_target(record.path, mounts))
        for record in memory.roots.values()
    ]
    return Scanned(snapshot, tuple(roots), frozenset(growing(memory.unsettled, snapshot)))


def _target(path: str, mounts: Sequence[Mount]) -> str:
    target = leads_to(path, mounts)
    return "" if target == path else target
