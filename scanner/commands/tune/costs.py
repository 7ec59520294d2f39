"""From measured scans to the cost of each interval. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from scanner.core.serialize import path_fields, readable
from scanner.disk.mounts import Mount
from scanner.service.pace import fitting, verification_duty
from scanner.settings.values import format_duration
from scanner.walk.verification import Terms, share_of

INTERVALS = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
"""Seconds between scans whose cost is told."""


class Spent(NamedTuple):
    """What a scan, or a mean of scans, cost. `cpu` in seconds of one core, of all processes."""

    seconds: float = 0.0
    cpu: float = 0.0
    folders: float = 0
    """Folders that the scan covered."""
    listings: float = 0
    """Folders that were listed."""
    entries: float = 0
    """Entries whose size and time were read, in folders that were listed."""
    stats: float = 0
    """Folders that were asked for their time alone, roots for their health."""
    samples: float = 0
    """Files that were read from, for fingerprints."""

    @property
    def calls(self) -> float:
        """All that was asked of the file system."""
        return self.listings + self.entries + self.stats + self.samples

    def plus(self, other: Spent) -> Spent:
        """Both together."""
        return Spent(*(a + b for a, b in zip(self, other, strict=True)))

    def towards(self, other: Spent, part: float) -> Spent:
        """What lies between this (0) and `other` (1)."""
        return Spent(*(a + (b - a) * part for a, b in zip(self, other, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seconds": _rounded(self.seconds),
            "cpu_seconds": _rounded(self.cpu),
            "calls": round(self.calls),
            "folders_listed": round(self.listings),
            "entries_stated": round(self.entries),
            "folders_stated": round(self.stats),
            "files_sampled": round(self.samples),
        }


def typical(scans: Sequence[Spent]) -> Spent:
    """The medians of several."""
    return Spent(*(median(column) for column in zip(*scans, strict=True)))


class Row(NamedTuple):
    """What scanning every so many seconds costs, and brings."""

    every: float
    seconds: float
    """Of one scan, with its turn of verification."""
    cpu_share: float
    """Of one core."""
    busy_share: float
    """Of the time, in which the disk or the mount is asked something."""
    calls_per_second: float
    seen_within: float
    """Seconds until a new, removed or renamed file is seen, at worst."""
    verified_within: float
    """Seconds until a file that was rewritten in place is seen, at worst."""

    @property
    def share(self) -> float:
        """The larger of both shares."""
        return max(self.cpu_share, self.busy_share)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "every": format_duration(self.every),
            "every_seconds": self.every,
            "scan_seconds": _rounded(self.seconds),
            "cpu_share": _rounded(self.cpu_share),
            "busy_share": _rounded(self.busy_share),
            "calls_per_second": _rounded(self.calls_per_second),
            "seen_within_seconds": _rounded(self.seen_within),
            "verified_within_seconds": _rounded(self.verified_within),
        }


@dataclass(frozen=True)
class Cost:
    """What scans of one lane cost."""

    everything: Spent
    """A scan that lists every folder."""
    quiet: Spent | None
    """A scan that asks folders for their times and finds nothing new; None where every scan lists
    everything."""
    settle: float
    """Seconds for which a change may hide behind an equal time, or in a cache."""

    @property
    def unchanged(self) -> Spent:
        """A scan that finds nothing new, but for its turn of verification."""
        return self.everything if self.quiet is None else self.quiet

    def scan(self, terms: Terms) -> Spent:
        """A scan that finds nothing new and verifies its turn."""
        if self.quiet is None:
            return self.everything
        return self.quiet.towards(self.everything, self._turn(terms) / self.everything.folders)

    def period(self, terms: Terms) -> float:
        """Seconds in which every file is read again."""
        if self.quiet is None:
            return terms.interval
        return self.everything.folders / self._turn(terms) * terms.interval

    def row(self, terms: Terms) -> Row:
        """What the interval in `terms` costs."""
        scan, every = self.scan(terms), terms.interval
        # A scan that takes longer than the interval is followed by the next one.
        apart = max(every, scan.seconds)
        return Row(
            every,
            scan.seconds,
            scan.cpu / every,
            scan.seconds / every,
            scan.calls / every,
            apart + scan.seconds + self.settle,
            max(self.period(terms), apart) + scan.seconds + self.settle,
        )

    def _turn(self, terms: Terms) -> int:
        folders = max(1, round(self.everything.folders))
        return share_of(folders, terms, self.everything.seconds / folders)


class Choice(NamedTuple):
    """How often to scan: `every` in seconds, None where nothing fits; `duty` of verification."""

    every: float | None
    duty: float


@dataclass(frozen=True)
class Budget:
    """The share of the time that scans may take, and the settings of verification."""

    share: float
    verify_within: float
    duty: float

    def terms(self, every: float, duty: float) -> Terms:
        """Those of scans that are `every` seconds apart."""
        return Terms(every, self.verify_within, duty)

    def choose(self, cost: Cost) -> Choice:
        """The shortest interval that fits; with less verification where that is what it takes."""
        given = self._shortest(cost, self.duty)
        less = verification_duty(self.duty, self.share)
        spared = self._shortest(cost, less)
        if given is None or (spared is not None and spared < given):
            return Choice(spared, self.duty if spared is None else less)
        return Choice(given, self.duty)

    def _shortest(self, cost: Cost, duty: float) -> float | None:
        def seconds(every: float) -> float:
            return cost.row(self.terms(every, duty)).share * every

        return fitting(seconds, self.share, INTERVALS)

    def table(self, cost: Cost, choice: Choice) -> list[Row]:
        """All intervals, with the verification of `choice`."""
        return [cost.row(self.terms(every, choice.duty)) for every in INTERVALS]


class Holding(NamedTuple):
    """What one of the folders holds, and what it lives on."""

    path: str
    mount: Mount
    files: int
    folders: int
    bytes: int
    folder_times: str
    """What they are worth, in the words of `doctor`."""


@dataclass(frozen=True)
class Measured:
    """Folders that are scanned together, and what that costs."""

    id: str
    is_remote: bool
    holdings: tuple[Holding, ...]
    latency: float
    """Seconds of one call."""
    workers: int
    """Requests under way at a time."""
    first: Spent
    now: Cost
    later: Cost | None
    """Once folder times are trusted; None where they are, never will be, or spare nothing."""

    def as_json(self, budget: Budget) -> dict[str, Any]:
        """For programs."""
        return {
            "id": readable(self.id),
            "remote": self.is_remote,
            "paths": [_holding_json(holding) for holding in self.holdings],
            "call_seconds": _rounded(self.latency),
            "workers": self.workers,
            "settle_seconds": self.now.settle,
            "first_scan": self.first.as_json(),
            "unchanged_scan": self.now.unchanged.as_json(),
            "full_verification": self.now.everything.as_json(),
            "now": _cost_json(self.now, budget),
            "once_folder_times_are_trusted": self.later and _cost_json(self.later, budget),
        }


def _holding_json(holding: Holding) -> dict[str, Any]:
    mount = holding.mount
    return {
        **path_fields(holding.path, None),
        "mount": {
            "type": mount.type,
            "point": readable(mount.point),
            "source": readable(mount.shown_source),
            "remote": mount.is_remote,
        },
        "files": holding.files,
        "folders": holding.folders,
        "bytes": holding.bytes,
        "folder_times": holding.folder_times,
    }


def _cost_json(cost: Cost, budget: Budget) -> dict[str, Any]:
    choice = budget.choose(cost)
    return {
        "uses_folder_times": cost.quiet is not None,
        "unchanged_scan": cost.unchanged.as_json(),
        "verification_duty": choice.duty,
        "intervals": [row.as_json() for row in budget.table(cost, choice)],
        "recommended": None if choice.every is None else format_duration(choice.every),
    }


class IntervalAdvice(NamedTuple):
    """Settings for all lanes together: `every` None where no interval fits."""

    every: float | None
    duty: float | None
    """Of verification; None where it can stay what it is."""
    scan_seconds: float
    """What a scan takes where it takes longest."""

    @property
    def toml(self) -> list[str]:
        """The lines of a settings file."""
        if self.every is None:
            return []
        lines = [f'every = "{format_duration(self.every)}"']
        return lines if self.duty is None else [*lines, f"duty = {self.duty:g}"]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "every": None if self.every is None else format_duration(self.every),
            "every_seconds": self.every,
            "duty": self.duty,
            "toml": "".join(line + "\n" for line in self.toml),
        }


def advise(lanes: Iterable[Measured], budget: Budget) -> IntervalAdvice:
    """The interval of the lane that needs the longest one."""
    costs = [lane.now for lane in lanes]
    choices = [budget.choose(cost) for cost in costs]
    every = [choice.every for choice in choices if choice.every is not None]
    duty = min(choice.duty for choice in choices)
    return IntervalAdvice(
        max(every) if len(every) == len(choices) else None,
        duty if duty < budget.duty else None,
        max(cost.unchanged.seconds for cost in costs),
    )


def _rounded(number: float) -> float:
    """Three digits that count."""
    return float(f"{number:.3g}")
