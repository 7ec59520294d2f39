"""Workers by mount: this process answers for local disks, a separate process for each other mount.

The main process makes no call on a remote or unknown mount, not even stat. A process that hangs
there cannot be ended and would take the lock and the outputs with it (rule 3, a hang stops
nothing).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.workers.lost import LostWorkerError
from scanner.workers.worker import LocalWorker, Worker

if TYPE_CHECKING:
    from scanner.settings.schema import Settings
    from scanner.workers.helped import Helper
    from scanner.workers.remote import _Process

LONGEST_PAUSE = 300.0
"""Longest pause, in seconds, before a mount that stalls again and again is asked again."""


def _never() -> bool:
    return False


class Workers(Protocol):
    """Gives workers by mount."""

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        """A worker for `mount`, with nothing asked yet. Raises LostWorkerError.

        `patience`: raise LostWorkerError for this caller after so many seconds without an answer.
        The mount itself is not marked as stalled.
        """
        ...

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        """The same for a walk that lists everything, of which `known` entries: on a local disk,
        further processes may help. Raises LostWorkerError."""
        ...

    def apart(self, mount: Mount) -> Worker:
        """A worker for `mount` in a separate process, even on a local disk. Raises
        LostWorkerError."""
        ...

    def requests_at_once(self, mount: Mount) -> int:
        """The number of requests that are under way at a time on `mount`."""
        ...


class LocalWorkers:
    """Answers for every mount in this process: for tests on a fake file system."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        return LocalWorker(self._files)

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        return self.of(mount)

    def apart(self, mount: Mount) -> Worker:
        return LocalWorker(self._files)

    def requests_at_once(self, mount: Mount) -> int:
        return 1


class WorkersByMount:
    """Answers for local disks in this process, for every other mount in a separate process.

    `_lock` guards the tables of processes and pauses, which all lanes use.
    """

    def __init__(
        self,
        files: FileSystem,
        *,
        stall_after: float,
        most_workers: int,
        stopped: Callable[[], bool] = _never,
        most_per_second: float = 0.0,
    ) -> None:
        """`stall_after` in seconds, `most_workers` threads in each process, `most_per_second`
        requests to each mount (0 for no limit)."""
        self._files = files
        self._most_per_second = most_per_second
        self._stall_after = stall_after
        self._most_workers = most_workers
        self._stopped = stopped
        self._lock = threading.Lock()
        self._processes: dict[str, _Process] = {}
        self._helpers: list[Helper] = []
        self._stalls: dict[str, int] = {}
        """The number of times in a row that the worker of a mount was abandoned, by mount point."""
        self._not_before: dict[str, float] = {}

    @classmethod
    def from_settings(
        cls, settings: Settings, files: FileSystem, stopped: Callable[[], bool] = _never
    ) -> Self:
        """Workers with the limits of `settings`, which give up waiting once `stopped`."""
        return cls(
            files,
            stall_after=settings.stall_after,
            most_workers=settings.workers,
            stopped=stopped,
            most_per_second=settings.requests_per_second,
        )

    def lend(self, helpers: list[Helper]) -> None:
        """Let the first long walk of a local disk take all of `helpers` out of this list."""
        self._helpers = helpers

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        return self.apart(mount, patience) if mount.is_remote else LocalWorker(self._files)

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        if mount.is_remote:
            return self.apart(mount)
        from scanner.workers.helped import HelpedWorker, helpers_at_most, taken

        most = helpers_at_most(self._most_workers)
        ready = taken(self._helpers)
        return HelpedWorker(
            self._files, most, self._stall_after, self._stopped, known=known, helpers=ready
        )

    def apart(self, mount: Mount, patience: float | None = None) -> Worker:
        from scanner.workers.remote import _Session  # local disks need no process

        with self._lock:
            process = self._processes.get(mount.point)
            if process is not None and process.is_abandoned and process.is_alive:
                raise LostWorkerError("its worker still hangs", is_stalled=True)
            if process is not None and process.has_answered:
                self._stalls.pop(mount.point, None)
            is_other = process is not None and process.by_lookup != mount.lookups_bring_stats
            if process is not None and (is_other or not process.is_usable):
                if process.is_abandoned:
                    self._back_off(mount.point)
                process.end()
                process = None
                del self._processes[mount.point]
            if process is None:
                if time.monotonic() < self._not_before.get(mount.point, 0.0):
                    raise LostWorkerError("it keeps hanging; asked again later", is_stalled=True)
                process = self._start(mount)
                self._processes[mount.point] = process
        return _Session(process, self._stall_after, self._stopped, patience)

    def _start(self, mount: Mount) -> _Process:
        """A new process. Raises LostWorkerError where the system has no more to give."""
        from scanner.workers.remote import _Process

        try:
            return _Process(
                self._most_workers,
                self._most_per_second,
                by_lookup=mount.lookups_bring_stats,
            )
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LostWorkerError(
                f"its worker cannot be started: {reason}", is_stalled=False
            ) from error

    def _back_off(self, point: str) -> None:
        """Ask a mount that stalls again and again ever less: at once after the first time, then
        after one, three, seven ... times `stall_after`."""
        count = self._stalls[point] = self._stalls.get(point, 0) + 1
        pause = min(LONGEST_PAUSE, self._stall_after * (2 ** (count - 1) - 1))
        self._not_before[point] = time.monotonic() + pause

    def readers(self, mount: Mount) -> int:
        """The number of files that are worth reading whole at a time on `mount`: one, whose
        reading is as fast as the disk or the network."""
        return 1

    def requests_at_once(self, mount: Mount) -> int:
        process = self._processes.get(mount.point)
        return 1 if process is None else process.requests_at_once

    def close(self) -> None:
        """Let all processes end. Processes that hang are left behind."""
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process.end()
