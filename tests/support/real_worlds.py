"""Worlds on the real disk: clocks that can be put forward, and a count of openings of each file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from scanner.core.roots import Root
from scanner.core.snapshot import Directory
from scanner.disk.filesystem import DiskFileSystem
from tests.support.world import World


class AheadDisk(DiskFileSystem):
    """The real disk, with clocks that can be put forward: nobody waits for an interval."""

    ahead = 0.0

    def advance(self, seconds: float) -> None:
        self.ahead += seconds
        time.sleep(0.006)  # more than the granularity of ext4: a jiffy

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> int:
        return super().now() + int(self.ahead * 1e9)

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class _Disk(AheadDisk):
    def __init__(self) -> None:
        super().__init__()
        self.opened: Counter[str] = Counter()

    def open(self, path: str) -> BinaryIO:
        self.opened[path] += 1
        return super().open(path)


class RealWorld(World):
    """Scans the folder `top`, of kind `models`."""

    def __init__(self, folder: Path, top: Path, **settings: Any) -> None:
        disk = _Disk()
        self.opened = disk.opened
        root = Root("models", str(top))
        super().__init__(folder / "output", disk, (root,), hold_wait=0.0, **settings)  # type: ignore[arg-type]


def listed(top: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator[tuple[str, Directory]]:
    """`top` and all below it, links to folders followed as a walk does."""
    found = DiskFileSystem().list_directory(str(top))
    identity = (found.device, found.inode)
    if identity not in above:
        yield str(top), found
        for name, _ in found.listing.named_containers():
            yield from listed(top / name, (*above, identity))
