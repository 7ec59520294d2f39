"""The folders that one walk reaches through links: at most so many paths to each (rule 11).

Two links to the same folder on each of thirty-six levels are 2^36 paths. A walk takes answers as
they come, so it cannot say which paths to a folder are the first ones. It only sees that a folder
is *crowded*. Then the zone is walked anew *in order*: first what no link leads to, then the linked
folders sorted by path. The choice is then the same in every scan, whatever answers first.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from heapq import heappop, heappush

from scanner.core.snapshot import Directory
from scanner.disk.filesystem import Stat
from scanner.workers.requests import Answer, Failed

LookAt = Callable[[str, str], Stat | Failed | None]
"""Stats the first path, which lives on the mount of the second. None if that mount does not
answer."""


class LinkedFolders:
    """The folders that a walk has met below links, and how many paths lead to each."""

    def __init__(self, most: int, *, in_order: bool) -> None:
        """`most`: how many paths to one folder are entered."""
        self.paths: set[str] = set()
        """Links to folders, and the folders below them."""
        self.in_order = in_order
        self.is_crowded = False
        """True if `most` paths to one folder were met: only a walk in order can choose."""
        self._most = most
        self._counts: Counter[Hashable] = Counter()
        self._counted: set[str] = set()
        self._surplus: dict[Hashable, dict[str, None]] = {}
        """Paths that are not entered, by folder, in the order in which they were met."""
        self._has_begun = False
        self._waiting: list[tuple[list[str], str]] = []
        """A heap of the folders that are not decided yet, by path."""
        self._undecided: set[str] = set()
        self._answers: dict[str, Answer] = {}

    def wait(self, path: str) -> bool:
        """Put a folder in the order. True if it can be asked for now."""
        heappush(self._waiting, (path.split(os.sep), path))
        self._undecided.add(path)
        return self._has_begun

    def begin(self) -> list[str]:
        """The folders that have waited for the end of the walk of what no link leads to."""
        if self._has_begun:
            return []
        self._has_begun = True
        return [path for _, path in self._waiting]

    def due(self, answer: Answer) -> Iterator[Answer]:
        """The answers that can be taken now that `answer` has come. In order, all that lies below
        one folder is decided before the next one."""
        if answer.path not in self._undecided:
            yield answer
            return
        self._answers[answer.path] = answer
        while self._waiting and self._waiting[0][1] in self._answers:
            path = heappop(self._waiting)[1]
            self._undecided.remove(path)
            yield self._answers.pop(path)

    def is_surplus(self, path: str, folder: Hashable) -> bool:
        """Count the path to `folder`. True if enough paths to it are entered already."""
        if path not in self._counted:
            self._counted.add(path)
            if self._counts[folder] < self._most:
                self._counts[folder] += 1
            elif path in self.paths:
                self._surplus.setdefault(folder, {})[path] = None
            self.is_crowded |= self._counts[folder] >= self._most
        return path in self._surplus.get(folder, ())

    def told(self) -> dict[str, str]:
        """What is not entered: the first surplus path to each folder, with a sentence."""
        return {
            next(iter(paths)): surplus_text(len(paths), self._most)
            for paths in self._surplus.values()
        }


def surplus_text(count: int, most: int) -> str:
    """The sentence on `count` paths to one folder that are not entered."""
    lead = "1 more path leads" if count == 1 else f"{count} more paths lead"
    return f"{lead} to a folder that is entered by {most} paths already (max_paths)"


class Identities:
    """What tells whether two paths lead to the same folder: device and inode, or real path."""

    def __init__(
        self, known: Mapping[str, Directory], linked: Collection[str], look_at: LookAt
    ) -> None:
        """`known`: the folders of the walk and of the snapshot, by path; `linked`: those of them
        that links lead to."""
        self._known = known
        self._linked = linked
        self._look_at = look_at
        self._identities: dict[str, tuple[int, int] | None] = {}

    def of(self, path: str, listed: Directory) -> Hashable:
        """The identity of the folder `listed` at `path`."""
        return (listed.device, listed.inode) if listed.inode else self._words(path)

    def is_own_ancestor(self, path: str, listed: Directory) -> bool:
        """True if links lead to `listed` at `path`, and it is one of the directories that it was
        reached through (rule 11)."""
        if not listed.inode or path not in self._linked:
            return False
        identity = (listed.device, listed.inode)
        above = os.path.dirname(path)
        while True:
            if self._identity(above) == identity:
                return True
            parent = os.path.dirname(above)
            if parent == above:
                return False
            above = parent

    def _identity(self, path: str) -> tuple[int, int] | None:
        if path not in self._identities:
            known = self._known.get(path)
            if known and known.inode:
                self._identities[path] = (known.device, known.inode)
            else:
                stat = self._look_at(path, path)
                self._identities[path] = (
                    (stat.device, stat.inode) if isinstance(stat, Stat) else None
                )
        return self._identities[path]

    def _words(self, path: str) -> str:
        """The real path by the words of the links in `path`: all there is without inodes."""
        words: list[str] = []
        while path in self._linked:
            path, name = os.path.split(path)
            words.append(self._text(path, name))
        for text in reversed(words):
            path = os.path.normpath(os.path.join(path, text))
        return path

    def _text(self, folder: str, name: str) -> str:
        """The text of the link `name` in `folder`; the name itself if it is none."""
        holder = self._known.get(folder)
        targets = holder.listing.targets if holder else ()
        index = bisect_left(targets, (name,))
        return targets[index][1] if index < len(targets) and targets[index][0] == name else name
