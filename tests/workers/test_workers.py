"""Worker processes: answers, limits, loss and the end."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty
from types import SimpleNamespace

import pytest

from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.workers import remote
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import WorkersByMount
from scanner.workers.remote import _Session
from scanner.workers.requests import Failed, ListDirectory, Listed, SampleFile, StatPath
from scanner.workers.worker import LocalWorker, Worker

NAS = Mount("/", "cifs", "//nas/share")


def by_mount(**settings: float) -> WorkersByMount:
    return WorkersByMount(
        DiskFileSystem(),
        stall_after=settings.get("stall_after", 30.0),
        most_workers=4,
        stopped=lambda: False,
        most_per_second=settings.get("most_per_second", 0.0),
    )


@pytest.fixture
def workers() -> Iterator[WorkersByMount]:
    made = by_mount()
    yield made
    made.close()


def answers(worker: Worker) -> list:
    found = []
    while (answer := worker.answer()) is not None:
        found.append(answer)
    return found


def test_process_answers_as_this_process_does(workers: WorkersByMount, tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "\udcff😀\n").write_bytes(b"x" * number)
    requests = [ListDirectory(str(path)) for path in (tmp_path, *tmp_path.iterdir())]
    requests.append(ListDirectory(str(tmp_path / "missing")))
    found = []
    for worker in (LocalWorker(DiskFileSystem()), workers.of(NAS)):
        for request in requests:
            worker.ask(request)
        found.append(sorted(answers(worker), key=lambda answer: answer.path))
    assert found[0] == found[1]
    assert isinstance(found[1][-1], Failed | Listed)


def test_local_disks_are_walked_in_this_process(workers: WorkersByMount) -> None:
    assert isinstance(workers.of(Mount("/", "ext4", "/dev/sda1")), LocalWorker)


def test_sessions_do_not_see_each_others_answers(workers: WorkersByMount, tmp_path: Path) -> None:
    one, other = workers.of(NAS), workers.of(NAS)
    (tmp_path / "f").write_bytes(b"f")
    one.ask(ListDirectory(str(tmp_path)))
    other.ask(SampleFile(str(tmp_path / "f")))
    assert [type(answer).__name__ for answer in answers(other)] == ["Fingerprinted"]
    assert [type(answer).__name__ for answer in answers(one)] == ["Listed"]


def test_killed_worker_is_lost_once_and_then_replaced(
    workers: WorkersByMount, tmp_path: Path
) -> None:
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    answers(worker)
    process = workers._processes["/"]
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    assert len(answers(worker)) == 1


def test_silent_worker_is_abandoned_and_not_doubled(tmp_path: Path) -> None:
    """Stopped, it stands for one that hangs in the kernel: no second one starts beside it."""
    workers = by_mount(stall_after=0.5)
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    answers(worker)
    child = workers._processes["/"]._child
    os.kill(child.pid, signal.SIGSTOP)
    # A stopped process still ends by SIGKILL, one in the kernel does not: keep it.
    child.kill = lambda: None  # type: ignore[method-assign]
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    with pytest.raises(LostWorkerError) as lost:
        answers(worker)
    assert lost.value.is_stalled
    with pytest.raises(LostWorkerError, match="still hangs"):
        workers.of(NAS)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    assert len(answers(worker)) == 1
    workers.close()


def test_start_of_a_worker_is_no_silence_of_its_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine Python takes longer to start than this mount may be silent."""
    monkeypatch.setattr(remote, "_SERVE", f"import time; time.sleep(1.5); {remote._SERVE}")
    workers = by_mount(stall_after=0.3)
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    assert len(answers(worker)) == 1
    workers.close()


def test_worker_that_never_starts_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_SERVE", "import time; time.sleep(60)")
    monkeypatch.setattr(remote, "START_AFTER", 0.3)
    workers = by_mount()
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    with pytest.raises(LostWorkerError, match="does not start") as lost:
        answers(worker)
    assert lost.value.is_stalled
    workers._processes["/"]._child.wait(30)
    workers.close()


def test_abandoned_requests_are_not_answered(workers: WorkersByMount, tmp_path: Path) -> None:
    for worker in (LocalWorker(DiskFileSystem()), workers.of(NAS)):
        for _ in range(100):
            worker.ask(StatPath(str(tmp_path)))
        assert worker.answer() is not None
        worker.abandon()
    left = workers.of(NAS)
    left.ask(StatPath(str(tmp_path)))
    assert len(answers(left)) == 1


def test_stop_ends_the_wait_for_an_answer(tmp_path: Path) -> None:
    stopping = False
    workers = WorkersByMount(
        DiskFileSystem(), stall_after=60, most_workers=2, stopped=lambda: stopping
    )
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    answers(worker)
    os.kill(workers._processes["/"]._child.pid, signal.SIGSTOP)
    stopping = True
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    with pytest.raises(LostWorkerError, match="stopping"):
        answers(worker)
    workers.close()


def test_a_worker_that_starts_while_the_others_end_does_no_harm(workers: WorkersByMount) -> None:
    """A lane that has not noticed the end yet may still ask for one."""
    first = workers.of(NAS)
    assert isinstance(first, _Session)
    end = first._process.end

    def slowly() -> None:
        workers.of(Mount("/mnt/late", "cifs", "//nas/late"))
        end()

    first._process.end = slowly  # type: ignore[method-assign]
    workers.close()
    first._process.end = end  # type: ignore[method-assign]


def test_requests_are_spaced_by_the_limit(tmp_path: Path) -> None:
    """Counted on the clock: thirty requests at a hundred a second cannot take less than 0.29 s."""
    workers = by_mount(most_per_second=100.0)
    started = time.monotonic()
    worker = workers.of(NAS)
    for _ in range(30):
        worker.ask(StatPath(str(tmp_path)))
    assert len(answers(worker)) == 30
    assert time.monotonic() - started >= 0.28
    workers.close()


def test_mount_that_stalls_again_and_again_is_asked_ever_less() -> None:
    workers = by_mount(stall_after=10.0)
    pauses = []
    for _ in range(8):
        workers._back_off("/mnt/nas")
        pauses.append(round(workers._not_before["/mnt/nas"] - time.monotonic()))
    assert pauses == [0, 10, 30, 70, 150, 300, 300, 300]


def test_mount_that_answers_again_starts_from_no_pause(tmp_path: Path) -> None:
    workers = by_mount()
    workers._stalls["/"] = 5
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    answers(worker)
    workers.of(NAS)
    assert workers._stalls == {}
    workers.close()


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("?")])
def test_worker_that_cannot_be_started_is_lost_and_tried_again(
    workers: WorkersByMount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(remote, "start_child", fails)
        with pytest.raises(LostWorkerError, match="cannot be started") as lost:
            workers.of(NAS)
    assert not lost.value.is_stalled, "the mount has done nothing wrong"
    worker = workers.of(NAS)
    worker.ask(StatPath(str(tmp_path)))
    assert len(answers(worker)) == 1


class SilentProcess:
    """A worker process that never answers. Each wait for it takes the next of `waits` seconds."""

    requests_at_once = 1
    is_up = True
    is_abandoned = False
    started = last_sign = 0.0

    def __init__(self, waits: Iterable[float]) -> None:
        self._waits = iter(waits)
        self.now = 0.0
        self.has_ended = False

    def open(self, session: int) -> SilentProcess:
        return self

    def get(self, timeout: float) -> None:
        wait = next(self._waits, None)
        self.has_ended = wait is None
        self.now += wait or timeout
        raise Empty

    def pause(self) -> float:
        return 0.0

    def send(self, task: object) -> None: ...

    def close(self, session: int) -> None: ...

    def abandon(self) -> None:
        self.is_abandoned = True


@pytest.mark.parametrize(("waits", "is_silence"), [([0.2] * 40, True), ([6.0] * 8, False)])
def test_own_standstill_is_no_silence_of_a_mount(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], is_silence: bool
) -> None:
    """Where a wait is so long, this program was stopped meanwhile."""
    process = SilentProcess(waits)
    clock = SimpleNamespace(monotonic=lambda: process.now, sleep=time.sleep)
    monkeypatch.setattr(remote, "time", clock)
    session = _Session(process, 4.0, lambda: process.has_ended, None)  # type: ignore[arg-type]
    session.ask(StatPath("/mnt/nas"))
    with pytest.raises(LostWorkerError) as lost:
        session.answer()
    assert lost.value.is_stalled == process.is_abandoned == is_silence
