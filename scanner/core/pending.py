"""Folders that a reader has yet to look at, and when it may."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import Directory


class PendingFolder(NamedTuple):
    """A folder that may be read now."""

    path: str
    changed: float
    """When its listing was last seen to change, by the monotonic clock."""
    directory: Directory
    zone: Root
    """The zone that owns it."""


class PendingFolders:
    """Folders that may hold files to read, each with the time of its last change.

    Scans add and remove folders while readers of other lanes go through them: `_lock` guards the
    table, and no caller runs under it. Times come from the callers, so nothing here asks a clock
    or a disk.
    """

    def __init__(self, folders: Iterable[str] = ()) -> None:
        """`folders` may be read at once: nothing is known of a recent change."""
        self._lock = threading.Lock()
        self._changed = dict.fromkeys(folders, -math.inf)

    def __len__(self) -> int:
        """The number of folders that wait."""
        with self._lock:
            return len(self._changed)

    def changed(self, folders: Iterable[str], now: float) -> None:
        """Add folders whose listing was seen to change at `now` (monotonic seconds)."""
        new = dict.fromkeys(folders, now)
        with self._lock:
            self._changed.update(new)

    def gone(self, folders: Iterable[str]) -> None:
        """Remove folders that are no longer listed."""
        with self._lock:
            for folder in folders:
                self._changed.pop(folder, None)

    def done(self, folder: str, changed: float) -> None:
        """Remove a folder in which nothing is left to read, as it was since `changed`.

        A folder that has changed again meanwhile stays.
        """
        with self._lock:
            if self._changed.get(folder) == changed:
                del self._changed[folder]

    def since(self, folder: str) -> float:
        """When the listing of a folder that waits was last seen to change, monotonic."""
        with self._lock:
            return self._changed.get(folder, -math.inf)

    def waiting(
        self,
        snapshot: Mapping[str, Directory],
        zones: Sequence[Root],
        settles: Mapping[str, float],
        now: float,
    ) -> Iterator[PendingFolder]:
        """Folders that may be read at `now`; those that are no longer listed are removed.

        `settles` has the zones to read, by id, with the seconds for which a folder there has to
        stand unchanged. A write in the same tick as the listed mtime would not be noticed later
        (rule 4, changed means not equal). Infinity as `now` gives every folder of these zones.
        """
        for folder, changed in self._items():
            directory, zone = snapshot.get(folder), owner_of(folder, zones)
            if directory is None or zone is None:
                self.done(folder, changed)
            elif zone.id in settles and now - changed >= settles[zone.id]:
                yield PendingFolder(folder, changed, directory, zone)

    def seconds_to_settle(
        self, zones: Sequence[Root], settles: Mapping[str, float], now: float
    ) -> float:
        """Seconds until the first folder of these zones that is too fresh now may be read; 0 if
        there is none."""
        seconds = (
            changed + settles[zone.id] - now
            for folder, changed in self._items()
            if (zone := owner_of(folder, zones)) is not None and zone.id in settles
        )
        return min((left for left in seconds if left > 0), default=0.0)

    def _items(self) -> list[tuple[str, float]]:
        with self._lock:
            return list(self._changed.items())
