"""The loop's intervals where lanes find them by themselves, on a fake disk with counted time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui.installation import Found
from scanner.core.progress import Display
from scanner.core.roots import Root
from scanner.output.file_names import Outputs
from scanner.output.status_file import read_status
from scanner.service import schedule
from scanner.service.lanes import LOCAL
from scanner.service.schedule import LanePass, Trigger, trigger_of
from scanner.service.service import Service
from scanner.settings.schema import Settings
from tests.support.fakes import FakeFileSystem

TOP = "/models"
FOLDERS = 9


class Loop:
    """A service whose passes are run by hand."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.files = FakeFileSystem()
        for number in range(FOLDERS):
            self.files.write(f"{TOP}/{number}/a", b"x")
        self.outputs = Outputs(str(folder / "i.json"), str(folder))
        found = Found(None, None, (Root("models", TOP),))
        self.service = Service(Settings(**settings), found, self.outputs, self.files)
        self.set: list[tuple[str, float]] = []
        self.service._set_every = lambda lane, seconds: self.set.append((lane, seconds))
        lane = self.service._lanes[LOCAL]
        self._pass = self.service._lane_pass(lane, Display(), lambda lane: None)
        self.given: list[float] = []
        self._scan = self.service.scanner.scan
        self.service.scanner.scan = self._noted_scan  # type: ignore[method-assign]

    def _noted_scan(self, *arguments: Any, interval: float, **named: Any) -> Any:
        self.given.append(interval)
        return self._scan(*arguments, interval=interval, **named)

    def scan(self, *, latency: float, times: int = 1) -> dict[str, Any]:
        """Passes in which every call takes so long; what status says of the lane."""
        for _ in range(times):
            self.files.advance(60)
            self.files.latency = latency
            self._pass(lambda: 20.0)
        status = read_status(self.outputs.status)
        assert status is not None
        lane: dict[str, Any] = status["lanes"][0]
        return lane


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    loops: list[Loop] = []

    def build(**settings: Any) -> Loop:
        loops.append(Loop(tmp_path, **settings))
        return loops[-1]

    yield build
    for loop in loops:
        loop.service.close()


def test_lane_finds_its_interval_and_says_so_once(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loop = make(every="auto", auto_duty=0.02)
    with caplog.at_level(logging.INFO, "scanner"):
        # A scan is 12 calls here: ten listings and the root's health, before and after.
        assert loop.scan(latency=0.07, times=2)["every_seconds"] == 30
        assert loop.scan(latency=0.07)["every_seconds"] == 45
        assert loop.scan(latency=0.07, times=3)["every_seconds"] == 45
    told = [r.getMessage() for r in caplog.records if "scanning every" in r.getMessage()]
    assert told == ["local disks: scanning every 45s now: a scan takes 840 ms."]
    assert loop.set == [(LOCAL, 45.0)]


def test_schedule_is_told_of_a_new_interval(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make(every="auto")
    told: list[tuple[str, float]] = []

    class FourPasses:
        """A schedule that runs each lane four times, and ends."""

        def __init__(self, trigger: Trigger) -> None:
            self.passes: list[LanePass] = []

        def add(self, lane_id: str, lane_pass: LanePass) -> None:
            self.passes.append(lane_pass)

        def set_every(self, lane_id: str, seconds: float) -> None:
            told.append((lane_id, seconds))

        def next_due(self, lane_id: str) -> None:
            return None

        def run(self, stop: threading.Event, patience: float) -> bool:
            for lane_pass in self.passes * 4:
                loop.files.advance(60)
                lane_pass(lambda: 20.0)
            return True

    monkeypatch.setattr(schedule, "Schedule", FourPasses)
    loop.files.latency = 0.5
    loop.service.run(trigger_of(30.0, ""), Display())
    assert told == [(LOCAL, 300.0)]


def test_scans_are_told_the_interval_that_the_lane_has(make: Any) -> None:
    """Holds, and the turn of verification, go by it."""
    loop = make(every="auto")
    loop.scan(latency=0.5, times=4)
    assert loop.given == pytest.approx([0.9 * 30] * 3 + [0.9 * 300])


def test_single_slow_scan_changes_nothing(make: Any) -> None:
    loop = make(every="auto")
    loop.scan(latency=0.04, times=3)
    assert loop.scan(latency=5.0)["every_seconds"] == 30
    assert loop.scan(latency=0.04)["every_seconds"] == 30
    assert loop.set == []


def test_folder_that_is_away_does_not_make_scans_rare_or_frequent(make: Any) -> None:
    loop = make(every="auto")
    loop.scan(latency=0.04, times=3)
    folder = loop.files.remove(TOP)
    assert loop.scan(latency=0.04, times=5)["every_seconds"] == 30
    loop.files.root.children["models"] = folder
    assert loop.scan(latency=0.04)["every_seconds"] == 30


def test_mount_that_hangs_does_not_make_scans_rare(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = make(every="auto")
    loop.scan(latency=0.04, times=3)
    loop.service.scanner.store.memory.roots[f"models:{TOP}"].state = "stalled"
    lane = loop.service._lanes[LOCAL]
    result = lane.last
    assert result is not None
    result.seconds = 60.0
    for _ in range(3):
        loop.service._keep_pace(lane, result)
    assert lane.pace is not None
    assert lane.pace.every == 30
    loop.service.scanner.store.memory.roots[f"models:{TOP}"].state = "online"
    for _ in range(3):
        loop.service._keep_pace(lane, result)
    assert lane.pace.every == 3600


def test_verification_takes_half_of_the_time_at_most(make: Any) -> None:
    loop = make(every="auto", auto_duty=0.02, duty=0.05)
    assert loop.service.scanner._collector._settings.duty == 0.01


@pytest.mark.parametrize(
    ("settings", "every"),
    [({"every": "7s"}, 7.0), ({"cron": "* * * * *"}, None),
     ({"every": "auto", "cron": "* * * * *"}, None)],
)  # fmt: skip
def test_interval_that_is_given_stays(make: Any, settings: Any, every: float | None) -> None:
    loop = make(**settings)
    assert loop.scan(latency=0.5, times=4)["every_seconds"] == every
    assert loop.set == []
    assert loop.given[-1] == pytest.approx(0.9 * (20 if every is None else every))
    assert loop.service.scanner._collector._settings.duty == 0.05


def test_one_shot_scan_takes_the_first_interval(make: Any) -> None:
    loop = make(every="auto", backlog_time=0)
    loop.service.scan_once(Display())
    assert loop.given == [30.0]
