"""Answers of the fleet as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.tables import _Cell, _Column, _print_table
from scanner.core.times import time_shown, zone_of
from scanner.core.wording import count_text, size_text
from scanner.fleet.storage import names_of

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 50
"""Rows that people see at once."""


def _say(console: Console, text: str, style: str = "dim") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def print_answer(console: Console, kind: str, document: Mapping[str, Any], *, utc: bool) -> None:
    """Print the answer to a question of this kind."""
    rows = document["rows"][:SHOWN] if kind != "sql" else document["rows"]
    columns, cells = _TABLES[kind] if kind != "sql" else (_plain_columns(document), _texts)
    if kind == "changes":
        zone = zone_of(utc)
        rows = [{**row, "time": time_shown(row["time"], zone)} for row in rows]
    _print_table(console, columns, [cells(row) for row in rows])
    _say(console, _summary(kind, document, len(rows)))


def _summary(kind: str, document: Mapping[str, Any], shown: int) -> str:
    count, hosts = document["count"], count_text(len(document["hosts"]), "host")
    cut = f"; {count - shown:,} more are left out: see --json" if shown < count else ""
    if kind == "duplicates":
        sets = {(row["size"], row["fingerprint"], row["content"]): row for row in document["rows"]}
        wasted = sum(row["wasted"] for row in sets.values())
        files = f"{count_text(count, 'file')} in {count_text(len(sets), 'set')} on {hosts}"
        return f"{files}, {size_text(wasted)} too much{cut}."
    nouns = {"where": "file", "missing": "missing model", "changes": "change", "sql": "row"}
    return f"{count_text(count, nouns[kind])} on {hosts}{cut}."


def _where(row: Mapping[str, Any]) -> Sequence[_Cell]:
    state = row["state"] or ""
    status = ", ".join(filter(None, (row["status"], "" if state == "online" else state)))
    return (
        _Cell(row["host"], "bold"),
        _Cell(size_text(row["size"] or 0)),
        _Cell(row["category"] or ""),
        _Cell(status, "yellow"),
        _Cell(", ".join(names_of([row["storage"]])) if row["storage"] else ""),
        _Cell(row["path"]),
    )


def _missing(row: Mapping[str, Any]) -> Sequence[_Cell]:
    return (
        _Cell(row["host"], "bold"),
        _Cell(size_text(row["size"] or 0)),
        _Cell(row["category"]),
        _Cell(f"as {row['held_as']}" if row["held_as"] else ""),
        _Cell(row["name"]),
    )


def _duplicate(row: Mapping[str, Any]) -> Sequence[_Cell]:
    return (
        _Cell(size_text(row["size"])),
        _Cell("proven" if row["proven"] else "likely"),
        _Cell(row["fingerprint"].rpartition(":")[2][:8]),
        _Cell(row["hosts"]),
        _Cell(row["path"]),
    )


def _change(row: Mapping[str, Any]) -> Sequence[_Cell]:
    path = f"{row['from_path']} -> {row['path']}" if row["from_path"] else row["path"]
    return (_Cell(row["time"]), _Cell(row["host"], "bold"), _Cell(row["kind"]), _Cell(path))


_TABLES = {
    "where": (
        (
            _Column("host", is_wrapped=False),
            _Column("size", is_number=True, is_wrapped=False),
            _Column("category"),
            _Column("state"),
            _Column("storage"),
            _Column("path"),
        ),
        _where,
    ),
    "missing": (
        (
            _Column("host", is_wrapped=False),
            _Column("size", is_number=True, is_wrapped=False),
            _Column("category"),
            _Column("there"),
            _Column("name"),
        ),
        _missing,
    ),
    "duplicates": (
        (
            _Column("size", is_number=True, is_wrapped=False),
            _Column("content", is_wrapped=False),
            _Column("set", is_wrapped=False),
            _Column("hosts"),
            _Column("path"),
        ),
        _duplicate,
    ),
    "changes": (
        (
            _Column("time", is_wrapped=False),
            _Column("host", is_wrapped=False),
            _Column("kind", is_wrapped=False),
            _Column("path"),
        ),
        _change,
    ),
}


def _plain_columns(document: Mapping[str, Any]) -> Sequence[_Column]:
    return [_Column(name) for name in document["columns"]]


def _texts(row: Mapping[str, Any]) -> Sequence[_Cell]:
    return [_Cell("" if value is None else str(value)) for value in row.values()]


_HOSTS = (
    _Column("host", is_wrapped=False),
    _Column("files", is_number=True, is_wrapped=False),
    _Column("size", is_number=True, is_wrapped=False),
    _Column("published", is_wrapped=False),
    _Column("state"),
    _Column("inventory"),
)


def print_hosts(console: Console, document: Mapping[str, Any], *, utc: bool) -> None:
    """Print what `hosts_of` gives."""
    zone = zone_of(utc)
    cells = []
    for host in document["hosts"]:
        notes = ["silent"] if host["silent"] else []
        notes += ["its clock is ahead"] if host["clock_ahead"] else []
        notes += [f"{root['path']} is {root['state']}" for root in host["away"]]
        if host["lacks"]:
            notes.append("some changes were deleted before they could be published")
        cells.append(
            (
                _Cell(host["host"], "bold"),
                _Cell(f"{host['files']:,}"),
                _Cell(size_text(host["bytes"])),
                _Cell(time_shown(host["published"], zone)),
                _Cell("; ".join(notes) or "ok", "yellow" if notes else ""),
                _Cell(host["inventory"]),
            )
        )
    _print_table(console, _HOSTS, cells)
    silent = sum(host["silent"] for host in document["hosts"])
    _say(console, f"{count_text(document['count'], 'host')}, {silent} silent.")
