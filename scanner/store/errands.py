"""Writing what readers see, on a mount that may hang, without waiting for it (rule 3).

What is committed stands in the state, on a local disk. Journal, inventory and status only follow
it. So nobody has to wait for a write of them that does not end: the next one makes up for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from scanner.errors import OutputError

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a lane waits for a write where the mount of the output may hang."""


class Errand:
    """One kind of writing; only one thread does it at a time.

    `patience` is how long a caller waits for it, in seconds; None: until it is done. A write that
    takes longer goes on by itself, and callers do without until it has ended. `_lock` is held
    while it is done; `_guard` guards the rest.
    """

    def __init__(self, what: str, stall_after: float) -> None:
        """`what` is written, in words. A write that has not ended after `stall_after` seconds is
        logged, once."""
        self.patience: float | None = None
        self._what = what
        self._stall_after = stall_after
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        self._left_at: float | None = None
        """When a write began that nobody waits for any more, by the monotonic clock."""
        self._is_told = False

    @property
    def is_late(self) -> bool:
        """True if a write is under way that nobody waits for any more."""
        return self._left_at is not None

    def run(self, write: Callable[[], bool]) -> bool:
        """Do `write`; its result, and False where nobody waits for it. Raises what it raises."""
        patience = self.patience
        if patience is None:
            with self._lock:
                return write()
        if not self._lock.acquire(timeout=0 if self.is_late else patience):
            self._tell()
            return False
        job = _Job(write)
        try:
            threading.Thread(target=self._do, args=(job,), name=self._what, daemon=True).start()
        except BaseException:  # the system has no thread to give now
            self._lock.release()
            raise
        job.done.wait(patience)
        with self._guard:
            if not job.done.is_set():
                self._left_at = job.started
                return False
        return job.result()

    def _do(self, job: _Job) -> None:
        try:
            job.do()
        finally:
            with self._guard:
                was_left, self._left_at = self.is_late, None
                was_told, self._is_told = self._is_told, False
                job.done.set()
            self._lock.release()
        if was_told:
            log.info("The %s could be written again.", self._what)
        if was_left and isinstance(job.error, OutputError):
            log.error("%s", job.error)

    def _tell(self) -> None:
        with self._guard:
            began = self._left_at
            is_stalled = began is not None and time.monotonic() - began >= self._stall_after
            if self._is_told or not is_stalled:
                return
            self._is_told = True
        log.warning(
            "The %s cannot be written: the mount that it lies on does not answer. Scans go on, and "
            "nothing is lost.",
            self._what,
        )


class _Job:
    """A write, and what became of it."""

    def __init__(self, write: Callable[[], bool]) -> None:
        self.started = time.monotonic()
        self.done = threading.Event()
        self.error: BaseException | None = None
        self._write = write
        self._result = False

    def do(self) -> None:
        try:
            self._result = self._write()
        except BaseException as error:
            self.error = error

    def result(self) -> bool:
        if self.error is not None:
            raise self.error
        return self._result
