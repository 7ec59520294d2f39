"""The loss of a worker, known without the machinery of worker processes."""

from __future__ import annotations


class LostWorkerError(Exception):
    """A worker does not answer: its mount hangs (`is_stalled`), it died, or we are stopping."""

    def __init__(self, reason: str, *, is_stalled: bool) -> None:
        super().__init__(reason)
        self.is_stalled = is_stalled
