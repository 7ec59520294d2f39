"""Files that a reader could not read, and when it tries them again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from scanner.core.snapshot import Snapshot
from scanner.disk.mounts import Mount

RETRY_AFTER = 600.0
"""Seconds after which a file that could not be read is tried again: the fault may have been the
server's, and may be the disk's."""

RETRY_ELSEWHERE = 30.0
"""Seconds after which a file is tried again whose mount is that of no zone of the reader, and did
not answer at once: its worker may just have started."""

LONGEST_RETRY = 86400.0
"""The wait doubles with each attempt up to this many seconds: a file may be unreadable for good."""


class _Failure(NamedTuple):
    size: int
    mtime: int
    again: float
    """Monotonic time from which on it is tried again."""
    wait: float
    """Seconds from the attempt to that time."""


class Attempts:
    """Files and mounts that one reader asked for in vain. Only the thread of its reader uses it.

    A file that could not be read is given up until its size or mtime changes, or `RETRY_AFTER`
    seconds have passed, and longer if it fails again. A file whose mount did not answer waits for
    the next `begin`.
    """

    def __init__(self) -> None:
        self.unreadable: list[str] = []
        """Files that could not be read, or changed while they were, since `begin`."""
        self.silent: set[Mount] = set()
        """Mounts that did not answer since `begin`."""
        self._failed: dict[str, _Failure] = {}
        self._unanswered: set[str] = set()

    def begin(self, snapshot: Snapshot) -> None:
        """Start a run. Mounts that did not answer in the last one are asked again. Files that
        `snapshot` no longer lists are forgotten: names that never come again would fill memory."""
        names = {
            folder: frozenset(directory.listing.split_names())
            for folder in set(map(os.path.dirname, self._failed))
            if (directory := snapshot.get(folder)) is not None
        }
        self._failed = {
            path: failure
            for path, failure in self._failed.items()
            if os.path.basename(path) in names.get(os.path.dirname(path), ())
        }
        self.unreadable.clear()
        self.silent.clear()
        self._unanswered.clear()

    def failed(
        self, path: str, size: int, mtime: int, now: float, wait: float = RETRY_AFTER
    ) -> None:
        """Give up a file of this size and mtime that could not be read at `now`, for `wait` seconds
        at first."""
        last = self._failed.get(path)
        if last is not None and last[:2] == (size, mtime):
            wait = min(2 * last.wait, LONGEST_RETRY)
        self._failed[path] = _Failure(size, mtime, now + wait, wait)
        self.unreadable.append(path)

    def unanswered(self, path: str) -> None:
        """Leave out a file whose mount did not answer."""
        self._unanswered.add(path)
        self.unreadable.append(path)

    def is_given_up(self, path: str, size: int, mtime: int, now: float) -> bool:
        """True if the file failed as it is now and is not to be tried again yet."""
        failed = self._failed.get(path)
        return failed is not None and failed[:2] == (size, mtime) and now < failed.again

    def given_up(self) -> Iterator[tuple[str, int, int]]:
        """Path, size and mtime of every file that failed, as it was then."""
        for path, failure in self._failed.items():
            yield path, failure.size, failure.mtime

    def is_unanswered(self, path: str) -> bool:
        """True if the mount of the file did not answer since `begin`."""
        return path in self._unanswered
