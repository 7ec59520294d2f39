"""Asking a fleet in files: DuckDB reads the Parquet files of all hosts as two tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from scanner.errors import InventoryError, OutputError, SettingsError
from scanner.fleet.address import Address
from scanner.fleet.answers import Fleet, Report, Rows, check_text, first_line, rows_of
from scanner.fleet.database_place import HOSTS, ROOTS
from scanner.fleet.files_place import NEEDS, FilesPlace, scratch_folder
from scanner.fleet.manifest import Manifest, Part, root_rows
from scanner.fleet.questions import Question
from scanner.fleet.rows import CHANGES, ENTRIES
from scanner.fleet.shelf import Shelf, shelf_at
from scanner.output.parquet import connected, literal, quoted, quoted_name

_TABLES = {"entries": ENTRIES, "changes": CHANGES}


class _FilesFleet:
    """Files are opened with the first question to their table.

    Where one cannot be read, the manifests are read again: the host may just have replaced it. A
    host whose files are damaged even so is left out.
    """

    def __init__(self, shelf: Shelf, scratch: str, report: Report) -> None:
        self._shelf = shelf
        self._scratch = scratch
        self._report = report
        self._reported: set[str] = set()
        self._left_out: set[str] = set()
        self._database: Any = None
        self._load()

    def _load(self) -> None:
        self.close()
        found = FilesPlace(self._shelf).manifests(self._report_once)
        self.manifests: Sequence[Manifest] = [m for m in found if m.host not in self._left_out]
        self._tables: set[str] = set()
        self._database = self._connected(
            [
                part
                for manifest in self.manifests
                for table in _TABLES
                for part in _parts(manifest, table)
            ]
        )
        _add_facts(self._database, self.manifests)

    def _report_once(self, sentence: str) -> None:
        if sentence not in self._reported:
            self._reported.add(sentence)
            self._report(sentence)

    def _connected(self, parts: Sequence[Part]) -> Any:
        """A database in memory whose SQL reaches these files and nothing else."""
        database = connected(
            {"temp_directory": self._scratch, "python_enable_replacements": "false"}
        )
        self._shelf.attach(database)
        addresses = [self._shelf.address(part.path) for part in parts]
        # As patterns they are asked for, and as names they are opened. DuckDB looks for a folder
        # where there is no such file.
        patterns = [literal(address) for address in addresses]
        folders = [f"{pattern}/**/*.parquet" for pattern in patterns]
        names = dict.fromkeys([*patterns, *folders, *addresses])
        files = ", ".join(map(quoted, names))
        database.execute(f"SET allowed_paths = [{files}]")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        return database

    def close(self) -> None:
        """Let go of all files."""
        if self._database is not None:
            self._database.close()

    def ask(self, question: Question, limit: int | None = None) -> Rows:
        import duckdb

        check_text(question)
        try:
            _check_only_reads(self._database, question.sql)
            return self._answer(question, limit)
        except (
            duckdb.ParserException,
            duckdb.CatalogException,
            duckdb.BinderException,
            duckdb.PermissionException,
        ) as error:
            raise SettingsError(f"SQL: {first_line(error)}") from None
        except (duckdb.Error, OSError):
            self._load()
        with suppress(duckdb.Error, OSError):
            return self._answer(question, limit)
        self._leave_out_damaged()
        try:
            return self._answer(question, limit)
        except OSError as error:
            raise OutputError(f"A file of the fleet cannot be read: {first_line(error)}") from error
        except duckdb.Error as error:
            raise SettingsError(f"SQL: {first_line(error)}") from None

    def _answer(self, question: Question, limit: int | None) -> Rows:
        for table in _TABLES.keys() - self._tables:
            if table in question.sql.lower():
                self._add_files(table)
        cursor = self._database.execute(question.sql, question.parameters or None)
        return rows_of(tuple(item[0] for item in cursor.description or ()), cursor, limit)

    def _add_files(self, table: str) -> None:
        parts = [part for manifest in self.manifests for part in _parts(manifest, table)]
        _make_table(self._database, f"no_{table}", _TABLES[table])
        self._database.execute(f"CREATE VIEW {table} AS {self._select(table, parts)}")
        self._tables.add(table)

    def _select(self, table: str, parts: Sequence[Part]) -> str:
        """The rows of files. Whatever types and columns a file has, ours are there as they are
        here: its host may have another version."""
        source = f"SELECT * FROM no_{table}"
        if parts:
            names = ", ".join(quoted(literal(self._shelf.address(part.path))) for part in parts)
            options = "union_by_name = true, hive_partitioning = false"
            source += f" UNION ALL BY NAME SELECT * FROM read_parquet([{names}], {options})"
        typed = ", ".join(
            f"CAST({quoted_name(name)} AS {kind}) AS {quoted_name(name)}"
            for name, kind in _TABLES[table].items()
        )
        return f"SELECT * REPLACE ({typed}) FROM ({source})"

    def _leave_out_damaged(self) -> None:
        for manifest in self.manifests:
            for table in _TABLES:
                for part in _parts(manifest, table):
                    reason = self._damage_of(table, part)
                    if reason and manifest.host not in self._left_out:
                        self._left_out.add(manifest.host)
                        self._report(f"{manifest.host} is left out: {part.path}: {reason}")
        self._load()

    def _damage_of(self, table: str, part: Part) -> str:
        """Why a file cannot be read; empty if it can be."""
        import duckdb

        try:
            with self._connected([part]) as database:
                _make_table(database, f"no_{table}", _TABLES[table])
                read = f"SELECT count(COLUMNS(*)) FROM ({self._select(table, [part])})"
                database.execute(read).fetchall()
        except (duckdb.Error, OSError) as error:
            return first_line(error)
        return ""


@contextmanager
def open_files(address: Address, report: Report) -> Iterator[Fleet]:
    """What all hosts have published to the files at `address`."""
    try:
        import duckdb  # noqa: F401
    except ImportError:
        raise InventoryError(NEEDS) from None
    with scratch_folder() as scratch:
        fleet = _FilesFleet(shelf_at(address), scratch, report)
        try:
            yield fleet
        finally:
            fleet.close()


def _parts(manifest: Manifest, table: str = "") -> Sequence[Part]:
    """The files of a host: those of one table, or all."""
    by_table = {"entries": manifest.parts.values(), "changes": manifest.changes}
    chosen = [table] if table else by_table
    return [part for name in chosen for part in by_table[name] if part.path]


def _check_only_reads(database: Any, sql: str) -> None:
    import duckdb

    statements = database.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SettingsError("SQL: expected one SELECT: nothing can be written here.")


def _make_table(database: Any, name: str, columns: Mapping[str, str]) -> None:
    described = ", ".join(f"{quoted_name(column)} {kind}" for column, kind in columns.items())
    database.execute(f"CREATE TABLE {name} ({described})")


def _add_facts(database: Any, manifests: Sequence[Manifest]) -> None:
    hosts = [
        [*(getattr(manifest, name) for name in HOSTS if name != "manifest"), text]
        for manifest in manifests
        for text in [manifest.as_bytes().decode()]
    ]
    roots = [row for manifest in manifests for row in root_rows(manifest)]
    for table, columns, rows in (("hosts", HOSTS, hosts), ("roots", ROOTS, roots)):
        _make_table(database, f"known_{table}", columns)
        # A view, from which a query cannot delete.
        database.execute(f"CREATE VIEW {table} AS SELECT * FROM known_{table}")
        if rows:
            # In columns: DuckDB takes a millisecond for each INSERT.
            values = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
            cells = [list(column) for column in zip(*rows, strict=True)]
            database.execute(f"INSERT INTO known_{table} SELECT {values}", cells)
