"""A worker in a separate process, for a mount that may hang.

A process with a thread stuck on a hung network or FUSE mount cannot end, not even by SIGKILL, and
keeps the locks and files that it holds; its parent can end. So the process that asks such a mount
is started by exec, holds no lock and no file of ours, and is abandoned when nothing returns
(rule 3, a hang stops nothing).

A frame on either pipe is a length in four bytes and a pickle: both ends are this program.
"""

from __future__ import annotations

import pickle
import struct
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any, BinaryIO, NamedTuple

from scanner.disk.filesystem import DiskFileSystem
from scanner.workers.requests import Answer, Request
from scanner.workers.worker import perform

_LENGTH = struct.Struct("<I")

BEAT = 1.0
"""Seconds between signs of life while calls return."""


class WorkerTask(NamedTuple):
    """A request in one session of the parent."""

    session: int
    request: Request


class CallCost(NamedTuple):
    """The elapsed seconds of a call, and the seconds of processor time in it."""

    elapsed: float
    worked: float


class WorkerResult(NamedTuple):
    """The answer to a task. It has a cost only if nothing else was under way meanwhile."""

    session: int
    answer: Answer
    cost: CallCost | None


class Hello(NamedTuple):
    """The first message: the process has started. No call on the mount was made yet."""


class Beat(NamedTuple):
    """A sign of life: calls on the mount have returned since the last one."""

    calls: int


def read_frame(pipe: BinaryIO) -> Any:
    """The next message; None at the end of the pipe."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length)
    return pickle.loads(body) if len(body) == length else None  # of our own child


def write_frame(pipe: BinaryIO, message: object) -> None:
    """Send a message."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(body)) + body)


class _Server:
    """Answers the parent's tasks with several threads, each a whole directory at a time."""

    def __init__(
        self, source: BinaryIO, sink: BinaryIO, workers: int, *, by_lookup: bool = False
    ) -> None:
        self._source = source
        self._sink = sink
        self._files = DiskFileSystem(by_lookup=by_lookup)
        self._tasks: SimpleQueue[WorkerTask] = SimpleQueue()
        self._sending = threading.Lock()
        self._busy = 0  # counted without a lock: a wrong count only spoils a measurement
        for _ in range(workers):
            # Daemons: a thread stuck on the mount must not keep the interpreter from ending.
            threading.Thread(target=self._work, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def run(self) -> None:
        self._send(Hello())
        while (task := read_frame(self._source)) is not None:
            self._tasks.put(WorkerTask(*task))

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            self._busy += 1
            is_alone = self._busy == 1
            started, worked = time.perf_counter(), time.thread_time()
            answer = perform(self._files, task.request)
            cost = CallCost(time.perf_counter() - started, time.thread_time() - worked)
            is_alone = is_alone and self._busy == 1
            self._busy -= 1
            self._send(WorkerResult(task.session, answer, cost if is_alone else None))

    def _beat(self) -> None:
        known = 0
        while True:
            time.sleep(BEAT)
            calls = self._files.returned()
            if calls != known:
                known = calls
                self._send(Beat(calls))

    def _send(self, message: object) -> None:
        with self._sending:
            write_frame(self._sink, message)
            self._sink.flush()


def main(arguments: list[str]) -> None:
    """Serve until the parent closes the pipe. `arguments`: the number of workers, and 1 if stats
    come by lookup (`Mount.lookups_bring_stats`)."""
    workers, by_lookup = map(int, arguments)
    _Server(sys.stdin.buffer, sys.stdout.buffer, workers, by_lookup=bool(by_lookup)).run()
