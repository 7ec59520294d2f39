"""The parts that readers of headers and hashes share: their source, and saving the results.

Scans do not need these results to find changes. So reading always comes after a scan, and stops
when the next scan of the mount is due. Each file is read through the worker of its mount: a mount
that hangs stops no other. Results are saved a few files at a time, so a crash repeats little.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import Protocol

from scanner.core.memory import Memory
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import Row, Snapshot
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount, mount_of
from scanner.errors import OutputError
from scanner.store.metadata import FileMetadata, MetadataTable, MetadataUpdate
from scanner.walk.granularity import settle_of
from scanner.walk.zones import Zones
from scanner.workers.pool import Workers

MODEL_KINDS = frozenset(("models", "downloads", "extra"))
"""Kinds of roots that hold models."""

NAP = 0.05
"""Seconds between looks at whether to stop."""

LOCK_PATIENCE = 60.0
"""Seconds for which the state may be held by another process: a first scan commits it whole."""

BATCH_FILES = 256

BATCH_BYTES = 64 << 20

SAVE_EVERY = 1.0
"""Files, bytes hashed, and seconds after which what was read is saved: the most that a crash has to
read again, but for a single larger file."""


class Listed(Protocol):
    """The results of scans: a `Store`, or a copy of its saved state."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def memory(self) -> Memory: ...

    @property
    def metadata(self) -> MetadataTable: ...


class Source(Protocol):
    """The object that a reader reads from: a `Scanner`, or one made from the saved state.

    Scans change the snapshot and replace the memory while a reader runs, so readers ask for them
    each time.
    """

    @property
    def files(self) -> FileSystem: ...

    @property
    def workers(self) -> Workers: ...

    @property
    def store(self) -> Listed: ...

    def zones(self) -> Zones: ...


def settle_times(source: Source, zones: Zones, own: Collection[Root] | None) -> dict[str, float]:
    """Seconds for which a folder has to stand unchanged before its files are read, by id of zone.

    It has the zones of `own`, or all, that answered the last scan. Rule 4 (changed means not equal)
    asks for the wait.
    """
    mounts, memory, snapshot = source.files.mounts(), source.store.memory, source.store.snapshot
    return {
        zone.id: settle_of(zones.mount_of(zone, mounts), zone, zones, snapshot)
        for zone in zones.all
        if (own is None or zone in own) and memory.could_read(zone.id)
    }


def mount_to_read(source: Source, path: str, silent: Collection[Mount]) -> Mount | None:
    """The mount that `path` lives on; None if it is one of `silent` or did not answer a scan."""
    zones, mounts = source.zones(), source.files.mounts()
    owner = owner_of(path, zones.all)
    # A file that is a mount point is read with the zone of the folder that holds it.
    holder = owner_of(os.path.dirname(path), zones.all)
    if holder is not None and not source.store.memory.could_read(holder.id):
        return None
    mount = zones.mount_of(owner, mounts) if owner else mount_of(path, mounts)
    return None if mount in silent else mount


def metadata_in(metadata: MetadataTable, folder: str) -> dict[str, FileMetadata]:
    """Metadata of the files in `folder`, by name, of whatever size and mtime."""
    return metadata.of_folder(folder) if folder in metadata.versions else {}


def is_growing(memory: Memory, path: str, row: Row) -> bool:
    """True if the file has changed since `row`, and that is not reported yet."""
    seen = memory.unsettled.get(path)
    return seen is not None and (seen.size, seen.mtime) != (row.size, row.mtime)


class MetadataBatch:
    """Metadata that was read and is not saved yet. Only the thread of its reader uses it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._updates: list[MetadataUpdate] = []
        self._bytes = 0
        self._saved = -math.inf
        """When it was last saved or tried, monotonic."""
        self._unsaved_since = math.inf

    def add(self, update: MetadataUpdate, read: int) -> None:
        """Keep one more update, for which `read` bytes were read. Save all if many wait or the last
        time is long ago. Raises OutputError as `save` does."""
        self._updates.append(update)
        self._bytes += read
        is_late = self._source.files.monotonic() - self._saved >= SAVE_EVERY
        if is_late or len(self._updates) >= BATCH_FILES or self._bytes >= BATCH_BYTES:
            self.save()

    def holds_any(self, paths: Collection[str]) -> bool:
        """True if metadata of one of `paths` is not saved yet."""
        return not {update.path for update in self._updates}.isdisjoint(paths)

    def save(self, *, is_last: bool = False) -> None:
        """Save all.

        Raises OutputError if that fails and `is_last`, or has failed for `LOCK_PATIENCE` seconds:
        another process may hold the state for longer than a moment.
        """
        files = self._source.files
        now = self._saved = files.monotonic()
        if not self._updates:
            return
        try:
            self._source.store.metadata.save(self._updates, files.now())
        except OutputError:
            self._unsaved_since = min(self._unsaved_since, now)
            if is_last or now - self._unsaved_since > LOCK_PATIENCE:
                raise
        else:
            self._updates, self._bytes = [], 0
            self._unsaved_since = math.inf
