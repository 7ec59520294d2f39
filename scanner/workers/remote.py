"""The parent's end of a worker process: sends requests, collects answers, notices a hang."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import BinaryIO

from scanner.disk.child import start_child
from scanner.workers.lost import LostWorkerError
from scanner.workers.process import CallCost, WorkerResult, WorkerTask, read_frame, write_frame
from scanner.workers.requests import Answer, Request, calls_of

_SERVE = "import sys; from scanner.workers.process import main; main(sys.argv[1:])"

POLL = 0.2
"""Seconds between checks for the end of the program and for a stalled mount."""

FROZEN = 1.0
"""Seconds more than `POLL` between two checks, from which on this program itself stood still: it
was stopped, or its machine was. Such a time is no silence of a mount."""

START_AFTER = 60.0
"""Seconds that a process has to start. That is no silence of its mount: on a busy or slow machine
Python alone may take longer to start than a mount may be silent."""

SMOOTHING = 8
"""A new measurement has the weight 1 / SMOOTHING in the running mean."""


class _Process:
    """One worker process, and measurements of its mount."""

    def __init__(
        self, most_workers: int, most_per_second: float, *, by_lookup: bool = False
    ) -> None:
        self.by_lookup = by_lookup
        """True if its mount is one where `Mount.lookups_bring_stats`."""
        # Ctrl-C does not end the worker, the end of this pipe does.
        arguments = str(most_workers), str(int(by_lookup))
        self._child = start_child(_SERVE, *arguments, stdin=subprocess.PIPE)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to_child: BinaryIO = self._child.stdin  # type: ignore[assignment]
        self._from_child: BinaryIO = self._child.stdout  # type: ignore[assignment]
        self._sending = threading.Lock()
        self._queues: dict[int, SimpleQueue[Answer | None]] = {}
        self._most_workers = most_workers
        self._spacing = 1 / most_per_second if most_per_second else 0.0
        self._next_send = 0.0
        self._cost = CallCost(0.0, 0.0)
        self.started = self.last_sign = time.monotonic()
        self.is_up = False
        """True once it has said that it has started."""
        self.is_abandoned = False
        self.has_answered = False
        """True once it has answered anything: its mount is then not simply dead."""
        self._has_ended = False
        threading.Thread(target=self._receive, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """True while the process exists."""
        return self._child.poll() is None

    @property
    def is_usable(self) -> bool:
        """True if it can take requests."""
        return not self.is_abandoned and not self._has_ended and self.is_alive

    @property
    def requests_at_once(self) -> int:
        """The number of requests that are worth having under way at a time.

        While one waits for the mount the interpreter is free for others: elapsed time divided by
        working time is the number that keeps it busy. On a local disk that is one, and more do harm
        (a million files take 5.2 s instead of 3.0). On sshfs with 1 ms round trips, 20,000 files
        in 2,041 folders took 148 s with 1 worker, 20.5 s with 8, 15.6 s with 16 and no less with
        32.
        """
        if not self._cost.worked:
            return 1
        return max(1, min(self._most_workers, math.ceil(self._cost.elapsed / self._cost.worked)))

    def open(self, session: int) -> SimpleQueue[Answer | None]:
        """Begin a session. Its answers come through the queue, and None if none will come."""
        queue: SimpleQueue[Answer | None] = SimpleQueue()
        self._queues[session] = queue
        if self._has_ended:
            queue.put(None)
        return queue

    def close(self, session: int) -> None:
        """End a session. Answers that still come are dropped."""
        self._queues.pop(session, None)

    def pause(self) -> float:
        """Seconds until the next request may be sent (the setting `requests_per_second`)."""
        return max(0.0, self._next_send - time.monotonic())

    def send(self, task: WorkerTask) -> None:
        """Pass a request on. The process reads at once, so this does not block."""
        spacing = self._spacing and self._spacing * calls_of(task.request)
        self._next_send = max(self._next_send, time.monotonic()) + spacing
        try:
            with self._sending:
                write_frame(self._to_child, task)
                self._to_child.flush()
        except (OSError, ValueError):
            self._fail()

    def abandon(self) -> None:
        """Leave the process to the hung mount. It ends when its call returns."""
        self.is_abandoned = True
        with suppress(OSError):
            self._child.kill()
        self._fail()

    def end(self) -> None:
        """Close the pipe; an idle process ends by itself then."""
        with suppress(OSError, ValueError):
            self._to_child.close()
        with suppress(OSError):
            self._child.kill()
        # Reaps it where it ended; a process that hangs in the kernel is init's to reap.
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=0.1)

    def _receive(self) -> None:
        with suppress(OSError, ValueError, EOFError):
            while (message := read_frame(self._from_child)) is not None:
                self.last_sign = time.monotonic()
                self.is_up = True
                if isinstance(message, WorkerResult):
                    self.has_answered = True
                    if message.cost is not None:
                        self._measure(message.cost)
                    queue = self._queues.get(message.session)
                    if queue is not None:
                        queue.put(message.answer)
        self._fail()
        with suppress(OSError):
            self._from_child.close()

    def _measure(self, cost: CallCost) -> None:
        """Keep a running mean."""
        old = self._cost if self._cost.elapsed else cost
        self._cost = CallCost(
            old.elapsed + (cost.elapsed - old.elapsed) / SMOOTHING,
            old.worked + (cost.worked - old.worked) / SMOOTHING,
        )

    def _fail(self) -> None:
        self._has_ended = True
        for queue in list(self._queues.values()):
            queue.put(None)


class _Session:
    """One use of a worker process. Requests and answers of other sessions do not appear."""

    in_process = None
    helped_seconds = 0.0

    _numbers = 0
    _numbering = threading.Lock()

    def __init__(
        self,
        process: _Process,
        stall_after: float,
        stopped: Callable[[], bool],
        patience: float | None,
    ) -> None:
        with _Session._numbering:
            _Session._numbers += 1
            self._number = _Session._numbers
        self._process = process
        self._stall_after = stall_after
        self._stopped = stopped
        self._patience = patience
        self._queue = process.open(self._number)
        self._waiting: deque[Request] = deque()
        self._under_way = 0

    def ask(self, request: Request) -> None:
        self._waiting.append(request)

    def answer(self) -> Answer | None:
        self._feed()
        if not self._under_way:
            self._process.close(self._number)
            return None
        asked = checked = time.monotonic()
        while True:
            try:
                answer = self._queue.get(timeout=POLL)
            except Empty:
                now, before = time.monotonic(), checked
                checked = now
                if now - before >= POLL + FROZEN:
                    asked = max(asked, self._process.last_sign) + (now - before)
                self._check(asked)
                continue
            if answer is None:
                raise self._lost("its worker ended", is_stalled=self._process.is_abandoned)
            self._under_way -= 1
            return answer

    def abandon(self) -> None:
        self._waiting.clear()
        self._process.close(self._number)

    def _feed(self) -> None:
        """Keep as many requests under way as are worth it. The last one in is the first one out,
        so that a walk holds few at a time, however wide the tree."""
        while self._waiting and self._under_way < self._process.requests_at_once:
            pause = self._process.pause()
            if pause and self._under_way:
                return  # answers first
            if pause:
                if self._stopped():
                    raise self._lost("stopping", is_stalled=False)
                time.sleep(min(pause, POLL))
                continue
            self._under_way += 1
            self._process.send(WorkerTask(self._number, self._waiting.pop()))

    def _check(self, asked: float) -> None:
        if self._stopped():
            raise self._lost("stopping", is_stalled=False)
        now, process = time.monotonic(), self._process
        silent = now - max(asked, process.last_sign)
        if self._patience is not None and silent >= self._patience:
            # The lane of the mount decides when it has stalled, not this caller.
            raise self._lost(f"no answer within {silent:.0f} s", is_stalled=True)
        if not process.is_up:
            if now - process.started >= START_AFTER:
                process.abandon()
                raise self._lost("its worker does not start", is_stalled=True)
        elif silent >= self._stall_after:
            process.abandon()
            raise self._lost(f"no call has returned for {silent:.0f} s", is_stalled=True)

    def _lost(self, reason: str, *, is_stalled: bool) -> LostWorkerError:
        self._process.close(self._number)
        return LostWorkerError(reason, is_stalled=is_stalled)
