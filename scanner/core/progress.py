"""The progress of walks and of reading files, and the interface that displays it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Remaining(NamedTuple):
    """Number of files that wait to be read, and their bytes."""

    files: int
    bytes: int

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Remaining:
        """The number and the sum of `sizes`."""
        files = bytes_ = 0
        for size in sizes:
            files += 1
            bytes_ += size
        return cls(files, bytes_)


@dataclass(frozen=True)
class Progressed:
    """Files and bytes that a reader has read since it began, and those that are left."""

    files: int
    bytes: int
    left: Remaining


class Display:
    """Progress display; the base class displays nothing."""

    def walking(self, progress: Progress) -> None:
        """Display the progress of a walk."""

    def reading(self, done: Progressed, what: str = "fingerprints") -> None:
        """Display the progress of a reader that takes `what`."""

    def headers(self, files: int) -> None:
        """Display that the headers of so many files have been read; how many wait is not known."""

    def settling(self, seconds: float) -> None:
        """Display that reading waits for so many seconds, until new files count as at rest."""

    def idle(self) -> None:
        """Remove the display: the work has ended."""


class Progress(NamedTuple):
    """Directories, files and bytes that a walk has met so far."""

    directories: int
    files: int
    bytes: int
