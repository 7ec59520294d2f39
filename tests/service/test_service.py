"""The loop, on a fake disk with counted time, in turns that the tests call by hand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui.installation import Found
from scanner.commands.scan.page import summary_text
from scanner.core.progress import Display
from scanner.core.roots import Root
from scanner.core.turns import Learned
from scanner.disk.mounts import Mount
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_entries
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status
from scanner.scan import Scanner
from scanner.service.lanes import LOCAL
from scanner.service.opening import assembled
from scanner.service.service import Service, Turn
from scanner.settings.schema import Settings
from scanner.store.store import LEARNED
from tests.support.fakes import FakeFileSystem, Node
from tests.support.world import World

TOP = "/models"
FOLDERS = 9

Make = Callable[..., "Loop"]


class ByHand:
    """A schedule that never runs a turn by itself."""

    def __init__(self) -> None:
        self.turns: dict[str, Turn] = {}
        self.set: list[tuple[str, float]] = []

    def add(self, lane_id: str, turn: Turn) -> None:
        self.turns[lane_id] = turn

    def set_every(self, lane_id: str, seconds: float) -> None:
        self.set.append((lane_id, seconds))

    def next_due(self, lane_id: str) -> None:
        return None

    def run(self, stop: threading.Event, patience: float) -> bool:
        return True


class Loop:
    """A service on a fake disk."""

    def __init__(self, folder: Path, stack: ExitStack, **settings: Any) -> None:
        self.files = FakeFileSystem()
        for number in range(FOLDERS):
            self.files.write(f"{TOP}/{number}/a", b"x")
        self.outputs = Outputs(str(folder / "i.json"), str(folder))
        found = Found(None, None, (Root("models", TOP),))
        self.service = stack.enter_context(
            assembled(Settings(**settings), found, self.outputs, self.files)
        )
        self.schedule = ByHand()

    def status(self) -> dict[str, Any]:
        status = read_status(self.outputs.status)
        assert status is not None
        return status

    def scan(self, *, latency: float = 0.0, times: int = 1) -> dict[str, Any]:
        """Turns in which every call takes so long; what status says of the lane."""
        if not self.schedule.turns:
            self.service.run(self.schedule, Display())
        for _ in range(times):
            self.files.advance(60)
            self.files.latency = latency
            self.schedule.turns[LOCAL](lambda: 20.0)
        lane: dict[str, Any] = self.status()["lanes"][0]
        return lane


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **settings: Loop(tmp_path, stack, **settings)


# How often


def test_lane_finds_its_interval_and_says_so_once(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    loop = make(every="auto", auto_duty=0.02)
    with caplog.at_level(logging.INFO, "scanner"):
        # A scan is 12 calls here: ten listings and the root's health, before and after.
        assert loop.scan(latency=0.07, times=2)["every_seconds"] == 30
        assert loop.scan(latency=0.07)["every_seconds"] == 45
        assert loop.scan(latency=0.07, times=3)["every_seconds"] == 45
    messages = [r.getMessage() for r in caplog.records if "scanning every" in r.getMessage()]
    assert messages == ["local disks: scanning every 45s now: a scan takes 840 ms."]
    assert loop.schedule.set == [(LOCAL, 45.0)]


@pytest.mark.parametrize(("every", "scans"), [("30s", 2), ("auto", 6)])
def test_hold_lasts_for_the_interval_that_the_lane_has(make: Make, every: str, scans: int) -> None:
    """Scans are 60 s apart here; the lane that finds its interval by itself has one of 300 s."""
    loop = make(every=every, loss_files=5)
    loop.scan(latency=0.5, times=4)
    for number in range(FOLDERS):
        loop.files.remove(f"{TOP}/{number}/a")
    # A scan is 21 calls now and not 12: it looks for each name that is not listed any more.
    for _ in range(scans - 1):
        loop.scan(latency=0.5 * 12 / 21)
        assert loop.status()["holds"]
    loop.scan(latency=0.5 * 12 / 21)
    assert not loop.status()["holds"]


def test_single_slow_scan_changes_nothing(make: Make) -> None:
    loop = make(every="auto")
    loop.scan(latency=0.04, times=3)
    assert loop.scan(latency=5.0)["every_seconds"] == 30
    assert loop.scan(latency=0.04)["every_seconds"] == 30
    assert loop.schedule.set == []


def test_folder_that_is_away_does_not_make_scans_rare_or_frequent(make: Make) -> None:
    loop = make(every="auto")
    loop.scan(latency=0.04, times=3)
    folder = loop.files.remove(TOP)
    assert loop.scan(latency=0.04, times=5)["every_seconds"] == 30
    loop.files.root.children["models"] = folder
    assert loop.scan(latency=0.04)["every_seconds"] == 30


def test_verification_takes_half_of_the_time_at_most(make: Make) -> None:
    """A scan may take 2 % of the time here, and verification 1 % instead of 5 %."""
    loop = make(every="auto", auto_duty=0.02, duty=0.05, verify_within="1m")
    # Within 27 s one of ten folders may be listed, which takes 0.3 s, and not four.
    assert loop.scan(latency=0.3, times=2)["verify_seconds"] == 270


@pytest.mark.parametrize(
    ("settings", "every", "verify"),
    [({"every": "7s"}, 7.0, 63), ({"cron": "* * * * *"}, None, 90),
     ({"every": "auto", "cron": "* * * * *"}, None, 90)],
)  # fmt: skip
def test_interval_that_is_given_stays(
    make: Make, settings: dict[str, Any], every: float | None, verify: float
) -> None:
    loop = make(**settings, duty=0.05, verify_within="1m")
    lane = loop.scan(latency=0.4, times=4)
    assert lane["every_seconds"] == every
    assert lane["verify_seconds"] == verify
    assert loop.schedule.set == []


# Lanes


def test_status_is_written_while_another_lane_is_added(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share that is mounted while we run gets a lane, which another lane's turn adds."""
    loop = make()
    loop.scan()
    loop.service.stop()  # so that the turn does no more than that
    share = Mount(f"{TOP}/0", "cifs", "//nas/share")

    def while_status_is_written(scanner: Scanner, root: Root) -> float:
        if share not in loop.files.mount_table:
            loop.files.mount_table.append(share)
            loop.schedule.turns[LOCAL](lambda: 20.0)
        return 600.0

    monkeypatch.setattr(Scanner, "verification_period", while_status_is_written)
    loop.service.write_status("running")
    loop.service.write_status("running")
    assert [lane["id"] for lane in loop.status()["lanes"]] == [LOCAL, f"cifs {TOP}/0"]


# One-shot scans


# Mounts that come when a folder is opened


def test_mount_that_a_walk_brings_about_is_scanned_before_it_goes_again(tmp_path: Path) -> None:
    """Exports inside an export of NFS 4 are mounted by whoever opens their folder, and let go of
    after some minutes, which may be less than the interval."""
    folder = f"{TOP}/0"
    files, inner = FakeFileSystem(), Mount(folder, "nfs4", "nas:/models/0")
    files.mount_table.append(Mount(TOP, "nfs4", "nas:/models"))
    covered, export = files.makedirs(folder), files.makedirs("/export")
    files.write("/export/sub/x", b"x")
    world = World(tmp_path, files, (Root("models", TOP),))
    service, schedule = Service(world.settings, world.scanner, threading.Event()), ByHand()

    def hold(node: Node, table: list[Mount]) -> None:
        files._resolve(TOP).children["0"] = node
        files.mount_table = [mount for mount in files.mount_table if mount != inner] + table

    files.faults["list", folder] = lambda: hold(export, [inner])

    def turn() -> set[str]:
        """One turn of the lane of the share and of those that it adds; all that is known."""
        files.advance(60)
        hold(covered, [])
        known = set(schedule.turns)
        schedule.turns[f"nfs4 {TOP}"](lambda: 20.0)
        for lane in schedule.turns.keys() - known:
            schedule.turns[lane](lambda: 20.0)
        return set(world.inventory())

    service.run(schedule, Display())
    assert f"{folder}/sub/x" in turn()
    files.write("/export/sub/y", b"y")
    assert f"{folder}/sub/y" in turn()
    kinds = [(line["kind"], line["path"]) for line in read(world.outputs.journal)]
    assert kinds == [("baseline", TOP), ("baseline", folder), ("created", f"{folder}/sub/y")]


class StopIn(Display):
    """Asks for the end when the scan after `passes` others lists the top folder."""

    def __init__(self, loop: Loop, passes: int) -> None:
        self._loop = loop
        self._left = passes

    def idle(self) -> None:
        self._left -= 1
        if not self._left:
            self._loop.files.on_list = lambda path: self._loop.service.stop()


def test_one_shot_scans_hand_their_place_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make(backlog_time=0)
    loop.files.latency = 0.5
    loop.service.scan_once(Display())
    scanner = loop.service._scanner
    assert scanner.store.state.get(LEARNED)
    taken: list[Learned] = []
    monkeypatch.setattr(scanner._collector.history, "take_up", taken.append)
    loop.service.scan_once(Display())
    assert [list(learned.turns) for learned in taken] == [[f"models:{TOP}"]]


def losing(make: Make) -> Loop:
    """A loop whose one-shot scan finds something new and a loss that is held at first."""
    loop = make(every="auto", loss_files=5, hold_wait=0.01, backlog_time=0)
    loop.service.scan_once(Display())
    for number in range(FOLDERS):
        loop.files.remove(f"{TOP}/{number}/a")
    loop.files.write(f"{TOP}/new", b"new")
    loop.files.advance(60)
    loop.files.latency = 0.1
    return loop


def test_one_shot_scan_looks_again_at_what_is_held(make: Make) -> None:
    loop = losing(make)
    summary = loop.service.summary(loop.service.scan_once(Display()))
    assert summary["kinds"] == {"created": 1, "deleted": FOLDERS}
    assert (summary["complete"], summary["committed"]) == (True, True)


def test_interrupted_second_look_says_what_was_committed(make: Make) -> None:
    loop = losing(make)
    summary = loop.service.summary(loop.service.scan_once(StopIn(loop, 1)))
    assert (summary["complete"], summary["committed"]) == (False, True)
    assert summary["kinds"] == {"created": 1}
    # The numbers are those of the scan that was committed.
    assert (summary["scan"], summary["directories"]) == (2, FOLDERS + 1)
    assert summary_text(summary) == (
        f"interrupted; scan 2 was committed before that: 1 created; {loop.outputs.inventory}"
    )
    assert f"{TOP}/new" in [entry["path"] for entry in read_entries(loop.outputs.inventory)]


def test_interrupted_walk_of_a_mount_behind_a_link_says_what_was_committed(make: Make) -> None:
    loop = make(backlog_time=0)
    loop.files.mount_table.append(Mount("/elsewhere", "ext4", "/dev/fake2"))
    loop.files.write("/elsewhere/b", b"y")
    loop.files.symlink("/elsewhere", f"{TOP}/link")
    summary = loop.service.summary(loop.service.scan_once(StopIn(loop, 1)))
    assert (summary["complete"], summary["committed"], summary["scan"]) == (False, True, 1)
    assert summary["directories"] == FOLDERS + 1
    assert "scan 1 was committed" in summary_text(summary)


def test_interrupted_first_look_changed_nothing(make: Make) -> None:
    loop = losing(make)
    loop.files.on_list = lambda path: loop.service.stop()
    summary = loop.service.summary(loop.service.scan_once(Display()))
    assert (summary["complete"], summary["committed"]) == (False, False)
    assert summary_text(summary) == "interrupted; nothing was changed"
