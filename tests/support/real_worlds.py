"""A world on the real disk, which counts how often each file is opened."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from tests.support.world import World


class _Disk(DiskFileSystem):
    """The real disk. Its clocks are ahead by what a test has let pass."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Counter[str] = Counter()
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def now(self) -> int:
        return time.time_ns() + int(self._ahead * 1e9)

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

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
