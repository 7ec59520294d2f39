"""The rows of the history: what a day left, one JSON object a line.

A row is about a category of a root (`Usage`), or about the scans of a lane (`Cost`). The rows of a
day are those of its last write. `schemas/history.schema.json` documents each field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from scanner.core.days import is_day

REST = "/"
"""The category of a row that holds all smaller categories of its root: no folder has this name."""


class Usage(NamedTuple):
    """What a root has in one category: entries without `alias_of`."""

    root: str
    """The id of the root, as the inventory shows it."""
    category: str
    """Empty for what has none."""
    files: int
    bytes: int
    problems: int
    """Statuses and marks of its entries, but for files that are still written."""


class Cost(NamedTuple):
    """What the scans of a lane cost on one day: means in seconds."""

    lane: str
    scans: int
    seconds: float
    every_seconds: float | None
    """From scan to scan; None where a crontab line says when they are."""

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        scans = self.scans + other.scans
        seconds = self.seconds * self.scans + other.seconds * other.scans
        every = None
        if self.every_seconds is not None and other.every_seconds is not None:
            total = self.every_seconds * self.scans + other.every_seconds * other.scans
            every = round(total / scans, 3)
        return Cost(self.lane, scans, round(seconds / scans, 6), every)


class Day(NamedTuple):
    """The rows of one day."""

    usage: Sequence[Usage] = ()
    """Empty on a day on which nothing changed: what the day before left still stands then."""
    costs: Sequence[Cost] = ()


def lines_of(day: str, rows: Day) -> bytes:
    """The lines of a day."""
    values: list[Usage | Cost] = [*rows.usage, *rows.costs]
    return b"".join(orjson.dumps({"day": day, **row._asdict()}) + b"\n" for row in values)


def parse_row(line: bytes) -> dict[str, Any] | None:
    """The fields of a line; None if it is torn, damaged or no row of a history."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or not isinstance(row.get("day"), str) or not is_day(row["day"]):
        return None
    return row if _is_usage(row) or _is_cost(row) else None


def _is_usage(row: Mapping[str, Any]) -> bool:
    counts = (row.get("files"), row.get("bytes"), row.get("problems"))
    return all(type(row.get(key)) is str for key in ("root", "category")) and all(
        type(count) is int and count >= 0 for count in counts
    )


def _is_cost(row: Mapping[str, Any]) -> bool:
    every = row.get("every_seconds")
    return (
        type(row.get("lane")) is str
        and type(row.get("scans")) is int
        and row["scans"] > 0
        and _is_duration(row.get("seconds"))
        and (every is None or _is_duration(every))
    )


def _is_duration(value: object) -> bool:
    return type(value) in (int, float) and value >= 0  # type: ignore[operator]


def days_in(lines: Iterable[bytes]) -> dict[str, Day]:
    """The rows of these lines by day. Damaged lines are left out; of two rows about one thing the
    last one counts."""
    found: dict[str, tuple[dict[tuple[str, str], Usage], dict[str, Cost]]] = {}
    for row in rows_in(lines):
        usage, costs = found.setdefault(row["day"], ({}, {}))
        if "root" in row:
            usage[row["root"], row["category"]] = Usage(*(row[key] for key in Usage._fields))
        else:
            every = row.get("every_seconds")
            costs[row["lane"]] = Cost(row["lane"], row["scans"], row["seconds"], every)
    return {
        day: Day(sorted(usage.values()), [costs[lane] for lane in sorted(costs)])
        for day, (usage, costs) in found.items()
    }


def rows_in(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The rows of these lines, as they come; damaged ones are left out."""
    for line in lines:
        row = parse_row(line)
        if row is not None:
            yield row
