"""Rows as a Parquet file, written by DuckDB, an optional package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from scanner.errors import InventoryError, OutputError

_MEMORY = "256MB"
"""DuckDB takes 80 % of the machine's, if it is not told."""


class Field(NamedTuple):
    """The type of a column in DuckDB's words, and how it becomes what the file holds."""

    type: str
    shown: str = "{0}"


def write_rows(rows: str, path: str, fields: Mapping[str, Field], needs: str) -> None:
    """Make the Parquet file `path` of `rows`, a file with one JSON object a line.

    DuckDB reads rows in bulk from files only. `needs` says who needs the package, in the error if
    it is missing. Raises InventoryError and OutputError.
    """
    try:
        import duckdb
    except ImportError:
        raise InventoryError(needs) from None
    types = ", ".join(f"\"{name}\": '{field.type}'" for name, field in fields.items())
    shown = ", ".join(
        f'{field.shown.format(quoted_name(name))} AS "{name}"' for name, field in fields.items()
    )
    # It must write the file that was made for it, and not another one that it renames.
    copy = (
        f"COPY (SELECT {shown} FROM read_json({quoted(literal(rows))}, "
        f"format = 'newline_delimited', columns = {{{types}}})) TO {quoted(path)} "
        "(FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
    )
    try:
        folder = os.path.dirname(rows)
        with closing(connected({"temp_directory": folder})) as database:
            database.execute(f"SET memory_limit = '{_MEMORY}'")
            database.execute(copy)
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise OutputError(f"The Parquet file cannot be written: {reason}") from error


def connected(config: Mapping[str, str] | None = None) -> Any:
    """A database in memory, which prints nothing. Raises ImportError.

    In a process that was started with `python -c`, as our own are, DuckDB takes stdout for that of
    a person, and draws a progress bar there once a query takes two seconds.
    """
    import duckdb

    database = duckdb.connect(config=dict(config or {}))
    database.execute("SET enable_progress_bar = false")
    return database


def literal(path: str) -> str:
    """A pattern of DuckDB that matches `path` alone."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def quoted(text: str) -> str:
    """`text` as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """`name` as a name of SQL."""
    return '"' + name.replace('"', '""') + '"'
