"""Choose the directories that a walk lists; for the others their own mtime is enough (rule 5).

On a good file system a directory's mtime moves when a name in it comes, goes or changes. It never
tells that a file was rewritten in place. So a known directory is only stat-ed as long as its mtime
stays, and is still listed in its turn, the longest unlisted first: a verification. A mount earns
this trust by its type, or by changes that moved the mtime. Counter-examples end it. This module
does no I/O, and knows no clock but the times given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from scanner.core.racy import Racy
from scanner.core.turns import Turns

CHEAP = 0.01
"""Share of the interval: where listing everything takes no more, every walk lists everything."""

SMOOTHING = 4
"""The last measurement counts for one of this many."""


@dataclass(frozen=True)
class Terms:
    """Limits of a walk: seconds between walks, seconds within which every file is re-read, and the
    share of the time (0 to 1) that listing may take."""

    interval: float
    verify_within: float
    duty: float


def share_of(count: int, terms: Terms, seconds_per_listing: float) -> int:
    """How many of `count` directories a walk lists in their turn: all where that is cheap, and
    otherwise never above the duty."""
    if is_cheap(count, terms.interval, seconds_per_listing):
        return count
    wanted = math.ceil(count * terms.interval / terms.verify_within)
    return max(1, min(count, wanted, _most(terms, seconds_per_listing)))


def is_cheap(count: int, interval: float, seconds_per_listing: float) -> bool:
    """True if every walk may list all of `count` directories."""
    return count * seconds_per_listing <= CHEAP * interval


def _most(terms: Terms, seconds_per_listing: float) -> int:
    """How many directories a walk lists at most (the duty)."""
    return int(terms.duty * terms.interval / seconds_per_listing)


class Verification:
    """The directories of one zone, by when a walk listed them last. Seconds, monotonic clock."""

    def __init__(self) -> None:
        self._listed: dict[str, float] = {}
        """Directories by the time of their last listing, the longest unlisted first."""
        self._racy = Racy()
        self._seconds_per_listing = 0.0
        self._planned = -math.inf
        """When the last walk started."""
        self._interval = 0.0
        """Seconds between the last walk and the next one, if that one comes when it is meant to."""
        self._is_taken_up = False
        """True if that was in another process."""
        self.period = 0.0
        """Seconds in which everything is verified once, as things stand."""

    @property
    def turns(self) -> Turns | None:
        """What the next process has to know; None where everything is listed in every walk."""
        if is_cheap(len(self._listed), self._interval, self._seconds_per_listing):
            return None
        at_rest = {path: at for path, at in self._listed.items() if path not in self._racy}
        return Turns(self._planned, self._seconds_per_listing, at_rest)

    def take_up(self, turns: Turns) -> None:
        """Go on where another process has left off."""
        self._planned, self._seconds_per_listing = turns.planned, turns.seconds_per_listing
        self._listed = dict(turns.listed)
        self._is_taken_up = True

    def plan(
        self, terms: Terms, started: float, *, is_trusted: bool, hot: AbstractSet[str]
    ) -> AbstractSet[str]:
        """For the walk that starts now: known directories that need not be listed while their
        times stay.

        `hot` are those that have more to tell than their mtime does.
        """
        # Walks may come later than they are meant to, and the period holds all the same.
        since = started - self._planned
        self._interval = terms.interval
        if self._is_taken_up and terms.interval < since < math.inf:
            terms = replace(terms, interval=since)  # nobody told how often cron starts a scan
        self._is_taken_up = False
        following = started + (since if terms.interval < since < math.inf else terms.interval)
        self._planned = started
        count = len(self._listed)
        if not is_trusted or is_cheap(count, terms.interval, self._seconds_per_listing):
            self.period = terms.interval
            return frozenset()
        due = self._due(terms, following - terms.verify_within)
        return self._listed.keys() - due - self._racy.paths - hot

    def _due(self, terms: Terms, oldest: float) -> frozenset[str]:
        """The longest unlisted directories, as many as this walk's turn, and those listed before
        `oldest`: the next walk would be too late for them. Never above the duty."""
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
            self._racy.changed((path,), started)
        elif was_racy:
            self._racy.settle(path, started, settle)
        return was_known and not was_racy

    def lost(self, path: str) -> None:
        """Note that `path` is gone or could not be listed."""
        self._listed.pop(path, None)
        self._racy.forget(path)

    def measured(
        self,
        seconds: float,
        listings: int,
        walked: int,
        listing_seconds: Sequence[float] = (),
        stat_seconds: Sequence[float] = (),
    ) -> None:
        """Note what a walk of `walked` directories cost, `listings` of them listed.

        The last two are what some of the calls took in the worker. They tell the part of listings
        in `seconds`, however many calls were under way at once. Without them the walk says
        something only if it was mostly listing.
        """
        cost = None
        if listing_seconds and stat_seconds:
            listing = sum(listing_seconds) / len(listing_seconds)
            stat = sum(stat_seconds) / len(stat_seconds)
            total = listings * listing + (walked - listings) * stat
            cost = seconds * listing / total if total else None
        elif listings and listings * 2 >= walked:
            cost = seconds / listings
        if cost is not None:
            old = self._seconds_per_listing or cost
            self._seconds_per_listing = old + (cost - old) / SMOOTHING
