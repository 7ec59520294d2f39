"""The state, read while a scanner may write it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from scanner.core.memory import RootRecord
from scanner.core.serialize import printable
from scanner.core.snapshot import Snapshot
from scanner.diff.growth import growing
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.errors import DamagedStateError, InventoryError
from scanner.store.state import State


class Scanned(NamedTuple):
    """The snapshot and roots of the state, all of one moment."""

    snapshot: Snapshot
    roots: tuple[RootRecord, ...]
    """Roots, and the mounts below them."""
    unsettled: frozenset[str]
    """Files that have grown since they were last reported."""


_READS = 3
"""Attempts to read the state while scanners start and end."""


def load(path: str, mounts: Iterable[Mount] = ()) -> Scanned:
    """Read the state at `path`, also while a scanner holds it; nothing is written.

    If a root is a link itself, no listing has its target. It is read from the disk, as far as local
    disks of the mount table `mounts` lead. Raises InventoryError.
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
        status = os.stat(path)
    except OSError:
        return _Marks(False, -1, -1)
    return _Marks(os.path.exists(path + "-wal"), status.st_size, status.st_mtime_ns)


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
    target = locate(path, mounts).path
    return "" if target == path else target
