"""Days of UTC, and which of them are kept when years have come together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

EARLIEST = "2024-01-01"
"""A clock that shows a day before this program was made was never set: it names no day."""

DAILY = (730, 365, 180, 90, 30)
"""So many of the newest days stand by themselves; before them the last of each week does. Where
that is too large, fewer stand by themselves."""


def day_of(ns: int) -> str:
    """The day of UTC of a time in nanoseconds since 1970; empty where the clock names none."""
    try:
        day = datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return ""
    return day if day >= EARLIEST and is_day(day) else ""


def is_day(text: str) -> bool:
    """True if `text` is a day as `day_of` writes it."""
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def kept_days(sizes: Mapping[str, int], most: int) -> frozenset[str]:
    """The days to keep of those that have these sizes, so that they come to `most` at the most.

    It counts days and asks no clock: one that ran ahead for a while costs nothing.
    """
    days = sorted(sizes)
    for daily in DAILY:
        kept = [*_last_of_weeks(days[:-daily]), *days[-daily:]]
        if sum(map(sizes.__getitem__, kept)) <= most:
            return frozenset(kept)
    total = 0
    whole: list[str] = []
    for day in reversed(kept):
        total += sizes[day]
        if total > most and whole:
            break
        whole.append(day)
    return frozenset(whole)


def _last_of_weeks(days: list[str]) -> Iterator[str]:
    weeks = {date.fromisoformat(day).isocalendar()[:2]: day for day in days}
    yield from weeks.values()
