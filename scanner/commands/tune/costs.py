"""The cost of each interval, from measured scans. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from scanner.commands.advice import Advice, reduced_duty
from scanner.core.serialize import path_fields, readable
from scanner.disk.mounts import Mount
from scanner.settings.values import format_duration
from scanner.walk.cost import INTERVALS, Budget, ScanCost, choose
from scanner.walk.verification import Terms


class Spent(NamedTuple):
    """The cost of one scan, or the median of several.

    `cpu` is in seconds of one core, summed over all processes.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    folders: float = 0
    """Folders covered by the scan."""
    listings: float = 0
    """Listed folders."""
    entries: float = 0
    """Entries of listed folders whose size and mtime were read."""
    stats: float = 0
    """Stats of folders for their mtime, and of roots for their health."""
    samples: float = 0
    """Files read for fingerprints."""

    @property
    def calls(self) -> float:
        """All requests to the file system."""
        return self.listings + self.entries + self.stats + self.samples

    def plus(self, other: Spent) -> Spent:
        """The sum of both."""
        return Spent(*(a + b for a, b in zip(self, other, strict=True)))

    def towards(self, other: Spent, part: float) -> Spent:
        """Interpolate between this cost (`part` 0) and `other` (`part` 1)."""
        return Spent(*(a + (b - a) * part for a, b in zip(self, other, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
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
    """The median of each figure over several scans."""
    return Spent(*(median(column) for column in zip(*scans, strict=True)))


class Row(NamedTuple):
    """The cost of one interval, and how soon changes are seen with it."""

    every: float
    seconds: float
    """Duration of one scan with its part of the re-verification."""
    cpu_share: float
    """Share of one core."""
    busy_share: float
    """Share of the time in which a request to the disk or mount is under way."""
    calls_per_second: float
    seen_within: float
    """Seconds until a new, removed or renamed file is seen, at most."""
    verified_within: float
    """Seconds until a file that was rewritten in place is seen, at most."""

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
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
    """The measured cost of scans of one lane."""

    everything: Spent
    """A scan that lists every directory."""
    quiet: Spent | None
    """A scan that asks directories for their mtime and finds nothing new; None if every scan lists
    everything."""
    settle: float
    """Seconds for which a change may stay unseen behind an equal mtime or in a cache."""

    @property
    def unchanged(self) -> Spent:
        """A scan that finds nothing new, without re-verification."""
        return self.everything if self.quiet is None else self.quiet

    @property
    def time(self) -> ScanCost:
        """The durations alone, from which the interval follows."""
        full = self.everything.seconds
        quiet = None if self.quiet is None else min(self.quiet.seconds, full)
        return ScanCost(round(self.everything.folders), full, quiet)

    def row(self, terms: Terms) -> Row:
        """The cost of the interval in `terms`."""
        time, every = self.time, terms.interval
        spent = self.unchanged.towards(self.everything, time.turn(terms))
        seconds = time.scan(terms)
        # A scan that takes longer than the interval is followed by the next one.
        apart = max(every, seconds)
        return Row(
            every,
            seconds,
            spent.cpu / every,
            seconds / every,
            spent.calls / every,
            apart + seconds + self.settle,
            max(time.period(terms), apart) + seconds + self.settle,
        )


def table(cost: Cost, budget: Budget, duty: float) -> list[Row]:
    """A row for each interval. `duty` is the share of the time for re-verification."""
    return [cost.row(budget.terms(every, duty)) for every in INTERVALS]


class Holding(NamedTuple):
    """The content of one measured folder, and its mount."""

    path: str
    mount: Mount
    files: int
    folders: int
    bytes: int
    folder_times: str
    """The trust in directory mtimes, in the words of `disk.trust`."""


@dataclass(frozen=True)
class Measured:
    """Folders that are scanned together, and the cost of their scans."""

    id: str
    is_remote: bool
    holdings: tuple[Holding, ...]
    latency: float
    """Seconds of one request."""
    workers: int
    """Number of concurrent requests."""
    first: Spent
    now: Cost
    later: Cost | None
    """The cost once directory mtimes are trusted; None if they already are, never will be, or spare
    nothing."""

    def as_json(self, budget: Budget) -> dict[str, Any]:
        """The JSON form."""
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
    choice = choose(cost.time, budget)
    return {
        "uses_folder_times": cost.quiet is not None,
        "unchanged_scan": cost.unchanged.as_json(),
        "verification_duty": choice.duty,
        "intervals": [row.as_json() for row in table(cost, budget, choice.duty)],
        "recommended": None if choice.every is None else format_duration(choice.every),
    }


def advise(lanes: Iterable[Measured], budget: Budget) -> Advice:
    """Settings for all lanes together: the longest interval that any of them needs.

    Without an interval if nothing fits one of them.
    """
    choices = [choose(lane.now.time, budget) for lane in lanes]
    intervals = [choice.every for choice in choices if choice.every is not None]
    every = max(intervals) if len(intervals) == len(choices) else None
    return Advice(every, reduced_duty(choices, budget.duty))


def _rounded(number: float) -> float:
    """`number` with three significant digits."""
    return float(f"{number:.3g}")
