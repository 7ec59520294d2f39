"""A stream that neither stops nor fails the program: for stderr and the log file.

A log collector may stop reading, a reader may go away, a disk may be full, a mount may hang. None
of that may stop scans or the end of the program (rule 3, a hang stops nothing).
"""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable

PATIENCE = 0.2
"""Seconds that a write waits for its bytes to be out. So the order of stdout and stderr is kept, as
long as somebody reads."""

MOST_PENDING = 1 << 20
"""Bytes that wait for a reader. What comes then is dropped and counted."""

_RETRY = 0.05
"""Seconds between attempts at a stream that was opened by others not to wait."""


class Relay(io.RawIOBase):
    """Hands what is written to a thread, which alone may be stuck in the write to `descriptor`.

    `on_failure` is called with the first error of a row. Without it errors are silent, since there
    is no place left to report them. `follow` is called before each write, by that thread, and
    returns the descriptor to write to from then on.
    """

    def __init__(
        self,
        descriptor: int,
        on_failure: Callable[[OSError], None] = lambda error: None,
        follow: Callable[[int], int] = lambda descriptor: descriptor,
    ) -> None:
        self._descriptor = descriptor
        self._on_failure = on_failure
        self._follow = follow
        self._has_failed = False
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._pending = 0
        """Bytes that are not out, those in the hands of the thread included."""
        self._dropped = 0
        self._is_late = False
        """True after a write that was not out in time, until all is out: nothing waits then."""
        self._thread: threading.Thread | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        with self._changed:
            if self._pending + len(piece) > MOST_PENDING:
                self._dropped += 1
                return len(piece)
            self._waiting.append(piece)
            self._pending += len(piece)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="relay", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if not self._is_late:
            self._is_late = not self.drain(PATIENCE)
        return len(piece)

    def drain(self, seconds: float) -> bool:
        """Wait until all is out, at most `seconds`. True if it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = b"".join(self._waiting)
                self._waiting.clear()
                dropped, self._dropped = self._dropped, 0
            notice = f"({dropped} messages were dropped: nobody read them)\n" if dropped else ""
            self._deliver(data + notice.encode())
            with self._changed:
                self._pending -= len(data)
                self._is_late = self._is_late and self._pending > 0
                self._changed.notify_all()

    def _deliver(self, data: bytes) -> None:
        self._descriptor = self._follow(self._descriptor)
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
                self._has_failed = False
            except BlockingIOError:
                time.sleep(_RETRY)
            except OSError as error:
                if not self._has_failed:
                    self._has_failed = True
                    self._on_failure(error)
                return
