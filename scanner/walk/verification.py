"""Choose the directories that a walk lists; for the others their own mtime is enough (rule 5).

On a good file system a directory's mtime moves when a name in it comes, goes or changes. It never
tells that a file was rewritten in place. So a known directory is only stat-ed as long as its mtime
stays, and is still listed in its turn, the longest unlisted first: a verification. Where every walk
may look at all files, those of the directories whose turn it is not are asked for by name. A mount
earns this trust by its type, or by changes that moved the mtime. Counter-examples end it. This
module does no I/O, and knows no clock but the times given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from scanner.core.racy import Racy
from scanner.core.turns import Turns
from scanner.walk.known_folders import Plan

CHEAP = 0.01
"""Share of the interval: where all files can be looked at in no more, every walk does so."""

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
    return max(1, min(count, _wanted(count, terms), _most(terms, seconds_per_listing)))


def _wanted(count: int, terms: Terms) -> int:
    """How many of `count` directories a walk lists, so that each is listed within the period."""
    return math.ceil(count * terms.interval / terms.verify_within)


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
    ) -> Plan:
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
        self.period = terms.interval
        if not is_trusted:
            return Plan()
        oldest = following - terms.verify_within
        if is_cheap(count, terms.interval, self._seconds_per_listing):
            due = self._due(_wanted(count, terms), count, oldest)
            return Plan(by_name=self._listed.keys() - due - self._racy.paths - hot)
        share = share_of(count, terms, self._seconds_per_listing)
        self.period = count / share * terms.interval
        due = self._due(share, _most(terms, self._seconds_per_listing), oldest)
        return Plan(at_rest=self._listed.keys() - due - self._racy.paths - hot)

    def _due(self, share: int, most: int, oldest: float) -> frozenset[str]:
        """The longest unlisted directories, `share` of them, and up to `most` of those that were
        listed before `oldest`: the next walk would be too late for them."""
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
