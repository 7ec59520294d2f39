"""Long walks of local disks: helpers list folders as this process does, and lose none."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.core.snapshot import Directory
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.workers.helped import (
    LARGEST,
    HelpedWorker,
    Helper,
    end_helpers,
    helpers_at_most,
    helpers_from_the_start,
)
from scanner.workers.helper import directory_of, plain_of
from scanner.workers.pool import WorkersByMount
from scanner.workers.requests import Answer, Failed, ListDirectory, Listed
from scanner.workers.worker import LocalWorker, Worker
from tests.support.random_disk import started_helper

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no helpers there")

FOLDERS = 200


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders with everything that a listing can say."""
    for number in range(FOLDERS):
        folder = tmp_path / f"d{number:03}"
        folder.mkdir()
        (folder / "\udcff😀\n").write_bytes(b"x" * number)
        (folder / "empty").touch()
        os.utime(folder / "empty", ns=(0, -number))
        os.link(folder / "empty", folder / "other name")
        (folder / "link").symlink_to("empty")
        (folder / "broken").symlink_to("nothing")
        (folder / "left out.tmp").touch()
        (folder / "below").mkdir()
    return tmp_path


def requests_for(tree: Path) -> list[ListDirectory]:
    """One for each folder, of which every seventh is not there."""
    return [
        ListDirectory(
            str(tree / (f"d{number:03}" if number % 7 else f"missing{number}")),
            frozenset({"left out.tmp"}),
            frozenset({"below"}),
        )
        for number in range(FOLDERS)
    ]


class Kept:
    """Starts helpers, and keeps them."""

    def __init__(self) -> None:
        self.helpers: list[Helper] = []
        self.answered = 0

    def __call__(self) -> Helper:
        helper = started_helper()
        receive = helper.receive

        def counted() -> tuple[float, list[Answer]]:
            seconds, answers = receive()
            self.answered += len(answers)
            return seconds, answers

        helper.receive = counted  # type: ignore[method-assign]
        self.helpers.append(helper)
        return helper


def is_running(helper: Helper) -> bool:
    return helper._child.poll() is None


@pytest.fixture
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    for helper in kept.helpers:
        helper.end()


def worker_with(
    start: Callable[[], Helper],
    most: int = 2,
    patience: float = 60.0,
    stopped: Callable[[], bool] = lambda: False,
    long: int = 1,
    known: int = 0,
) -> HelpedWorker:
    files = DiskFileSystem(stopped)
    return HelpedWorker(files, most, patience, stopped, long=long, start=start, known=known)


def answers(worker: Worker, requests: list[ListDirectory]) -> list[Answer]:
    for request in requests:
        worker.ask(request)
    found = []
    while (answer := worker.answer()) is not None:
        found.append(answer)
    return sorted(found, key=lambda answer: answer.path)


def expected(requests: list[ListDirectory]) -> list[Answer]:
    found = answers(LocalWorker(DiskFileSystem()), requests)
    assert {type(answer) for answer in found} == {Listed, Failed}
    return found


def test_helpers_answer_as_this_process_does(tree: Path, kept: Kept) -> None:
    requests = requests_for(tree)
    worker = worker_with(kept)
    assert answers(worker, requests) == expected(requests)
    assert len(kept.helpers) == 2
    assert kept.answered > FOLDERS / 10
    assert worker.helped_seconds > 0


def test_helpers_end_with_the_walk(tree: Path, kept: Kept) -> None:
    answers(worker_with(kept), requests_for(tree))
    assert not any(map(is_running, kept.helpers))
    abandoned = worker_with(kept)
    for request in requests_for(tree):
        abandoned.ask(request)
    for _ in range(20):
        abandoned.answer()
    abandoned.abandon()
    assert abandoned.answer() is None
    assert len(kept.helpers) == 4
    assert not any(map(is_running, kept.helpers))


def test_short_walk_starts_no_helper(tree: Path, kept: Kept) -> None:
    worker = worker_with(kept, long=1_000_000)
    assert answers(worker, requests_for(tree)) == expected(requests_for(tree))
    assert not kept.helpers


def test_what_is_known_and_listed_counts_once(tree: Path, kept: Kept) -> None:
    requests = requests_for(tree)
    found = expected(requests)
    there = sum(len(each.directory.listing) for each in found if isinstance(each, Listed))
    worker = worker_with(kept, long=there + 1, known=there)
    assert answers(worker, requests) == found
    assert not kept.helpers


def test_walk_that_is_known_to_be_long_starts_them_at_once(tree: Path, kept: Kept) -> None:
    worker = worker_with(kept, long=1_000_000, known=1_000_000)
    worker.ask(requests_for(tree)[1])
    worker.answer()
    assert len(kept.helpers) == 2
    worker.abandon()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_folders_of_a_lost_helper_are_listed_here(tree: Path, kept: Kept, end: int) -> None:
    """A stopped one stands for one that hangs: after some silence nobody waits for it."""
    worker = worker_with(kept, most=1, patience=0.3)
    send = Helper.send

    def send_and_lose(helper: Helper, requests: list[ListDirectory]) -> bool:
        os.kill(helper._child.pid, end)
        return send(helper, requests)

    requests = requests_for(tree)
    for request in requests:
        worker.ask(request)
    first = worker.answer()
    assert first is not None
    kept.helpers[0].send = send_and_lose.__get__(kept.helpers[0])  # type: ignore[method-assign]
    found = [first, *answers(worker, [])]
    assert sorted(found, key=lambda answer: answer.path) == expected(requests)
    assert not is_running(kept.helpers[0])


def test_no_helper_to_be_had_is_no_error(tree: Path) -> None:
    def fail() -> Helper:
        raise BlockingIOError("no more processes")

    assert answers(worker_with(fail), requests_for(tree)) == expected(requests_for(tree))


def test_end_of_the_program_waits_for_no_helper(tree: Path, kept: Kept) -> None:
    is_stopped = False
    worker = worker_with(kept, most=1, patience=3600.0, stopped=lambda: is_stopped)
    for request in requests_for(tree):
        worker.ask(request)
    worker.answer()
    os.kill(kept.helpers[0]._child.pid, signal.SIGSTOP)
    found = []
    while (answer := worker.answer()) is not None:
        found.append(answer)
        is_stopped = is_stopped or not worker._requests
    assert isinstance(found[-1], Failed)
    assert len(found) == FOLDERS - 1
    assert not is_running(kept.helpers[0])


def test_nothing_is_waited_for_once_all_is_answered(
    tree: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_with(kept)
    waits: list[int] = []
    wait_for = select.select

    def waiting(*arguments: Any) -> Any:
        if arguments[3]:
            waits.append(sum(len(helper.under_way) for helper in worker._helpers))
        return wait_for(*arguments)

    monkeypatch.setattr(select, "select", waiting)
    assert answers(worker, requests_for(tree)) == expected(requests_for(tree))
    assert kept.answered
    assert 0 not in waits


def test_batch_beyond_the_pipe_is_listed_here(tree: Path, kept: Kept) -> None:
    names = frozenset(f"{number:0250}" for number in range(LARGEST // 200))
    requests = [request._replace(skip=names) for request in requests_for(tree)]
    assert answers(worker_with(kept), requests) == expected(requests)
    assert kept.helpers
    assert not kept.answered


def test_plain_values_of_a_listing_lose_nothing(tree: Path) -> None:
    found = DiskFileSystem().list_directory(str(tree / "d001"), frozenset({"left out.tmp"}))
    assert found.listing.hard_links
    assert found.listing.targets
    assert found.ignored
    assert directory_of(plain_of("path", found)) == found
    columns = directory_of(plain_of("path", found)).listing
    for column, own in zip(
        (columns.sizes, columns.mtimes, columns.inodes),
        (found.listing.sizes, found.listing.mtimes, found.listing.inodes),
        strict=True,
    ):
        assert sys.getsizeof(column) == sys.getsizeof(own)
    assert directory_of(plain_of("path", Directory(found.listing))) == Directory(found.listing)


def test_helpers_start_early_where_nothing_is_known(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with helpers_from_the_start(16, str(state)) as helpers:
        assert len(helpers) == helpers_at_most(16)
        assert all(map(is_running, helpers))
    assert not any(map(is_running, helpers))
    with helpers_from_the_start(1, str(state)) as helpers:
        assert not helpers
    state.touch()
    with helpers_from_the_start(16, str(state / "below a file")) as helpers:
        assert not helpers
    with helpers_from_the_start(16, str(state)) as helpers:
        assert not helpers


def test_helpers_start_early_where_the_state_is_large(tmp_path: Path) -> None:
    """The first scan of `run` lists all that it knows."""
    state = tmp_path / "state"
    for size, count in ((999, 0), (1000, helpers_at_most(16))):
        state.write_bytes(bytes(size))
        with helpers_from_the_start(16, str(state), 1000) as helpers:
            assert len(helpers) == count
            started = list(helpers)
            end_helpers(helpers)
            assert not helpers
            assert not any(map(is_running, started))


def test_first_long_walk_takes_the_helpers_that_were_started(tree: Path, kept: Kept) -> None:
    pool = WorkersByMount(DiskFileSystem(), stall_after=60.0, most_workers=16)
    ready = [kept(), kept()]
    pool.lend(ready)
    first, second = (pool.of_long_walk(Mount("/", "ext4", "/dev/sda1")) for _ in range(2))
    assert not ready
    assert isinstance(second, HelpedWorker)
    assert not second._helpers
    assert answers(first, requests_for(tree)) == expected(requests_for(tree))
    assert kept.answered > FOLDERS / 10
    assert len(kept.helpers) == 2
    assert not any(map(is_running, kept.helpers))


def test_one_request_at_a_time_means_no_helper() -> None:
    def helpers(workers: int) -> int:
        pool = WorkersByMount(DiskFileSystem(), stall_after=1.0, most_workers=workers)
        worker = pool.of_long_walk(Mount("/", "ext4", "/dev/sda1"))
        assert isinstance(worker, HelpedWorker)
        return worker._most_helpers

    assert helpers(1) == 0
    assert helpers(16) == min(3, len(os.sched_getaffinity(0)) - 1)
