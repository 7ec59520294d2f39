"""The space of mounts: asked by their workers, seldom, and kept while a mount is away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from scanner.core.roots import Root
from scanner.disk.filesystem import Space
from scanner.disk.location import located
from scanner.disk.mounts import Mount
from scanner.service.space import AGAIN_AFTER, SpaceReader
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import AskSpace, Failed, SpaceFound

DISK = Mount("/", "ext4", "/dev/sda")
NAS = Mount("/nas", "cifs", "//nas/models")
ROOTS = [Root("models", "/a"), Root("input", "/b"), Root("extra", "/nas/m")]


class Scans:
    """What a reader needs of a scanner: `answers` by mount point, None for one that hangs."""

    def __init__(self) -> None:
        self.answers: dict[str, Space | None] = {"/": Space(100, 40), "/nas": Space(10, 5)}
        self.asked: list[tuple[str, str]] = []
        self.time = 0.0
        self.away: set[str] = set()
        self.files = self.workers = self
        self.store = SimpleNamespace(memory=self)

    def monotonic(self) -> float:
        return self.time

    def now(self) -> int:
        return int(self.time)

    def mounts(self) -> list[Mount]:
        return [DISK, NAS]

    def zones(self) -> Any:
        return SimpleNamespace(location=lambda root, mounts: located(root.path, mounts))

    def could_read(self, id_: str) -> bool:
        return id_ not in self.away

    def of(self, mount: Mount, patience: float | None = None) -> Any:
        assert patience is not None
        queue: list[AskSpace] = []

        def answer() -> SpaceFound | Failed | None:
            if not queue:
                return None
            path = queue.pop().path
            self.asked.append((mount.point, path))
            found = self.answers[mount.point]
            if found is None:
                raise LostWorkerError("it hangs", is_stalled=True)
            return SpaceFound(path, found)

        return SimpleNamespace(ask=queue.append, answer=answer)


def reader() -> tuple[SpaceReader, Scans]:
    scans = Scans()
    return SpaceReader(scans), scans  # type: ignore[arg-type]


def test_each_mount_is_asked_once_by_its_own_worker() -> None:
    space, scans = reader()
    space.look(ROOTS)
    assert scans.asked == [("/", "/a"), ("/nas", "/nas/m")]
    assert [(found.mount.point, found.space, found.roots) for found in space.found] == [
        ("/", Space(100, 40), ("models:/a", "input:/b")),
        ("/nas", Space(10, 5), ("extra:/nas/m",)),
    ]
    scans.time = AGAIN_AFTER - 1
    space.look(ROOTS)
    assert len(scans.asked) == 2


def test_a_mount_that_is_away_or_hangs_keeps_its_last_answer() -> None:
    space, scans = reader()
    space.look(ROOTS)
    scans.time, scans.away = AGAIN_AFTER, {"extra:/nas/m"}
    scans.answers["/"] = Space(100, 30)
    space.look(ROOTS)
    assert scans.asked[2:] == [("/", "/a")]
    assert [found.space.free for found in space.found] == [30, 5]
    scans.time, scans.away, scans.answers["/nas"] = 2 * AGAIN_AFTER, set(), None
    space.look(ROOTS)
    assert scans.asked[-1] == ("/nas", "/nas/m")
    assert [(found.space.free, found.asked) for found in space.found] == [(30, 120), (5, 0)]


def test_a_file_system_that_cannot_tell_has_no_space_and_a_lost_root_none_either() -> None:
    space, scans = reader()
    scans.answers["/"] = Space(0, 0)
    space.look(ROOTS)
    assert [found.mount.point for found in space.found] == ["/nas"]
    scans.time = AGAIN_AFTER
    space.look(ROOTS[:2])
    assert space.found == ()
