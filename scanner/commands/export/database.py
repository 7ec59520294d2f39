"""The inventory as a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import orjson

from scanner.commands.export.selection import Selection, Written
from scanner.errors import OutputError
from scanner.output.columns import COLUMNS, INTEGER, YES_NO, row_of

_INVENTORY = {"schema": "INTEGER", "tool_version": "TEXT", "generated": "TEXT", "scan": "INTEGER"}
_INVENTORY |= {"base": "TEXT", "base_b64": "TEXT"}

_ROOTS = {
    **dict.fromkeys(("id", "kind", "path", "path_b64", "category", "state", "since"), "TEXT"),
    **dict.fromkeys(("reason", "filesystem", "named_by"), "TEXT"),
    **dict.fromkeys(("files", "bytes", "apparent_bytes"), "INTEGER"),
}

_UNREACHABLE = dict.fromkeys(("path", "path_b64", "error", "since"), "TEXT")

_ENTRIES = {
    column.name: "INTEGER" if column.type in (INTEGER, YES_NO) else "TEXT" for column in COLUMNS
} | {"model": "TEXT"}


def write_database(selection: Selection, path: str) -> Written:
    """Write a new database into the empty file at `path`. Raises OutputError.

    `entries` has the columns of the CSV form, and all facts of a model as JSON in `model`.
    """
    header = selection.inventory.header
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # The whole file is forced to the disk at the end, or thrown away.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            tool = {"tool_version": header["tool"]["version"]}
            _fill(database, "inventory", _INVENTORY, _rows(_INVENTORY, [{**header, **tool}]))
            _fill(database, "roots", _ROOTS, _rows(_ROOTS, header["roots"]))
            unreachable = _rows(_UNREACHABLE, header.get("unreachable", ()))
            _fill(database, "unreachable", _UNREACHABLE, unreachable)
            entries = ((*row_of(entry), _model_of(entry)) for entry in selection.entries())
            total = _fill(database, "entries", _ENTRIES, entries)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(f"The database cannot be written: {error}.") from error
    return Written(total)


def _rows(
    columns: Iterable[str], records: Iterable[Mapping[str, Any]]
) -> Iterable[Sequence[object]]:
    return ([record.get(name) for name in columns] for record in records)


def _model_of(entry: Mapping[str, Any]) -> str | None:
    return orjson.dumps(entry["model"]).decode() if "model" in entry else None


def _fill(
    database: sqlite3.Connection,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object]],
) -> int:
    """Create a table and insert rows; the number of rows."""
    declared = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    database.execute(f'CREATE TABLE "{table}" ({declared})')
    marks = ", ".join("?" * len(columns))
    return database.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows).rowcount
