"""Walker processes: answers, limits, loss and the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.workers.pool import ByMount
from scanner.workers.remote import LostWalkerError
from scanner.workers.requests import Failed, ListDirectory, Listed, SampleFile, StatPath
from scanner.workers.worker import LocalWalker, Walker

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
