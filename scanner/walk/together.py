"""Known folders that are stat-ed together, so that a NAS is asked once for each and not again for
the folders on the way to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from scanner.core.paths import join
from scanner.core.snapshot import DIRECTORY, Directory
from scanner.walk.looks import file_points
from scanner.walk.members import NOTHING
from scanner.workers.requests import Failed, StatBelow, Stated, StatedBelow

LEAST, MOST = 8, 128
"""Folders in one request. The folders above the first one are looked up for each request: with 8
folders, two levels down, that is 1.25 questions a folder, with 128 it is 1.02. One thread answers
a request, so the folders of a small tree are spread over several."""

ROUNDS = 4
"""Requests for each thread of a worker in one walk, so that all end at about the same time."""


def size_of_requests(folders: int, workers: int) -> int:
    """The number of folders in one request, where a walk stats `folders`."""
    return max(LEAST, min(MOST, folders // (ROUNDS * workers)))


def is_stat_enough(
    spared: AbstractSet[str],
    snapshot: Mapping[str, Directory],
    linked: AbstractSet[str],
    holds_lost_links: AbstractSet[str],
    mount_points: Mapping[str, frozenset[str]],
    path: str,
) -> bool:
    """True if the folder `path` is one of `spared`, and nothing but its times can say that it has
    changed. `linked` are the folders that links lead to; `mount_points` are names by folder."""
    known = snapshot.get(path) if path in spared else None
    # Entries that could not be read may be readable now, and no time says so.
    return (
        known is not None
        and not known.listing.unstatted
        and path not in linked
        and path not in holds_lost_links
        and not file_points(mount_points.get(path, NOTHING), known.listing)
    )


class Together:
    """The folders of one walk that are asked for together, and the answers that came too early: of
    folders whose parent has not been compared yet."""

    def __init__(
        self,
        snapshot: Mapping[str, Directory],
        inner: AbstractSet[str],
        is_spared: Callable[[str], bool],
        size: int,
    ) -> None:
        """`inner` are paths at which other mounts begin. `is_spared` is true for a known folder
        that is only stat-ed. `size` is that of a request, 0 where each folder is asked for by
        itself."""
        self._snapshot = snapshot
        self._inner = inner
        self._is_spared = is_spared
        self._size = size
        self._early: dict[str, Stated | Failed] = {}
        self._due: list[Stated | Failed] = []

    @property
    def is_used(self) -> bool:
        """True if folders are asked for together."""
        return self._size > 1

    def requests(self, folder: str, children: Sequence[str]) -> Iterator[StatBelow]:
        """The requests for `children`, which stand in `folder`, and for what lies below them. The
        answers that are here already are taken."""
        start = len(join(folder, ""))
        names: list[str] = []
        for child in [child for child in children if not self.take(child)]:
            for path in self._tree(child):
                names.append(path[start:])
                if len(names) >= self._size:
                    break  # the rest of the tree is asked for by its parent
            if len(names) >= self._size:
                yield StatBelow(folder, tuple(names))
                names = []
        if names:
            yield StatBelow(folder, tuple(names))

    def _tree(self, top: str) -> Iterator[str]:
        """`top` and the spared folders below it, each before what it holds."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            yield path
            listing = self._snapshot[path].listing
            if listing.has_containers:
                below = (
                    join(path, name)
                    for name, letter in listing.named_containers()
                    if letter == DIRECTORY
                )
                waiting.extend(
                    child for child in below if child not in self._inner and self._is_spared(child)
                )

    def answers(self, answer: StatedBelow) -> Iterator[Stated | Failed]:
        """The answers to a request, one by one. Whoever takes one calls `take` for each folder that
        it holds; what was not taken is dropped, since its parent has changed."""
        for stated in answer.stated:
            if os.path.dirname(stated.path) == answer.path:
                self._due.append(stated)
            else:
                self._early[stated.path] = stated
        while self._due:
            yield self._due.pop()
        self._early.clear()

    def take(self, path: str) -> bool:
        """Have the answer about `path` come next; false if there is none."""
        answer = self._early.pop(path, None)
        if answer is None:
            return False
        self._due.append(answer)
        return True
