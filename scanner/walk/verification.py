"""Which directories a walk has to list, and for which their own mtime is proof enough (rule 5).

A directory's mtime moves when a name in it comes, goes or changes, where the file system is good;
it never tells that a file was rewritten in place. So known directories are only stat-ed as long as
their mtime stays, and each is still listed in its turn, the longest unlisted first: a verification.
Mounts earn this trust: by their type, or by changes that were seen to move the mtime. One change
that did not ends it for good. No I/O here, and no clock but the times given.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

log = logging.getLogger(__name__)

CHEAP = 1.0
"""Seconds: where listing everything takes less, everything is listed in every walk."""

SMOOTHING = 4
"""Of so many measurements the last one counts for one."""


@dataclass(frozen=True)
class Terms:
    """What a walk must keep to: seconds between walks, the period within which every file is read
    again, and the share of the time that listing may take."""

    interval: float
    verify_within: float
    duty: float


def share_of(count: int, terms: Terms, seconds_per_listing: float) -> int:
    """How many of `count` directories a walk lists in their turn, never above the duty."""
    wanted = math.ceil(count * terms.interval / terms.verify_within)
    return max(1, min(count, wanted, _most(terms, seconds_per_listing)))


def _most(terms: Terms, seconds_per_listing: float) -> int:
    """How many directories a walk lists at most (the duty)."""
    return int(terms.duty * terms.interval / seconds_per_listing)


class Verification:
    """What the walks of one root have listed, and when. Times in seconds, monotonic clock."""

    def __init__(self) -> None:
        self._listed: dict[str, float] = {}
        """Directories by the time of their last listing, the longest unlisted first."""
        self._racy: dict[str, float] = {}
        """Directories that changed, by the time at which that was seen (rule 4)."""
        self._seconds_per_listing = 0.0
        self._planned = -math.inf
        """When the last walk started."""
        self.period = 0.0
        """Seconds in which everything is verified once, as things stand."""

    def forget(self) -> None:
        """Have everything listed by the next walk."""
        self._listed.clear()

    def plan(
        self, terms: Terms, started: float, *, is_trusted: bool, hot: AbstractSet[str]
    ) -> AbstractSet[str]:
        """For the walk that starts now: known directories that need not be listed while their
        mtime stays.

        `hot` are those that have more to tell than their mtime does.
        """
        # Walks may come later than they are meant to, and the period holds all the same.
        since = started - self._planned
        following = started + (since if terms.interval < since < math.inf else terms.interval)
        self._planned = started
        count = len(self._listed)
        if not is_trusted or count * self._seconds_per_listing <= CHEAP:
            self.period = terms.interval
            return frozenset()
        due = self._due(terms, following - terms.verify_within)
        return self._listed.keys() - due - self._racy.keys() - hot

    def _due(self, terms: Terms, oldest: float) -> frozenset[str]:
        """As many of the longest unlisted as this walk's turn, and those that were listed before
        `oldest`: when the next walk comes, it would be too late for them. Never above the duty."""
        count = len(self._listed)
        share = share_of(count, terms, self._seconds_per_listing)
        self.period = count / share * terms.interval
        most = max(share, _most(terms, self._seconds_per_listing))
        due: list[str] = []
        for path, listed in self._listed.items():
            if len(due) >= share and (len(due) >= most or listed >= oldest):
                break
            due.append(path)
        return frozenset(due)

    def saw(self, path: str, started: float, settle: float, *, has_changed: bool) -> bool:
        """Note that `path` was listed by a walk that started at `started`.

        `settle` in seconds. Returns whether the directory was at rest before: only then does a
        change say anything about mtimes on its mount.
        """
        was_known = self._listed.pop(path, None) is not None
        was_racy = path in self._racy
        self._listed[path] = started
        if has_changed:
            self._racy[path] = started
        elif was_racy and started - self._racy[path] >= settle:
            del self._racy[path]
        return was_known and not was_racy

    def lost(self, path: str) -> None:
        """Note that `path` is gone or could not be listed."""
        self._listed.pop(path, None)
        self._racy.pop(path, None)

    def measured(self, seconds: float, listings: int, walked: int) -> None:
        """Note what a walk cost, where it was mostly listing."""
        if listings and listings * 2 >= walked:
            cost = seconds / listings
            old = self._seconds_per_listing or cost
            self._seconds_per_listing = old + (cost - old) / SMOOTHING
