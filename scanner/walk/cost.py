"""The cost of scans, and the shortest interval that fits it (rule 5, re-verification and `duty`).

`doctor` estimates a cost and `tune` measures one. `--every auto` chooses from the same intervals by
the scans that it runs. Durations are in seconds. No I/O and no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from scanner.settings.schema import Settings
from scanner.walk.verification import Terms, share_of

INTERVALS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0,
             1200.0, 1800.0, 2700.0, 3600.0)  # fmt: skip
"""Intervals to choose from: round numbers, about half as much again each."""


@dataclass(frozen=True)
class ScanCost:
    """The duration of scans that find nothing new."""

    directories: int
    everything: float
    """Seconds of a scan that lists every directory."""
    quiet: float | None
    """Seconds of a scan that asks directories for their mtime only; None if mtimes spare nothing,
    so that every scan lists everything."""

    @property
    def unchanged(self) -> float:
        """Seconds of a scan without re-verification."""
        return self.everything if self.quiet is None else self.quiet

    def listing_everything(self) -> ScanCost:
        """The cost while directory mtimes are not trusted."""
        return replace(self, quiet=None)

    def turn(self, terms: Terms) -> float:
        """Fraction of the directories that one scan lists for re-verification."""
        if self.quiet is None:
            return 1.0
        directories = max(1, self.directories)
        return share_of(directories, terms, self.everything / directories) / directories

    def scan(self, terms: Terms) -> float:
        """Seconds of a scan with re-verification."""
        return self.unchanged + self.turn(terms) * (self.everything - self.unchanged)

    def period(self, terms: Terms) -> float:
        """Seconds within which every file is read again."""
        return terms.interval / self.turn(terms)


@dataclass(frozen=True)
class Budget:
    """The settings that limit what scans cost."""

    auto_duty: float
    """The most of the time that scans may take."""
    verify_within: float
    duty: float
    """The most of the time that re-verification may take."""

    @classmethod
    def of(cls, settings: Settings) -> Budget:
        """The limits in `settings`."""
        return cls(settings.auto_duty, settings.verify_within, settings.duty)

    def terms(self, every: float, duty: float) -> Terms:
        """Terms of scans that start `every` seconds apart."""
        return Terms(every, self.verify_within, duty)


class Choice(NamedTuple):
    """An interval in seconds, None if none fits, and the share of the time for re-verification."""

    every: float | None
    duty: float


def choose(cost: ScanCost, budget: Budget) -> Choice:
    """The shortest interval at which scans take at most `auto_duty` of the time.

    Re-verification keeps its `duty` if that makes the interval no longer.
    """

    def shortest(duty: float) -> float | None:
        return fitting(lambda every: cost.scan(budget.terms(every, duty)), budget.auto_duty)

    reduced = verification_duty(budget.duty, budget.auto_duty)
    every = shortest(reduced)
    keeps_duty = every is None or shortest(budget.duty) == every
    return Choice(every, budget.duty if keeps_duty else reduced)


def fitting(scan: Callable[[float], float], auto_duty: float) -> float | None:
    """The shortest interval at which a scan takes at most `auto_duty` of the time; None if none.

    `scan` returns the seconds of a scan at an interval.
    """
    return next((every for every in INTERVALS if scan(every) <= auto_duty * every), None)


def verification_duty(duty: float, auto_duty: float) -> float:
    """The share of the time for re-verification if whole scans have `auto_duty`: at most half.

    With more, no interval might fit: a longer interval has more to verify in each scan, and so its
    scans take longer.
    """
    return min(duty, auto_duty / 2)
