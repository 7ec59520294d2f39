"""What the program has to keep to at a million files: ratios of medians of paired runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import (
    FIND,
    FINGERPRINTS,
    FIRST,
    FULL,
    ONE,
    OURS,
    RESTART,
    UNCHANGED,
    WATCHDOG,
    Size,
    median,
)

FROM_FILES = 1_000_000
"""Targets hold from this size on: with few files the start of Python is most of what is seen."""


@dataclass(frozen=True)
class Target:
    """One figure, and the most that it may be."""

    name: str
    most: float
    unit: str
    value: Callable[[Size], float | None]
    """The figure on one tree; None where it was not measured."""

    def verdict(self, size: Size) -> str:
        """`met`, `not met`, or nothing where the target does not apply."""
        value = self.value(size)
        if value is None or size.files < FROM_FILES:
            return ""
        return "met" if value <= self.most else "not met"


def _against(scenario: str, who: str) -> Callable[[Size], float | None]:
    def value(size: Size) -> float | None:
        ours, theirs = size.seconds(scenario, OURS), size.seconds(scenario, who)
        return ours / theirs if ours is not None and theirs else None

    return value


def _publishing(size: Size) -> float | None:
    told = size.publishing
    pairs = zip(told.commit, told.publish, strict=True)
    ours, theirs = median([commit + publish for commit, publish in pairs]), median(told.copy)
    return ours / theirs if ours is not None and theirs else None


def _memory(size: Size) -> float | None:
    """The most in what the other targets are about, and in taking fingerprints before that."""
    lines = (size.find(scenario, OURS) for scenario in (FIRST, UNCHANGED, FULL, ONE, RESTART))
    peaks = [line.peak_mb for line in lines if line is not None and line.peak_mb is not None]
    if FINGERPRINTS in size.peaks:
        peaks.append(size.peaks[FINGERPRINTS])
    return max(peaks, default=None)


TARGETS = (
    Target("unchanged scan : find", 0.25, "", _against(UNCHANGED, FIND)),
    Target("first scan : find", 3.0, "", _against(FIRST, FIND)),
    Target("full verification : find", 2.0, "", _against(FULL, FIND)),
    Target("unchanged scan : watchdog", 0.05, "", _against(UNCHANGED, WATCHDOG)),
    Target("commit and publish : copy and sync", 1.5, "", _publishing),
    Target("restart : find", 2.5, "", _against(RESTART, FIND)),
    Target("peak memory", 250.0, " MB", _memory),
)
