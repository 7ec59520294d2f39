"""How far a walk or a read has come, and the interface that displays it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Remaining(NamedTuple):
    """Files that wait, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Progressed:
    """How far the backlog has come since it was started."""

    files: int
    bytes: int
    left: Remaining


class Display:
    """What a terminal shows while work goes on; this one shows nothing."""

    def walking(self, progress: Progress) -> None:
        """A walk has come so far."""

    def reading(self, done: Progressed, what: str = "fingerprints") -> None:
        """The backlog has come so far; `what` is taken."""

    def idle(self) -> None:
        """Nothing is going on."""


class Progress(NamedTuple):
    """How far a walk has come."""

    directories: int
    files: int
    bytes: int
