"""What the program has to keep to, by number of files: ratios of medians of paired runs, memory.

The numbers are data (`TARGETS`, and `STARTS` for the start of a process). A figure has a verdict at
the sizes that a target is set for, and none at others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import (
    EVERY_5S,
    FIND,
    FINGERPRINTS,
    FIRST,
    FULL,
    ONE,
    OURS,
    PERCENT,
    RESTART,
    UNCHANGED,
    Line,
    Size,
    median,
)

WALL = "wall"
CPU = "cpu"

SMALL, MIDDLE, LARGE, MILLION = 2_000, 20_000, 200_000, 1_000_000

PEERS_LOOK_AT_ALL = (EVERY_5S, FULL)
"""Scenarios in which the others do what they do in an unchanged scan: look at everything."""

Measure = Callable[[Size, str, str], float | None]
"""The figure of one program on one tree by one clock; None where it was not measured."""


@dataclass(frozen=True)
class Target:
    """One figure, and the most that it may be at each size."""

    name: str
    most: Mapping[int, float]
    """By number of files."""
    measure: Measure
    unit: str = field(default="")

    def value(self, size: Size, who: str = OURS, clock: str = WALL) -> float | None:
        """The figure of `who`; None where it was not measured."""
        return self.measure(size, who, clock)

    def verdict(self, size: Size) -> str:
        """`met`, `not met`, or nothing where no target is set or nothing was measured."""
        value, most = self.value(size), self.most.get(size.files)
        if value is None or most is None:
            return ""
        return judged(value, most)


def judged(value: float, most: float) -> str:
    """The verdict on a figure that was measured."""
    return "met" if value <= most else "not met"


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    above, below = median(ours), median(theirs)
    return above / below if above is not None and below else None


def _times(line: Line | None, clock: str) -> list[float]:
    if line is None:
        return []
    return line.wall if clock == WALL else line.cpu


def _to_find(scenario: str) -> Measure:
    def measure(size: Size, who: str, clock: str) -> float | None:
        done = UNCHANGED if who != OURS and scenario in PEERS_LOOK_AT_ALL else scenario
        taken, found = (_times(size.find(done, name), clock) for name in (who, FIND))
        return _ratio(taken, found)

    return measure


def _publishing(size: Size, who: str, clock: str) -> float | None:
    """The program alone: what the others tell they do not keep."""
    if who != OURS:
        return None
    told = size.publishing
    if clock == WALL:
        return _ratio(_sums(told.commit, told.publish), told.copy)
    return _ratio(_sums(told.commit_cpu, told.publish_cpu), told.copy_cpu)


def _sums(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [one + other for one, other in zip(first, second, strict=True)]


def _memory(*scenarios: str) -> Measure:
    """The most in these scenarios; of the program also in taking fingerprints before them."""

    def measure(size: Size, who: str, clock: str) -> float | None:
        if clock != WALL:
            return None
        lines = (size.find(scenario, who) for scenario in scenarios)
        peaks = [line.peak_mb for line in lines if line is not None and not line.peak_is_bound]
        if who == OURS:
            peaks.append(size.peaks.get(FINGERPRINTS))
        return max((peak for peak in peaks if peak is not None), default=None)

    return measure


_IN_MEMORY = (FIRST, UNCHANGED, EVERY_5S, FULL, ONE, RESTART)


def _by_size(*most: float | None) -> dict[int, float]:
    sizes = zip((SMALL, MIDDLE, LARGE, MILLION), most, strict=True)
    return {files: limit for files, limit in sizes if limit is not None}


TARGETS = (
    Target("unchanged scan : find", _by_size(1.5, 1.4, 0.2, 0.15), _to_find(UNCHANGED)),
    Target("the same, --every 5s : find", _by_size(1.5, 0.4, 0.2, 0.15), _to_find(EVERY_5S)),
    Target("first scan : find", _by_size(25, 5, 2.6, 2.4), _to_find(FIRST)),
    Target("full verification : find", _by_size(1.6, 1.45, 1.45, 1.4), _to_find(FULL)),
    Target("1 % changed : find", _by_size(None, 2.2, 2, 2), _to_find(PERCENT)),
    Target("restart : find", _by_size(25, 4, 2, 1.8), _to_find(RESTART)),
    Target("commit and publish : copy and sync", _by_size(2, 1.5, 1.3, 1.3), _publishing),
    Target("peak memory", _by_size(45, 48, 65, 130), _memory(*_IN_MEMORY), " MB"),
    Target("the same, 1 % changed as well", {}, _memory(*_IN_MEMORY, PERCENT), " MB"),
)

STARTS = {"--version": 4.0, "--help": 10.0, "status": 12.0, "scan": 15.0}
"""The most that a command of the sample installation may cost, in `python -c pass`."""

START = "start of {} : python -c pass"
"""The name of its figure."""
