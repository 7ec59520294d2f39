"""A worker for long walks of local disks: further processes list a part of the folders.

Listing is bound by the interpreter, not by a warm disk. With one helper a first scan of a million
files needs 5.4 s of this process instead of 7.5 s, and no more of both together.

No thread reads what helpers send: it would wait for the lock of an interpreter that is listing
itself. Between two listings this process looks whether answers have come.
"""

from __future__ import annotations

import marshal
import math
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from scanner.disk.child import start_child
from scanner.disk.filesystem import FileSystem
from scanner.workers.helper import ERROR, LENGTH, Plain, directory_of, frame_of
from scanner.workers.requests import Answer, Failed, ListDirectory, Listed, Request
from scanner.workers.worker import perform

_SERVE = "from scanner.workers.helper import main; main()"

LONG = 30_000
"""Entries after which a walk gets help. Listing them takes 0.1 s, and as long takes a helper to
start."""

MOST_HELPERS = 3
"""Taking in an answer needs a fifth of the time of a listing, so more would wait for this
process."""

BATCH = 16
"""Folders that a helper is asked for at a time. It has two batches, so that it never waits."""

LARGE_STATE = 1_000_000
"""Bytes of a state from which on the first scan of `run` is helped from its start: 10,000 files
have so many. To list them takes as long as a helper needs after this process has its imports."""

LARGEST = 1 << 14
"""Bytes of one batch. Two fit into a pipe, so this process never waits to send one."""

REAPED = 0.4
"""Seconds that a killed helper has to end, which on a busy machine may be 0.2. With three of them
the program still ends within 2 s of SIGTERM (rule 3)."""

POLL = 0.2
"""Seconds between checks for the end of the program."""

_READ = 1 << 20


class Helper:
    """This end of a process that lists folders. Raises OSError where it cannot be started, and
    EOFError or OSError once it has ended."""

    def __init__(self) -> None:
        # Ctrl-C does not end it, the end of this pipe does.
        self._child = start_child(_SERVE, stdin=subprocess.PIPE)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to_child = self._child.stdin
        self._from_child = self._child.stdout
        self._received = bytearray()
        self.under_way: dict[str, ListDirectory] = {}
        """The requests without an answer yet, by path."""
        self.is_up = False
        """True once it has started."""
        self.last_sign = time.monotonic()
        """When it last answered or was asked."""

    def fileno(self) -> int:
        """The descriptor that is readable when answers have come."""
        return self._from_child.fileno()

    def send(self, requests: Sequence[ListDirectory]) -> bool:
        """Have the folders listed; False if that is too much for the pipe."""
        frame = frame_of([tuple(request) for request in requests])
        if len(frame) > LARGEST:
            return False
        os.write(self._to_child.fileno(), frame)
        self.under_way.update((request.path, request) for request in requests)
        self.last_sign = time.monotonic()
        return True

    def receive(self) -> tuple[float, list[Answer]]:
        """The whole answers that have come, and the seconds that it worked for them."""
        data = os.read(self.fileno(), _READ)
        if not data:
            raise EOFError
        self.last_sign = time.monotonic()
        received = self._received
        received += data
        worked, answers, start = 0.0, list[Answer](), 0
        with memoryview(received) as view:
            while len(view) - start >= LENGTH.size:
                (length,) = LENGTH.unpack_from(view, start)
                end = start + LENGTH.size + length
                if len(view) < end:
                    break
                seconds, found = marshal.loads(view[start + LENGTH.size : end])  # of our own child
                worked += seconds
                answers += map(_answer_of, found)
                start = end
                self.is_up = True
        del received[:start]
        for answer in answers:
            del self.under_way[answer.path]
        return worked, answers

    def end(self) -> None:
        """End the process, whatever it does."""
        with suppress(OSError):
            self._child.kill()
        for pipe in (self._to_child, self._from_child):
            with suppress(OSError):
                pipe.close()
        # Reaps it; a process that hangs in the kernel is init's to reap.
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=REAPED)


def _answer_of(values: Plain) -> Answer:
    if len(values) == ERROR:
        return Failed(*values)
    return Listed(values[0], directory_of(values))


def helpers_at_most(workers: int) -> int:
    """How many helpers this machine has a processor for. `workers` is the setting."""
    if sys.platform == "win32":
        return 0  # pipes cannot be waited for there
    with suppress(AttributeError):  # macOS does not say
        return max(0, min(MOST_HELPERS, workers - 1, len(os.sched_getaffinity(0)) - 1))
    return max(0, min(MOST_HELPERS, workers - 1, (os.cpu_count() or 1) - 1))


@contextmanager
def helpers_from_the_start(
    workers: int, state: str, large: float = math.inf
) -> Iterator[list[Helper]]:
    """Helpers for a first scan: nothing stands at `state`, so everything has to be listed. The
    first scan of `run` lists everything, too: it has helpers where the state has `large` bytes.

    They start while this process still imports what a scan needs. Of 20,000 files the walk then
    takes 0.05 s of this process instead of 0.085. Whoever takes them out of the list ends them, and
    the block ends the others. `workers` is the setting.
    """
    helpers: list[Helper] = []
    try:
        if _size_of(state, math.inf) >= large:
            with suppress(OSError):
                while len(helpers) < helpers_at_most(workers):
                    helpers.append(Helper())
        yield helpers
    finally:
        end_helpers(helpers)


def taken(helpers: list[Helper]) -> list[Helper]:
    """Take all out of the list. Threads may do so at the same time: one of them has each."""
    found = []
    with suppress(IndexError):
        while True:
            found.append(helpers.pop())
    return found


def end_helpers(helpers: list[Helper]) -> None:
    """End helpers that nobody has taken out of the list."""
    for helper in taken(helpers):
        helper.end()


def _size_of(path: str, missing: float) -> float:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return missing
    except OSError:
        return 0  # the scan will say what is wrong


class HelpedWorker:
    """Answers in this process, and lets helpers answer as well once a walk turns out to be long.

    They end with the walk. What a helper does not answer, because it has ended or is silent for
    `patience` seconds, is answered here.
    """

    def __init__(
        self,
        files: FileSystem,
        most_helpers: int,
        patience: float,
        stopped: Callable[[], bool],
        *,
        long: int = LONG,
        start: Callable[[], Helper] = Helper,
        known: int = 0,
        helpers: Sequence[Helper] = (),
    ) -> None:
        """`long`: entries after which helpers start; at once if so many are `known` to be there.
        `helpers`: those that were started before."""
        self._files = files
        self._most_helpers = 0 if helpers else most_helpers
        self._patience = patience
        self._stopped = stopped
        self._long = long
        self._start = start
        self._requests: list[Request] = []
        self._answers: deque[Answer] = deque()
        self._helpers = list(helpers)
        self._known = known
        self._entries = 0
        self.helped_seconds = 0.0

    @property
    def in_process(self) -> FileSystem | None:
        return self._files

    def ask(self, request: Request) -> None:
        self._requests.append(request)

    def abandon(self) -> None:
        self._dismiss(self._helpers)
        self._requests.clear()
        self._answers.clear()

    def answer(self) -> Answer | None:
        while not self._answers:
            if self._helpers:
                self._share()
                has_work = any(helper.under_way for helper in self._helpers)
                self._receive(wait=has_work and not self._requests)
                if self._answers:
                    break
            if self._requests:
                # Last in, first out, as LocalWorker has it.
                return self._seen(perform(self._files, self._requests.pop()))
            if not any(helper.under_way for helper in self._helpers):
                self._dismiss(self._helpers)
                return None
        return self._answers.popleft()

    def _seen(self, answer: Answer) -> Answer:
        """`answer`, after which the walk may count as long."""
        if isinstance(answer, Listed) and self._most_helpers:
            self._entries += len(answer.directory.listing)
            if max(self._known, self._entries) >= self._long:
                with suppress(OSError):
                    while len(self._helpers) < self._most_helpers:
                        self._helpers.append(self._start())
                self._most_helpers = 0
        return answer

    def _share(self) -> None:
        """Give each helper that has little to do its share of the requests."""
        for helper in [each for each in self._helpers if each.is_up]:
            count = min(BATCH, len(self._requests) // (len(self._helpers) + 1))
            if count == 0 or len(helper.under_way) > BATCH:
                continue
            part = [each for each in self._requests[-count:] if isinstance(each, ListDirectory)]
            if len(part) < count:
                continue
            try:
                if helper.send(part):
                    del self._requests[-count:]
            except OSError:
                self._dismiss([helper])

    def _receive(self, *, wait: bool) -> None:
        """Take in what has come from helpers. `wait` for something to come."""
        ready, _, _ = select.select(self._helpers, [], [], POLL if wait else 0.0)
        lost = []
        for helper in ready:
            try:
                seconds, answers = helper.receive()
            except (EOFError, OSError):
                lost.append(helper)
                continue
            self.helped_seconds += seconds
            self._answers.extend(answers)
        if wait and not ready:
            silent = time.monotonic() - self._patience
            lost += [each for each in self._helpers if each.last_sign < silent or self._stopped()]
        self._dismiss(lost)

    def _dismiss(self, helpers: Sequence[Helper]) -> None:
        """End helpers, and take back what they have not answered."""
        for helper in list(helpers):
            self._helpers.remove(helper)
            self._requests.extend(helper.under_way.values())
            helper.end()
