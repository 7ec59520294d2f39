"""Seconds per call on a mount, measured through its worker."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from statistics import median

from scanner.core.paths import join
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.disk.probe import NAME_PREFIX
from scanner.workers.pool import Workers
from scanner.workers.requests import Answer, Probe, StatPath, Timed, Took
from scanner.workers.worker import Worker

STATS = 15
"""Number of stats, one after the other, whose median is the result."""


def latency(
    files: FileSystem, workers: Workers, path: str, mount: Mount, limit: float = 10.0
) -> float:
    """Seconds of one call on `mount`, which holds the folder `path`.

    It is the median of several stats, one after the other, of names that do not exist. Each name
    is new, so that no cache of the client answers. After `limit` seconds no further one is sent.
    """
    started = files.monotonic()
    seconds = []
    for name in _new_names([path] * STATS):
        answer = _answer(workers.of(mount), Timed(StatPath(name)))
        assert isinstance(answer, Took)
        seconds.append(answer.seconds)
        if files.monotonic() - started > limit:
            break
    return median(seconds)


def _answer(worker: Worker, request: Timed | Probe) -> Answer:
    """The answer to one request."""
    worker.ask(request)
    answer = worker.answer()
    worker.answer()
    assert answer is not None
    return answer


def _new_names(folders: Sequence[str]) -> list[str]:
    """A name that does not exist in each of `folders`, none twice."""
    token = secrets.token_hex(4)
    return [join(folder, f"{NAME_PREFIX}{token}-{n}") for n, folder in enumerate(folders)]


class _Pool:
    """Keeps as many requests under way as a scan of the mount would, and only a few waiting."""

    def __init__(self, workers: Workers, mount: Mount) -> None:
        self._workers = workers
        self._mount = mount
        self._worker: Worker = workers.of(mount)
        self._under_way = 0

    @property
    def is_busy(self) -> bool:
        """True while an answer is missing."""
        return self._under_way > 0

    def put(self, request: Timed) -> list[Took]:
        """Send a request; the answers that had to come first to make room for it."""
        taken = []
        while self._under_way > self._workers.requests_at_once(self._mount):
            taken.append(self.take())
        self._worker.ask(request)
        self._under_way += 1
        return taken

    def take(self) -> Took:
        """Wait for the next answer."""
        answer = self._worker.answer()
        assert isinstance(answer, Took)
        self._under_way -= 1
        return answer

    def drain(self) -> list[Took]:
        """Wait for all missing answers."""
        taken = [self.take() for _ in range(self._under_way)]
        self._worker.answer()
        return taken
