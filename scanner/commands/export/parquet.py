"""The inventory as a Parquet file, written by DuckDB."""

from __future__ import annotations

import os
import re
from contextlib import closing
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from scanner.commands.export.columns import COLUMNS, INTEGER, TEXT, TIME, YES_NO, row_of
from scanner.commands.export.selection import Counted, Selection, Written
from scanner.core.serialize import is_utf8, time_ns
from scanner.errors import InventoryError, OutputError
from scanner.output.atomic import cannot

_TYPES = {TEXT: "VARCHAR", INTEGER: "BIGINT", TIME: "BIGINT", YES_NO: "BIGINT"}

_SHOWN = {TIME: "make_timestamp_ns({0}) AS {0}", YES_NO: "{0}::BOOLEAN AS {0}"}

_LAST_NS = 9_223_286_400 * 10**9
"""DuckDB holds nanoseconds of some 292 years around 1970. Later times are absent."""

_MEMORY = "256MB"
"""DuckDB takes 80 % of the machine's, if it is not told."""


def write_parquet(selection: Selection, path: str) -> Written:
    """Write the columns of the CSV form into the file at `path`. Raises InventoryError.

    DuckDB reads rows in bulk from files only, so that they are written next to `path` first.
    """
    try:
        import duckdb
    except ImportError:
        raise InventoryError(
            "--format parquet needs the package duckdb: install comfy-inventory[parquet]."
        ) from None
    if not is_utf8(path):
        raise InventoryError("-o: --format parquet needs a path that is UTF-8.")
    try:
        with TemporaryDirectory(
            prefix=".export-", dir=os.path.dirname(path), ignore_cleanup_errors=True
        ) as folder:
            rows = os.path.join(folder, "rows.jsonl")
            count = _write_rows(selection, rows)
            with closing(duckdb.connect(config={"temp_directory": folder})) as database:
                database.execute(f"SET memory_limit = '{_MEMORY}'")
                database.execute(_copy(rows, path))
    except OSError as error:
        raise cannot("write", path, error) from error
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise OutputError(f"The Parquet file cannot be written: {reason}") from error
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


def _copy(rows: str, path: str) -> str:
    types = ", ".join(f"\"{column.name}\": '{_TYPES[column.type]}'" for column in COLUMNS)
    shown = ", ".join(
        _SHOWN.get(column.type, "{0}").format(f'"{column.name}"') for column in COLUMNS
    )
    # It must write the file that was made for it, and not another one that it renames.
    return (
        f"COPY (SELECT {shown} FROM read_json({_quoted(_literal(rows))}, "
        f"format = 'newline_delimited', columns = {{{types}}})) TO {_quoted(path)} "
        "(FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
    )


def _literal(path: str) -> str:
    """A pattern that matches `path` alone."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
