"""The interval of `--every auto`: it follows from what scans take.

Every measured duration comes in as a number, and an interval goes out. No clock and no I/O.
"""

from __future__ import annotations

from collections import deque

from scanner.walk.cost import INTERVALS, fitting

KEPT = 3
"""Number of recent scans whose median counts, so that a single slow scan changes nothing."""

WANTED = 2
"""Scans to measure before the interval changes: a single one may be the slow one."""

SPARE = 0.75
"""Hysteresis: the interval becomes shorter only if a scan needs at most this fraction of its
budget. Without it, an interval at its limit would change with every scan."""


class Pace:
    """The interval of one lane, kept so that its scans take at most `auto_duty` of the time."""

    def __init__(self, auto_duty: float, first: float) -> None:
        self.every = first
        """Seconds between scans."""
        self._auto_duty = auto_duty
        self._recent: deque[float] = deque(maxlen=KEPT)
        self._has_begun = False

    @property
    def typical(self) -> float:
        """Median duration of the recent scans in seconds."""
        return sorted(self._recent)[(len(self._recent) - 1) // 2]

    def measured(self, seconds: float) -> bool:
        """Record the duration of a scan. Returns True if that changed the interval.

        The first scan does not count, because it lists everything into a cold cache.
        """
        if not self._has_begun:
            self._has_begun = True
            return False
        self._recent.append(seconds)
        if len(self._recent) < WANTED:
            return False
        before = self.every
        if self.typical > self._auto_duty * self.every:
            self.every = self._fitting(self._auto_duty)
        else:
            self.every = min(self.every, self._fitting(self._auto_duty * SPARE))
        return self.every != before

    def _fitting(self, auto_duty: float) -> float:
        typical = self.typical
        return fitting(lambda every: typical, auto_duty) or INTERVALS[-1]
