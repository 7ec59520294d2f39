"""Choose how often to scan, from the duration of scans and the share of the time they may take.

Nothing here does I/O or asks a clock: seconds come in, and an interval goes out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median_low

STEPS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1200.0,
         1800.0, 2700.0, 3600.0)  # fmt: skip
"""Seconds between scans that a lane may choose. Each is about half as much again as the last."""

KEPT = 3
"""Number of recent scans whose median counts, so that a single slow scan changes nothing."""

WANTED = 2
"""Scans to measure before the interval changes: one alone may be the slow one."""

SPARE = 0.75
"""Hysteresis: shorten the interval only if a scan needs less than this fraction of its share of the
time. Without it, a lane at the limit of an interval would change it with every scan."""


def fitting(
    seconds: Callable[[float], float], duty: float, intervals: Sequence[float] = STEPS
) -> float | None:
    """Choose the shortest of `intervals` at which a scan takes at most `duty` of the time; None if
    there is none. `seconds` gives the duration of a scan at an interval."""
    return next((every for every in intervals if seconds(every) <= duty * every), None)


def verification_duty(duty: float, of: float) -> float:
    """Limit the share of the time for verification, `duty`, to half of the share `of` whole scans.

    With more, no interval might fit: a scan verifies more the longer the interval is, and so
    takes longer.
    """
    return min(duty, of / 2)


class Pace:
    """Keeps the interval of one lane such that its scans take at most `duty` of the time."""

    def __init__(self, duty: float, first: float) -> None:
        self.every = first
        """Seconds between scans."""
        self._duty = duty
        self._recent: deque[float] = deque(maxlen=KEPT)
        self._has_begun = False

    @property
    def typical(self) -> float:
        """Seconds that a scan takes: the median of the recent ones."""
        return median_low(self._recent)

    def measured(self, seconds: float) -> bool:
        """Record the duration of a scan. True if the interval changed.

        The first scan does not count: it lists everything, into a cold cache.
        """
        if not self._has_begun:
            self._has_begun = True
            return False
        self._recent.append(seconds)
        if len(self._recent) < WANTED:
            return False
        before = self.every
        if self.typical > self._duty * self.every:
            self.every = self._fitting(self._duty)
        else:
            self.every = min(self.every, self._fitting(self._duty * SPARE))
        return self.every != before

    def _fitting(self, duty: float) -> float:
        typical = self.typical
        return fitting(lambda every: typical, duty) or STEPS[-1]
