"""Walker processes: answers, limits, loss and the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.filesystem import DiskFileSystem
from scanner.mounts import Mount
from scanner.walker import Failed, ListDirectory, Listed, LocalWalker, SampleFile, StatPath, Walker
from scanner.walkers import ByMount, HelpedWalker, LostWalkerError, _Process

NAS = Mount("/", "cifs", "//nas/share")


def by_mount(**settings: float) -> ByMount:
    return ByMount(
        DiskFileSystem(),
        stall_after=settings.get("stall_after", 30.0),
        most_workers=4,
        stopped=lambda: False,
        most_per_second=settings.get("most_per_second", 0.0),
    )


@pytest.fixture
def walkers() -> Iterator[ByMount]:
    made = by_mount()
    yield made
    made.close()


def answers(walker: Walker) -> list:
    found = []
    while (answer := walker.answer()) is not None:
        found.append(answer)
    return found


def test_process_answers_as_this_process_does(walkers: ByMount, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "\udcff😀\n").write_bytes(b"x" * number)
    requests = [ListDirectory(str(path)) for path in (tmp_path, *tmp_path.iterdir())]
    requests.append(ListDirectory(str(tmp_path / "missing")))
    found = []
    for walker in (LocalWalker(DiskFileSystem()), walkers.of(NAS)):
        for request in requests:
            walker.ask(request)
        found.append(sorted(answers(walker), key=lambda answer: answer.path))
    assert found[0] == found[1]
    assert isinstance(found[1][-1], Failed | Listed)


def test_local_disks_are_walked_in_this_process(walkers: ByMount) -> None:
    assert isinstance(walkers.of(Mount("/", "ext4", "/dev/sda1")), LocalWalker)


def test_sessions_do_not_see_each_others_answers(walkers: ByMount, tmp_path: Path) -> None:
    one, other = walkers.of(NAS), walkers.of(NAS)
    (tmp_path / "f").write_bytes(b"f")
    one.ask(ListDirectory(str(tmp_path)))
    other.ask(SampleFile(str(tmp_path / "f")))
    assert [type(answer).__name__ for answer in answers(other)] == ["Fingerprinted"]
    assert [type(answer).__name__ for answer in answers(one)] == ["Listed"]


def test_killed_walker_is_lost_once_and_then_replaced(walkers: ByMount, tmp_path: Path) -> None:
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    answers(walker)
    process = walkers._processes["/"]
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    assert len(answers(walker)) == 1


def test_silent_walker_is_abandoned_and_not_doubled(tmp_path: Path) -> None:
    """Stopped, it stands for one that hangs in the kernel: no second one starts beside it."""
    walkers = by_mount(stall_after=0.5)
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    answers(walker)
    child = walkers._processes["/"]._child
    os.kill(child.pid, signal.SIGSTOP)
    # A stopped process still ends by SIGKILL, one in the kernel does not: keep it.
    child.kill = lambda: None  # type: ignore[method-assign]
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    with pytest.raises(LostWalkerError) as lost:
        answers(walker)
    assert lost.value.is_stalled
    with pytest.raises(LostWalkerError, match="still hangs"):
        walkers.of(NAS)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    assert len(answers(walker)) == 1
    walkers.close()


def test_stop_ends_the_wait_for_an_answer(tmp_path: Path) -> None:
    stopping = False
    walkers = ByMount(DiskFileSystem(), stall_after=60, most_workers=2, stopped=lambda: stopping)
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    answers(walker)
    os.kill(walkers._processes["/"]._child.pid, signal.SIGSTOP)
    stopping = True
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    with pytest.raises(LostWalkerError, match="stopping"):
        answers(walker)
    walkers.close()


def test_requests_are_spaced_by_the_limit(tmp_path: Path) -> None:
    """Counted on the clock: thirty requests at a hundred a second cannot take less than 0.29 s."""
    walkers = by_mount(most_per_second=100.0)
    started = time.monotonic()
    walker = walkers.of(NAS)
    for _ in range(30):
        walker.ask(StatPath(str(tmp_path)))
    assert len(answers(walker)) == 30
    assert time.monotonic() - started >= 0.28
    walkers.close()


def test_mount_that_stalls_again_and_again_is_asked_ever_less() -> None:
    walkers = by_mount(stall_after=10.0)
    pauses = []
    for _ in range(8):
        walkers._back_off("/mnt/nas")
        pauses.append(round(walkers._not_before["/mnt/nas"] - time.monotonic()))
    assert pauses == [0, 10, 30, 70, 150, 300, 300, 300]


def test_mount_that_answers_again_starts_from_no_pause(tmp_path: Path) -> None:
    walkers = by_mount()
    walkers._stalls["/"] = 5
    walker = walkers.of(NAS)
    walker.ask(StatPath(str(tmp_path)))
    answers(walker)
    walkers.of(NAS)
    assert walkers._stalls == {}
    walkers.close()


# A long walk of a local disk


def _tree(top: Path) -> None:
    for outer in range(6):
        for inner in range(10):
            folder = top / f"{outer}" / f"{inner}"
            folder.mkdir(parents=True)
            (folder / "file").write_text(f"{outer} {inner}")


def _walk_all(walker: Walker, top: Path, each: Callable[[], None] = lambda: None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    walker.ask(ListDirectory(str(top)))
    while (answer := walker.answer()) is not None:
        assert isinstance(answer, Listed)
        assert answer.path not in found
        found[answer.path] = answer.directory
        for name, _ in answer.directory.listing.named_containers():
            walker.ask(ListDirectory(os.path.join(answer.path, name)))
        each()
    return found


@pytest.fixture
def early_help(monkeypatch: pytest.MonkeyPatch) -> list[_Process]:
    """Walks count as long from the third answer on; the helpers that were called."""
    monkeypatch.setattr("scanner.walkers.LONG_WALK", 3)
    monkeypatch.setattr("scanner.walkers.AHEAD", 2)
    return []


def _helped(called: list[_Process]) -> HelpedWalker:
    def start() -> _Process:
        called.append(_Process(1, 0.0))
        return called[-1]

    return HelpedWalker(DiskFileSystem(), start)


def test_a_long_walk_with_help_finds_what_it_finds_alone(
    tmp_path: Path, early_help: list[_Process]
) -> None:
    _tree(tmp_path)
    alone = _walk_all(LocalWalker(DiskFileSystem()), tmp_path)
    assert len(alone) == 67
    assert _walk_all(_helped(early_help), tmp_path) == alone
    (helper,) = early_help
    assert helper.has_answered
    assert not helper.is_alive


def test_a_helper_that_dies_is_not_missed(tmp_path: Path, early_help: list[_Process]) -> None:
    _tree(tmp_path)
    alone = _walk_all(LocalWalker(DiskFileSystem()), tmp_path)

    def kill() -> None:
        for helper in early_help:
            helper._child.kill()

    assert _walk_all(_helped(early_help), tmp_path, kill) == alone


def test_a_short_walk_calls_nobody(tmp_path: Path) -> None:
    called: list[_Process] = []
    _tree(tmp_path)
    _walk_all(_helped(called), tmp_path)
    assert called == []
