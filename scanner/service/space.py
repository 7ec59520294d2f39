"""The space on the mounts of a lane, asked by the worker of each mount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scanner.core.roots import Root
from scanner.disk.filesystem import Space
from scanner.disk.mounts import Mount
from scanner.scan import Scanner
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import AskSpace, SpaceFound

AGAIN_AFTER = 60.0
"""Seconds after which the space of a lane is asked again."""

PATIENCE = 5.0
"""Seconds to wait for the answer of one mount."""


class MountSpace(NamedTuple):
    """The space of one mount when it was last asked, and the roots on it."""

    mount: Mount
    roots: tuple[str, ...]
    space: Space
    asked: int
    """Nanoseconds since 1970."""


class SpaceReader:
    """Keeps the space of the mounts of one lane. What does not answer keeps its last answer."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._next = float("-inf")
        self.found: tuple[MountSpace, ...] = ()

    def look(self, roots: Sequence[Root]) -> None:
        """Ask the mounts of `roots` that the last scan could read, unless that was done just
        now."""
        files = self._scanner.files
        if files.monotonic() < self._next:
            return
        self._next = files.monotonic() + AGAIN_AFTER
        zones, mounts = self._scanner.zones(), files.mounts()
        on: dict[str, list[Root]] = {}
        places: dict[str, tuple[Mount, str]] = {}
        for root in roots:
            place = zones.location(root, mounts)
            on.setdefault(place.mount.point, []).append(root)
            if self._scanner.store.memory.could_read(root.id):
                places.setdefault(place.mount.point, (place.mount, place.path))
        last = {space.mount.point: space for space in self.found}
        for point, (mount, path) in places.items():
            space = self._ask(mount, path)
            if space is not None:
                ids = tuple(root.id for root in on[point])
                last[point] = MountSpace(mount, ids, space, files.now())
        known = {root.id for root in roots}
        self.found = tuple(space for space in last.values() if known.intersection(space.roots))

    def _ask(self, mount: Mount, path: str) -> Space | None:
        try:
            worker = self._scanner.workers.of(mount, PATIENCE)
            worker.ask(AskSpace(path))
            answer = worker.answer()
            worker.answer()
        except LostWorkerError:
            return None
        # A file system that cannot tell answers with zeros.
        if isinstance(answer, SpaceFound) and answer.space.total:
            return answer.space
        return None
