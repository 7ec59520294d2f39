"""Asking what a fleet has published, with SQL: DuckDB over Parquet files, or PostgreSQL itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from scanner.errors import InventoryError, OutputError, SettingsError
from scanner.fleet.address import DATABASE, Address
from scanner.fleet.manifest import Manifest, Part, root_rows
from scanner.fleet.questions import Question
from scanner.fleet.rows import CHANGES, ENTRIES
from scanner.output.parquet import connected, quoted, quoted_name

_BATCH = 1000


class Rows(NamedTuple):
    """The answer of a query."""

    columns: tuple[str, ...]
    rows: Iterator[Sequence[Any]]

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows by the names of the columns."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


class Fleet(Protocol):
    """The tables `hosts`, `roots`, `entries` and `changes` of all hosts, as of one moment."""

    manifests: Sequence[Manifest]

    def ask(self, question: Question) -> Rows:
        """The rows that answer a question. Raises SettingsError for SQL that is wrong, and
        OutputError."""
        ...


@contextmanager
def open_fleet(address: Address, report: Callable[[str], None]) -> Iterator[Fleet]:
    """What all hosts have published at `address`. `report` gets sentences about hosts that are left
    out. Raises InventoryError if nothing was published, or a package is missing."""
    opened = _database(address, report) if address.kind == DATABASE else _files(address, report)
    with opened as fleet:
        if not fleet.manifests:
            raise InventoryError(
                f"No host has published to {address.shown} yet: set publish on each of them, or "
                "use comfy-inventory fleet publish."
            )
        yield fleet


class _DuckFleet:
    def __init__(self, database: Any, manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self._database = database

    def ask(self, question: Question) -> Rows:
        import duckdb

        try:
            _check_only_reads(self._database, question.sql)
            cursor = self._database.execute(question.sql, question.parameters or None)
            columns = tuple(item[0] for item in cursor.description or ())
            return Rows(columns, self._fetched(cursor))
        except duckdb.IOException as error:
            raise OutputError(f"A file of the fleet cannot be read: {_first(error)}") from error
        except duckdb.Error as error:
            raise SettingsError(f"SQL: {_first(error)}") from None

    @staticmethod
    def _fetched(cursor: Any) -> Iterator[Sequence[Any]]:
        while rows := cursor.fetchmany(_BATCH):
            yield from rows


def _check_only_reads(database: Any, sql: str) -> None:
    import duckdb

    statements = database.extract_statements(sql)
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if len(statements) != 1 or statements[0].type not in allowed:
        raise SettingsError("SQL: expected one SELECT: nothing can be written here.")


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


@contextmanager
def _files(address: Address, report: Callable[[str], None]) -> Iterator[Fleet]:
    try:
        database = connected()
    except ImportError:
        from scanner.fleet.files_place import NEEDS

        raise InventoryError(NEEDS) from None
    from scanner.fleet.files_place import FilesPlace
    from scanner.fleet.shelf import shelf_at

    try:
        shelf = shelf_at(address)
        manifests = FilesPlace(shelf).manifests(report)
        shelf.attach(database)
        entries = [part for manifest in manifests for part in manifest.parts.values() if part.path]
        changes = [part for manifest in manifests for part in manifest.changes]
        _view(database, "entries", ENTRIES, entries, shelf.address)
        _view(database, "changes", CHANGES, changes, shelf.address)
        _facts(database, manifests)
        yield _DuckFleet(database, manifests)
    finally:
        database.close()


def _view(
    database: Any,
    name: str,
    columns: Mapping[str, str],
    parts: Sequence[Part],
    address: Callable[[str], str],
) -> None:
    described = ", ".join(f"{quoted_name(column)} {kind}" for column, kind in columns.items())
    database.execute(f"CREATE TABLE no_{name} ({described})")
    files = ", ".join(quoted(address(part.path)) for part in parts)
    # By name: a host with another version may lack a column, or have one more.
    more = (
        f" UNION ALL BY NAME SELECT * FROM read_parquet([{files}], union_by_name = true, "
        "hive_partitioning = false)"
        if files
        else ""
    )
    database.execute(f"CREATE VIEW {name} AS SELECT * FROM no_{name}{more}")


def _facts(database: Any, manifests: Sequence[Manifest]) -> None:
    from scanner.fleet.database_place import HOSTS, ROOTS

    for table, columns in (("hosts", HOSTS), ("roots", ROOTS)):
        described = ", ".join(f"{quoted_name(name)} {kind}" for name, kind in columns.items())
        database.execute(f"CREATE TABLE {table} ({described})")
    for manifest in manifests:
        host = [getattr(manifest, name) for name in HOSTS if name != "manifest"]
        marks = ", ".join("?" * len(HOSTS))
        document = manifest.as_bytes().decode()
        database.execute(f"INSERT INTO hosts VALUES ({marks})", [*host, document])
        for row in root_rows(manifest):
            database.execute(f"INSERT INTO roots VALUES ({', '.join('?' * len(ROOTS))})", row)


class _PostgresFleet:
    def __init__(self, cursor: Any, manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self._cursor = cursor

    def ask(self, question: Question) -> Rows:
        import psycopg

        from scanner.fleet.database_place import in_psycopg

        try:
            if question.parameters:
                self._cursor.execute(in_psycopg(question.sql), question.parameters)
            else:
                self._cursor.execute(question.sql)
            described = self._cursor.description
            columns = tuple(item.name for item in described or ())
            return Rows(columns, iter(self._cursor) if described else iter(()))
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            raise SettingsError(f"SQL: {_first(error)}") from None
        except psycopg.InternalError as error:  # a write in a transaction that only reads
            raise SettingsError(f"SQL: {_first(error)}") from None


@contextmanager
def _database(address: Address, report: Callable[[str], None]) -> Iterator[Fleet]:
    from scanner.fleet.database_place import DatabasePlace, connect, reported

    manifests = DatabasePlace(address).manifests(report)
    with connect(address) as connection, reported(address), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield _PostgresFleet(cursor, manifests)
