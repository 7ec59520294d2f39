"""The history as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from scanner.commands.history.select import Wanted
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.core.wording import count_text, size_text
from scanner.output.history_reader import (
    Growth,
    Totals,
    costs_of,
    growth_of,
    rows_between,
    totals_of,
    usage_days,
)
from scanner.output.history_rows import REST

if TYPE_CHECKING:
    from rich.console import Console

CATEGORY, DAY = "category", "day"

FORMS = (CATEGORY, DAY)

_BAR = 20
"""Characters of the longest bar."""

_GROWTH_COLUMNS = (
    _Column("now", is_number=True, is_wrapped=False),
    _Column("grown", is_number=True, is_wrapped=False),
    _Column("files", is_number=True, is_wrapped=False),
    _Column("problems", is_number=True, is_wrapped=False),
    _Column("", is_wrapped=False),
    _Column("category", is_wrapped=False),
    _Column("root"),
)

_DAY_COLUMNS = (
    _Column("day (UTC)", is_wrapped=False),
    _Column("size", is_number=True, is_wrapped=False),
    _Column("grown", is_number=True, is_wrapped=False),
    _Column("files", is_number=True, is_wrapped=False),
    _Column("problems", is_number=True, is_wrapped=False),
    _Column("", is_wrapped=False),
)


class View(NamedTuple):
    """What the history says of some days."""

    start: Totals | None
    """The day before them, where there is one: they grew from it."""
    days: Sequence[Totals]
    growth: Sequence[Growth]
    costs: Sequence[Mapping[str, Any]]


def view_of(rows: Iterable[Mapping[str, Any]], since: str, until: str, wanted: Wanted) -> View:
    """The days from `since` to `until`, both included; empty names no bound. What scans cost
    belongs to no root, and is told where none is named."""
    rows = list(rows_between(rows, until=until))
    # First the days, then what is wanted of each: a day on which nothing of it is left counts too.
    days = {
        day: {key: totals for key, totals in found.items() if wanted.has(*key)}
        for day, found in usage_days(rows).items()
    }
    totals = totals_of(days)
    before = [each for each in totals if each.day < since]
    return View(
        before[-1] if before else None,
        [each for each in totals if each.day >= since],
        growth_of(days, since),
        list(costs_of(rows_between(rows, since))) if wanted.is_all else [],
    )


def as_json(view: View, limit: int) -> dict[str, Any]:
    """The same for programs; the last `limit` days and the first `limit` categories (0: all)."""
    return {
        "schema": 1,
        "start": None if view.start is None else view.start._asdict(),
        "days": [each._asdict() for each in view.days[-limit:]],
        "categories": [
            {
                "root": each.root,
                "category": each.category,
                "files": each.last.files,
                "bytes": each.last.bytes,
                "problems": each.last.problems,
                "grown_files": each.last.files - each.first.files,
                "grown_bytes": each.grown,
            }
            for each in view.growth[: limit or None]
        ],
        "costs": [dict(row) for row in view.costs],
    }


def print_view(console: Console, view: View, form: str, limit: int) -> None:
    """Print a table, and what all days come to."""
    if form == DAY:
        _print_table(console, _DAY_COLUMNS, _day_rows(view)[-limit:])
    else:
        shown = view.growth[: limit or None]
        widest = max((abs(each.grown) for each in view.growth), default=0)
        _print_table(console, _GROWTH_COLUMNS, (_growth_cells(each, widest) for each in shown))
    console.out(_sentence(view), style="dim", highlight=False)


def _growth_cells(growth: Growth, widest: int) -> list[_Cell]:
    style = "green" if growth.grown > 0 else "red" if growth.grown < 0 else ""
    name = {"": "(none)", REST: "(smaller ones)"}.get(growth.category, growth.category)
    return [
        _Cell(size_text(growth.last.bytes)),
        _Cell(_grown_text(growth.grown), style),
        _Cell(f"{growth.last.files:,}"),
        _Cell(f"{growth.last.problems:,}", "yellow" if growth.last.problems else ""),
        _Cell(_bar(growth.grown, widest), style),
        _Cell(name),
        _Cell(growth.root),
    ]


def _day_rows(view: View) -> list[list[_Cell]]:
    series = [*([view.start] if view.start else []), *view.days]
    grown = {now.day: now.bytes - before.bytes for before, now in pairwise(series)}
    widest = max((each.bytes for each in view.days), default=0)
    return [
        [
            _Cell(each.day),
            _Cell(size_text(each.bytes)),
            _Cell(_grown_text(grown[each.day]) if each.day in grown else ""),
            _Cell(f"{each.files:,}"),
            _Cell(f"{each.problems:,}", "yellow" if each.problems else ""),
            _Cell("#" * round(_BAR * each.bytes / widest) if widest else ""),
        ]
        for each in view.days
    ]


def _bar(value: int, widest: int) -> str:
    """`+` for what came and `-` for what went."""
    if not value or not widest:
        return ""
    return ("+" if value > 0 else "-") * max(1, round(_BAR * abs(value) / widest))


def _grown_text(grown: int) -> str:
    return f"{'+' if grown > 0 else '-' if grown < 0 else ''}{size_text(abs(grown))}"


def _sentence(view: View) -> str:
    if not view.days:
        return "No day of these has rows: nothing changed then."
    first, last = view.start or view.days[0], view.days[-1]
    grown = _grown_text(last.bytes - first.bytes)
    return (
        f"{first.day} to {last.day} (UTC): {size_text(last.bytes)} in "
        f"{count_text(last.files, 'file')}, {grown}"
    )
