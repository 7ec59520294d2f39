"""The one way to open the state's database, to write it or only to read it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from scanner.core.serialize import printable
from scanner.errors import DamagedStateError, OutputError
from scanner.output.refusals import refuse_kind
from scanner.store.checksums import checksum_of

BUSY_TIMEOUT = 10
"""Seconds that a statement waits for the transaction of another process."""

CLOSE_PATIENCE = 0.5
"""Seconds that closing waits for another thread, which may wait for another process: within 2 s of
SIGTERM the program has ended (rule 3, a hang stops nothing)."""


Column = tuple[str, str, str]
"""A table, and the name and type of a column."""


def connect(
    path: str, schema: str = "", *, readonly: bool, added: Iterable[Column] = ()
) -> sqlite3.Connection:
    """Open the database at `path` with the tables of `schema`. The caller closes it.

    Columns in `added` that the file lacks, because an older version wrote it, are added at the end
    of their tables; older rows have NULL there.

    With `readonly` all reads see the moment of opening, also while another process writes, and no
    file changes or appears. A table or a column that the file lacks is then one in memory.

    Several threads may use the connection, one at a time: its owner keeps a lock. Raises
    DamagedStateError if the file is not a database, or cannot be read; OutputError if it cannot be
    opened for writing. Statements may call `checksum_of`.
    """
    if not readonly:
        refuse_kind(path)
    try:
        database = sqlite3.connect(
            _uri(path, readonly),
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            database.create_function("checksum_of", -1, _checksum_of, deterministic=True)
            if readonly:
                database.execute("BEGIN")
                _add_missing_tables(database, schema)
                _show_missing_columns(database, added)
            else:
                _refuse_foreign_tables(database, schema, path)
                database.execute("PRAGMA journal_mode=WAL")
                # A log that never shrinks tells one that something else has cut.
                database.execute("PRAGMA journal_size_limit=-1")
                # FULL: a power cut must not lose a commit whose lines already stand in the journal.
                database.execute("PRAGMA synchronous=FULL")
                database.executescript(schema)
                for column in _missing(database, added):
                    database.execute("ALTER TABLE {} ADD COLUMN {} {}".format(*column))
        except BaseException:
            database.close()  # an open file cannot be put aside on Windows
            raise
    except sqlite3.Error as error:
        if isinstance(error, sqlite3.OperationalError) and not readonly:
            raise OutputError(
                f"The state {printable(path)} cannot be opened for writing: {error}."
            ) from None
        raise damaged(path, error) from None
    return database


def _checksum_of(*values: object) -> int:
    return checksum_of(values)


def damaged(path: str, reason: object) -> DamagedStateError:
    """The error that says that the database at `path` cannot be read."""
    return DamagedStateError(printable(path), printable(str(reason)))


def _refuse_foreign_tables(database: sqlite3.Connection, schema: str, path: str) -> None:
    """Raise OutputError if the database has tables, but none of ours. A table `meta` proves
    nothing: the databases of browsers have one as well."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    if tables and not (tables - {"meta"}) & {name for name, _ in _tables_in(schema)}:
        raise OutputError(
            f"{printable(path)} is the database of another program: "
            "move it away, or choose another --output."
        )


VALUE_ERRORS = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""Errors from values that are valid SQLite or JSON and are not what this program wrote."""

_NO_DAMAGE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_INTERRUPT,
    )
)
"""SQLite's errors that say nothing about the content of the file."""


def unreadable(path: str, error: Exception) -> DamagedStateError | OutputError:
    """The error that says that reading the database at `path` failed with `error`."""
    if is_damage(error):
        return damaged(path, error)
    return OutputError(f"The state {printable(path)} cannot be read: {error}.")


def is_damage(error: Exception) -> bool:
    """True if `error` may come from the content of the file or its disk, and not from a lock, a
    permission or a full disk."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _NO_DAMAGE


def _add_missing_tables(database: sqlite3.Connection, schema: str) -> None:
    present = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    for name, statement in _tables_in(schema):
        if name not in present:
            database.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))


def _tables_in(schema: str) -> Iterator[tuple[str, str]]:
    """The name of each table, or index, and the statement that makes it."""
    for statement in schema.split(";"):
        words = statement.split()  # CREATE TABLE IF NOT EXISTS name ..., or an INDEX
        if words:
            yield words[5].partition("(")[0], statement


def _show_missing_columns(database: sqlite3.Connection, added: Iterable[Column]) -> None:
    missing: dict[str, list[str]] = {}
    for table, name, _ in _missing(database, added):
        missing.setdefault(table, []).append(f"NULL AS {name}")
    for table, names in missing.items():
        columns = ", ".join(("*", *names))
        database.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table}")


def _missing(database: sqlite3.Connection, added: Iterable[Column]) -> list[Column]:
    """The columns of `added` that the file's own tables lack."""
    return [
        (table, name, type_)
        for table, name, type_ in added
        if name not in [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    ]


def _uri(path: str, readonly: bool) -> str:
    """A database that nobody has open is whole without its log. It is then read as a plain file,
    since opening it the usual way would leave new files next to it."""
    mode = "rwc"
    if readonly:
        mode = "ro" if os.path.exists(path + "-wal") else "ro&immutable=1"
    return f"{Path(path).absolute().as_uri()}?mode={mode}"
