"""Walks that get help: the first one of each zone in a process, if it lists everything."""

from __future__ import annotations

from pathlib import Path

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.walk.history import History
from scanner.walk.walked import Walked
from scanner.workers.worker import LocalWorker, Worker
from tests.support.fakes import FakeFileSystem, FakeWorkers
from tests.support.world import World, at


class Helped(LocalWorker):
    """A worker whose helpers have worked for a while."""

    helped_seconds = 5.0


class CountedWorkers(FakeWorkers):
    """Workers that count long walks."""

    def __init__(self, files: FakeFileSystem) -> None:
        super().__init__(files)
        self.long_walks = 0
        self.known = 0

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        self.long_walks += 1
        self.known = known
        return Helped(self._files)


class LongWorld(World):
    workers: CountedWorkers

    def make_workers(self) -> CountedWorkers:
        return CountedWorkers(self.files)


def world(folder: Path) -> LongWorld:
    made = LongWorld(folder, roots=(Root("models", at("ComfyUI/models")),))
    made.files.write(at("ComfyUI/models/loras/a.safetensors"), b"a")
    return made


def test_first_walk_of_a_process_gets_help_and_no_later_one(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.scan()
    assert made.workers.long_walks == 1
    made.scan()
    made.scan()
    assert made.workers.long_walks == 1
    made.restart()
    made.scan()
    assert made.workers.long_walks == 1, "the workers are new, and so is the process"


def test_a_walk_of_a_known_zone_is_told_how_much_there_is(tmp_path: Path) -> None:
    """Its helpers start at once then."""
    made = world(tmp_path)
    made.scan()
    assert made.workers.known == 0
    made.restart()
    made.scan()
    assert made.workers.known == 2, "the folder and the file"


def test_work_of_helpers_counts_as_cost_of_verification(tmp_path: Path) -> None:
    """Else a walk with help would seem cheap to the walks that come after it without."""
    made = world(tmp_path)
    measured: list[float] = []
    learn = History.learn

    def noted(history: History, zone: str, walked: Walked, *args: object, **more: float) -> object:
        measured.append(more["seconds"])
        return learn(history, zone, walked, *args, **more)  # type: ignore[arg-type]

    made.scanner._collector.history.learn = noted.__get__(  # type: ignore[method-assign]
        made.scanner._collector.history
    )
    made.scan()
    made.scan()
    first, second = measured
    assert first - second >= 5.0
