"""Files that a reader could not read, and when it tries them again."""

from __future__ import annotations

import math

from scanner.disk.mounts import Mount


class Attempts:
    """Files and mounts that one reader asked for in vain. Only the thread of its reader uses it.

    A file that could not be read is given up until its size or mtime changes, or `retry_after`
    seconds have passed. A file whose mount did not answer waits for the next `begin`.
    """

    def __init__(self, retry_after: float = math.inf) -> None:
        self.unreadable: list[str] = []
        """Files that could not be read, or changed while they were, since `begin`."""
        self.silent: set[Mount] = set()
        """Mounts that did not answer since `begin`."""
        self._retry_after = retry_after
        self._failed: dict[str, tuple[int, int, float]] = {}
        """Size, mtime, and the monotonic time from which on it is tried again, by path."""
        self._unanswered: set[str] = set()

    def begin(self) -> None:
        """Start a run. Mounts that did not answer in the last one are asked again."""
        self.unreadable.clear()
        self.silent.clear()
        self._unanswered.clear()

    def failed(self, path: str, size: int, mtime: int, now: float) -> None:
        """Give up a file of this size and mtime that could not be read at `now`."""
        self._failed[path] = (size, mtime, now + self._retry_after)
        self.unreadable.append(path)

    def unanswered(self, path: str) -> None:
        """Leave out a file whose mount did not answer."""
        self._unanswered.add(path)
        self.unreadable.append(path)

    def is_given_up(self, path: str, size: int, mtime: int, now: float) -> bool:
        """True if the file failed as it is now and is not to be tried again yet."""
        failed = self._failed.get(path)
        return failed is not None and failed[:2] == (size, mtime) and now < failed[2]

    def is_unanswered(self, path: str) -> bool:
        """True if the mount of the file did not answer since `begin`."""
        return path in self._unanswered
