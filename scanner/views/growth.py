"""How the folders grew and what scans cost, as columns of days. Pure functions of the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from scanner.core.serialize import printable
from scanner.output.history_reader import Row, Totals, costs_of, totals_of, usage_days
from scanner.output.history_rows import REST

MOST_CATEGORIES = 12
"""Categories with a column of their own, those that are largest now."""

NO_CATEGORY = "no model"

OTHERS = "other categories"


def growth_page(rows: Iterable[Row]) -> dict[str, Any]:
    """The sums of each day that changed something, the bytes of each category, and the cost of
    each lane. A day that is missing left what the day before it left."""
    rows = list(rows)
    days = usage_days(rows)
    totals = totals_of(days)
    return {
        "days": [each.day for each in totals],
        "files": [each.files for each in totals],
        "bytes": [each.bytes for each in totals],
        "problems": [each.problems for each in totals],
        "categories": _categories(days),
        "lanes": _lanes(rows),
    }


def _categories(days: Mapping[str, Mapping[tuple[str, str], Totals]]) -> list[dict[str, Any]]:
    columns: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(days))
    for place, found in enumerate(days.values()):
        for (_, category), totals in found.items():
            columns[category][place] += totals.bytes
    # The rest of a root holds several, so it has no column of its own.
    own = [name for name, sizes in columns.items() if name != REST and any(sizes)]
    own.sort(key=lambda name: (-columns[name][-1], name))
    shown = [
        {"category": printable(name or NO_CATEGORY), "bytes": columns[name]}
        for name in own[:MOST_CATEGORIES]
    ]
    others = [columns[name] for name in (*own[MOST_CATEGORIES:], REST) if name in columns]
    if others:
        shown.append({"category": OTHERS, "bytes": [sum(day) for day in zip(*others, strict=True)]})
    return shown


def _lanes(rows: Iterable[Row]) -> list[dict[str, Any]]:
    lanes: dict[str, dict[str, list[Any]]] = {}
    for row in sorted(costs_of(rows), key=lambda row: row["day"]):
        lane = lanes.setdefault(row["lane"], {"days": [], "seconds": [], "every_seconds": []})
        lane["days"].append(row["day"])
        lane["seconds"].append(row["seconds"])
        lane["every_seconds"].append(row["every_seconds"])
    return [{"lane": printable(name), **columns} for name, columns in lanes.items()]
