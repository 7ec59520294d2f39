"""A bounded sample of a tree, and an estimate of the whole tree from it."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.core.paths import is_below, join
from scanner.core.snapshot import DIRECTORY, DIRECTORY_LINK, FILE, FOREIGN_LINK, Directory
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.walk.cost import ScanCost
from scanner.walk.granularity import has_digits
from scanner.walk.ignore import IgnoreRules
from scanner.workers.latency import _Pool
from scanner.workers.pool import Workers
from scanner.workers.requests import Failed, ListDirectory, Listed, Timed, Took

SAMPLE = 2000
"""Most directories to list, within SAMPLE_SECONDS."""

SAMPLE_SECONDS = 10.0

ALONE = 9
"""Number of sequential listings whose median is reported."""

TIMES_WANTED = 20
"""Different mtimes needed to infer their granularity: of so many that count in seconds, all are
even by chance once in a million."""

TIMES_KEPT = 5000


@dataclass
class _Level:
    """Totals of the directories at one depth."""

    listed: int = 0
    children: int = 0
    files: int = 0
    seconds: float = 0.0
    left: list[str] = field(default_factory=list)
    """Paths of directories found but not listed yet."""


@dataclass
class Sample:
    """The result of a bounded walk, spread evenly over depths and at random within each."""

    levels: dict[int, _Level] = field(default_factory=lambda: defaultdict(_Level))
    mtimes: set[int] = field(default_factory=set)
    has_digits: bool = False
    """True if the time of any directory has digits below a second."""
    alone: list[float] = field(default_factory=list)
    """Seconds of each of the first listings, which ran one after the other."""
    worked: float = 0.0
    """Sum of the seconds of all listings, measured in the worker."""
    folders: list[str] = field(default_factory=list)
    """The parent folder of each listed directory."""
    wall: float = 0.0
    unread: int = 0
    failure: str = ""
    """The error of the last directory that could not be listed."""
    elsewhere: list[str] = field(default_factory=list)
    """Paths below that are links to folders or mount points; the sample does not enter them."""

    @property
    def listed(self) -> int:
        """Number of listed directories."""
        return sum(level.listed for level in self.levels.values())

    @property
    def is_complete(self) -> bool:
        """True if every directory was listed."""
        return not any(level.left for level in self.levels.values())


class Size(NamedTuple):
    """The size of a tree, and the seconds needed to list all of it."""

    directories: int
    files: int
    seconds: float


def estimate(sample: Sample) -> Size:
    """Estimate the whole tree from a sample. A complete sample gives exact counts.

    Directories that were not listed count as the mean of the listed ones at the same depth.
    """
    directories = files = seconds = 0.0
    count = 1.0
    for _, level in sorted(sample.levels.items()):
        directories += count
        if not level.listed:
            break
        files += count * level.files / level.listed
        seconds += count * level.seconds / level.listed
        count *= level.children / level.listed
    # Several listings ran at the same time, as they do in a scan.
    together = sample.wall / sample.worked if sample.worked else 1.0
    return Size(round(directories), round(files), seconds * together)


def cost_of(size: Size, stat: float) -> ScanCost:
    """Estimated cost of scans that trust directory mtimes.

    `stat` is the seconds of one directory's stat, with as many requests under way as in a scan.
    """
    return ScanCost(size.directories, size.seconds, min(size.directories * stat, size.seconds))


def granularity_of(mtimes: Sequence[int]) -> float:
    """Granularity in seconds of `mtimes` (nanoseconds), as far as they show it."""
    second = 10**9
    if any(mtime % second for mtime in mtimes):
        step = second
        while any(mtime % step for mtime in mtimes):
            step //= 10
        return step / second
    return 1.0 if any(mtime // second % 2 for mtime in mtimes) else 2.0


class Sampling:
    """A walk that fills a `Sample`."""

    def __init__(
        self,
        files: FileSystem,
        workers: Workers,
        top: str,
        mount: Mount,
        rules: IgnoreRules,
        seconds: float = SAMPLE_SECONDS,
    ) -> None:
        """`seconds`: how long it lists at most."""
        self._files = files
        self._seconds = seconds
        self._pool = _Pool(workers, mount)
        self._top = top
        self._rules = rules
        self._points = [other.point for other in files.mounts() if is_below(other.point, top)]
        self._sample = Sample()
        self._depths = {top: 0}
        self._asked: dict[int, int] = defaultdict(int)
        self._random = random.Random(0)

    def run(self) -> Sample:
        """List until the tree is complete or a limit is reached. Raises LostWorkerError."""
        started = self._files.monotonic()
        self._sample.levels[0].left.append(self._top)
        count = 0
        while True:
            is_over = count >= SAMPLE or self._files.monotonic() - started > self._seconds
            is_waiting = self._pool.is_busy and len(self._sample.alone) < ALONE
            path = None if is_over or is_waiting else self._next()
            if path is not None:
                count += 1
                for took in self._pool.put(self._listing_of(path)):
                    self._take(took)
            elif self._pool.is_busy:
                self._take(self._pool.take())
            else:
                break
        self._pool.drain()
        self._sample.wall = self._files.monotonic() - started
        return self._sample

    def _next(self) -> str | None:
        """A random directory of the depth with the fewest requests so far; None if none is left."""
        depths = [depth for depth, level in self._sample.levels.items() if level.left]
        if not depths:
            return None
        depth = min(depths, key=lambda depth: (self._asked[depth], depth))
        left = self._sample.levels[depth].left
        chosen = self._random.randrange(len(left))
        left[chosen], left[-1] = left[-1], left[chosen]
        self._asked[depth] += 1
        return left.pop()

    def _listing_of(self, path: str) -> Timed:
        names = (os.path.basename(p) for p in self._points if os.path.dirname(p) == path)
        return Timed(ListDirectory(path, mount_points=frozenset(names)))

    def _take(self, took: Took) -> None:
        sample = self._sample
        depth = self._depths.pop(took.path)
        if not isinstance(took.answer, Listed):
            sample.unread += 1
            if isinstance(took.answer, Failed):
                sample.failure = took.answer.error
            return
        level = sample.levels[depth]
        level.listed += 1
        level.seconds += took.seconds
        sample.worked += took.seconds
        sample.folders.append(took.path if depth == 0 else os.path.dirname(took.path))
        if len(sample.alone) < ALONE:
            sample.alone.append(took.seconds)
        self._take_listing(took.path, depth, took.answer.directory)

    def _take_listing(self, path: str, depth: int, directory: Directory) -> None:
        sample, level = self._sample, self._sample.levels[depth]
        sample.mtimes.add(directory.mtime)
        sample.has_digits = sample.has_digits or has_digits(directory)
        relative = "" if path == self._top else os.path.relpath(path, self._top) + os.sep
        prefix = relative.replace(os.sep, "/")
        for row in directory.listing.rows():
            if self._rules.ignores(prefix + row.name, row.type == DIRECTORY):
                continue
            child = join(path, row.name)
            if row.type == FILE:
                level.files += 1
                if len(sample.mtimes) < TIMES_KEPT:
                    sample.mtimes.add(row.mtime)
            elif row.type == DIRECTORY and child not in self._points:
                level.children += 1
                self._depths[child] = depth + 1
                sample.levels[depth + 1].left.append(child)
            elif row.type in _ELSEWHERE:
                sample.elsewhere.append(child)


_ELSEWHERE = frozenset((DIRECTORY, DIRECTORY_LINK, FOREIGN_LINK))
"""Types of rows reported as lying elsewhere; directories only if they are mount points."""
