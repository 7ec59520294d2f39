"""The inventory as a Parquet file."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from scanner.commands.export.selection import Counted, Selection, Written
from scanner.core.serialize import is_utf8, time_ns
from scanner.errors import InventoryError
from scanner.output.atomic import cannot
from scanner.output.columns import COLUMNS, INTEGER, TEXT, TIME, YES_NO, row_of
from scanner.output.parquet import Field, write_rows

_FIELDS = {
    TEXT: Field("VARCHAR"),
    INTEGER: Field("BIGINT"),
    TIME: Field("BIGINT", "make_timestamp_ns({0})"),
    YES_NO: Field("BIGINT", "{0}::BOOLEAN"),
}

_LAST_NS = 9_223_286_400 * 10**9
"""DuckDB holds nanoseconds of some 292 years around 1970. Later times are absent."""

_NEEDS = "--format parquet needs the package duckdb: install comfy-inventory[parquet]."


def write_parquet(selection: Selection, path: str) -> Written:
    """Write the columns of the CSV form into the file at `path`. Raises InventoryError.

    The rows are written next to `path` first.
    """
    if not is_utf8(path):
        raise InventoryError("-o: --format parquet needs a path that is UTF-8.")
    try:
        with TemporaryDirectory(
            prefix=".export-", dir=os.path.dirname(path), ignore_cleanup_errors=True
        ) as folder:
            rows = os.path.join(folder, "rows.jsonl")
            count = _write_rows(selection, rows)
            fields = {column.name: _FIELDS[column.type] for column in COLUMNS}
            write_rows(rows, path, fields, _NEEDS)
    except OSError as error:
        raise cannot("write", path, error) from error
    return Written(count)


def _write_rows(selection: Selection, path: str) -> int:
    entries = Counted(selection.entries())
    names = [column.name for column in COLUMNS]
    with open(path, "wb") as file:
        for entry in entries:
            row: dict[str, Any] = dict(zip(names, row_of(entry), strict=True))
            row["mtime"] = _ns(row["mtime"])
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return entries.total


def _ns(time: str | None) -> int | None:
    ns = None if time is None else time_ns(time)
    return ns if ns is not None and abs(ns) < _LAST_NS else None
