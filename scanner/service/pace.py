"""How often to scan, from what a scan takes and the share of the time that it may take.

No clock and no I/O: seconds come in, and an interval goes out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median_low

STEPS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1200.0,
         1800.0, 2700.0, 3600.0)  # fmt: skip
"""Seconds between scans that a lane may choose: round ones, about half as much again each."""

KEPT = 3
"""Scans that count. Their median passes over a single slow one."""

WANTED = 2
"""Scans to measure before anything is concluded: one alone may be the slow one."""

SPARE = 0.75
"""Part of its share of the time that a scan must fit into before it comes more often: else an
interval whose limit it is at would come and go with every scan."""


def fitting(
    seconds: Callable[[float], float], duty: float, intervals: Sequence[float] = STEPS
) -> float | None:
    """The shortest of `intervals` at which a scan takes at most `duty` of the time; None where
    there is none. `seconds` says what a scan takes at an interval."""
    return next((every for every in intervals if seconds(every) <= duty * every), None)


def verification_duty(duty: float, of: float) -> float:
    """The share of the time for verification where all of a scan has the share `of`: `duty`, but
    at most half.

    More, and there might be no interval that fits: what is verified in a scan grows with the
    interval, and so does what the scan takes.
    """
    return min(duty, of / 2)


class Pace:
    """The interval of one lane, kept so that its scans take at most `duty` of the time."""

    def __init__(self, duty: float, first: float) -> None:
        self.every = first
        """Seconds between scans."""
        self._duty = duty
        self._recent: deque[float] = deque(maxlen=KEPT)
        self._has_begun = False

    @property
    def typical(self) -> float:
        """Seconds that a scan takes as a rule."""
        return median_low(self._recent)

    def measured(self, seconds: float) -> bool:
        """Note what a scan took; whether that has changed the interval.

        The first one does not count: it lists everything, into a cold cache.
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
