"""Read the history, and what its rows come to. Pure but for `read_history`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scanner.core.days import is_day
from scanner.output.atomic import cannot
from scanner.output.history_rows import rows_in
from scanner.output.journal_files import open_existing

Row = Mapping[str, Any]


def read_history(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of the history at `path`, oldest day first. Damaged lines are left out, and a
    missing history counts as empty. Raises OutputError if it cannot be read."""
    try:
        file = open_existing(os.fspath(path))
        if file is None:
            return []
        with file:
            return sorted(rows_in(file), key=lambda row: row["day"])
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


class Totals(NamedTuple):
    """What was there on one day."""

    day: str
    files: int
    bytes: int
    problems: int


class Growth(NamedTuple):
    """One category of one root, from the first day to the last."""

    root: str
    category: str
    first: Totals
    """Of the day before the days that were asked for if there is one, else of the first of them;
    zeros where it was not there yet."""
    last: Totals
    """Zeros where it is gone."""
    series: Sequence[int]
    """Its bytes on each of the days."""

    @property
    def grown(self) -> int:
        """Bytes that came; negative for those that went."""
        return self.last.bytes - self.first.bytes


def usage_days(rows: Iterable[Row]) -> dict[str, dict[tuple[str, str], Totals]]:
    """What each root and category held at the end of each day that changed something, in order.

    Such a day is complete: what has no row on it was not there any more. A day that is missing left
    what the day before it left.
    """
    days: dict[str, dict[tuple[str, str], Totals]] = {}
    for row in sorted((row for row in rows if "root" in row), key=lambda row: row["day"]):
        totals = Totals(row["day"], row["files"], row["bytes"], row["problems"])
        days.setdefault(row["day"], {})[row["root"], row["category"]] = totals
    return days


def totals_of(days: Mapping[str, Mapping[tuple[str, str], Totals]]) -> list[Totals]:
    """The sums of each day, in order."""
    return [
        Totals(
            day,
            sum(each.files for each in found.values()),
            sum(each.bytes for each in found.values()),
            sum(each.problems for each in found.values()),
        )
        for day, found in days.items()
    ]


def growth_of(
    days: Mapping[str, Mapping[tuple[str, str], Totals]], since: str = ""
) -> list[Growth]:
    """How each category of each root grew from the end of the day before `since`, the most first.

    Empty `since`: from the first day on.
    """
    if not days:
        return []
    before = [day for day in days if day < since]
    start = before[-1] if before else next(iter(days))
    shown = [day for day in days if day >= start]
    keys = sorted({key for day in shown for key in days[day]})
    return sorted((_growth(key, [(day, days[day]) for day in shown]) for key in keys), key=_order)


def _growth(
    key: tuple[str, str], days: Sequence[tuple[str, Mapping[tuple[str, str], Totals]]]
) -> Growth:
    series = [found.get(key, Totals(day, 0, 0, 0)) for day, found in days]
    return Growth(*key, series[0], series[-1], [each.bytes for each in series])


def _order(growth: Growth) -> tuple[int, int, str, str]:
    return -growth.grown, -growth.last.bytes, growth.root, growth.category


def costs_of(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows that say what the scans of a lane cost, a day and lane each."""
    return (row for row in rows if "lane" in row)


def rows_between(rows: Iterable[Row], since: str = "", until: str = "") -> Iterator[Row]:
    """The rows of the days from `since` to `until`, both included; empty names no bound."""
    return (
        row
        for row in rows
        if is_day(row["day"]) and row["day"] >= since and (not until or row["day"] <= until)
    )
