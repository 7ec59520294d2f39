"""Known folders that a walk compares with the disk at once, where this process asks it.

Nearly all folders of nearly all walks are unchanged. A request and an answer for each would cost
more than the stat between them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from scanner.core.snapshot import Directory, Snapshot
from scanner.disk.filesystem import FileSystem
from scanner.disk.known_entries import can_ask_by_name


class Plan(NamedTuple):
    """The known folders of a zone that a walk need not list while their times stay."""

    at_rest: AbstractSet[str] = frozenset()
    """Their own times are enough."""
    by_name: AbstractSet[str] = frozenset()
    """Their entries are looked at as well, and may be asked for by name."""


class KnownFolders:
    """The folders of one walk that wait to be compared, last in, first out."""

    def __init__(
        self,
        files: FileSystem | None,
        snapshot: Snapshot,
        plan: Plan,
        others: Sequence[Container[str]],
    ) -> None:
        """`files` is None where another process asks the disk: then none is compared here.

        `others` have folders of which other mounts or links have more to say.
        """
        self._files = files
        self._snapshot = snapshot
        self._plan = plan if files is not None else Plan()
        self._others = others
        self._waiting: list[str] = []

    def put(self, path: str) -> bool:
        """Have `path` compared later. False if it must be asked for by a request."""
        known = self._snapshot.get(path)
        # Without an inode number its device is not known either. Entries that could not be read may
        # be readable now, and no time says so.
        if known is None or not known.inode or known.listing.unstatted:
            return False
        for others in self._others:
            if path in others:
                return False
        is_wanted = path in self._plan.at_rest
        if not is_wanted and path in self._plan.by_name:
            is_wanted = can_ask_by_name(known)
        if is_wanted:
            self._waiting.append(path)
        return is_wanted

    def pop(self) -> str | None:
        """The next one; None if none waits."""
        return self._waiting.pop() if self._waiting else None

    def is_by_name(self, path: str) -> bool:
        """True if the entries of `path` are looked at, and not only its times."""
        return path not in self._plan.at_rest

    def compare(self, path: str) -> Directory | None:
        """The folder as it is known; None if it may be another one now, or did not answer."""
        assert self._files is not None
        known = self._snapshot[path]
        is_same = self._files.has_entries if self.is_by_name(path) else self._files.has_times
        try:
            return known if is_same(path, known) else None
        except OSError:
            return None
