"""Publishing to PostgreSQL: tables in the schema `comfy_inventory`, a transaction for each host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from scanner.errors import InventoryError, OutputError
from scanner.fleet.address import Address
from scanner.fleet.generation import Generation, Spooled
from scanner.fleet.manifest import (
    DamagedManifestError,
    Manifest,
    Part,
    manifest_from,
    own_manifest,
    root_rows,
)
from scanner.fleet.rows import CHANGES, ENTRIES, KEY
from scanner.output.parquet import quoted_name

if TYPE_CHECKING:
    import psycopg

SCHEMA = "comfy_inventory"

HOSTS = {
    "host": "VARCHAR", "machine": "VARCHAR", "inventory": "VARCHAR", "series": "VARCHAR",
    "scan": "BIGINT", "generated": "VARCHAR", "published": "VARCHAR", "version": "VARCHAR",
    "manifest": "VARCHAR",
}  # fmt: skip

ROOTS = {
    "host": "VARCHAR", "root": "VARCHAR", "kind": "VARCHAR", "path": "VARCHAR",
    "category": "VARCHAR", "state": "VARCHAR", "since": "VARCHAR", "files": "BIGINT",
    "bytes": "BIGINT",
}  # fmt: skip

_TABLES = {"hosts": HOSTS, "roots": ROOTS, "entries": ENTRIES, "changes": CHANGES}

_KEYS = {"hosts": ("host",), "roots": ("host", "root"), "changes": KEY}

_LOCK = 0x636F6D6679
"""Number of the lock under which tables are made: two hosts may come first at a time."""

_HOST = 0x636F6D
"""The first number of the lock of each host; the other is made of its name."""

_PATIENCE = 10
"""Seconds to wait for a connection."""


def connect(address: Address) -> psycopg.Connection[Any]:
    """A connection to the database at `address`. Raises InventoryError and OutputError."""
    try:
        import psycopg
    except ImportError:
        raise InventoryError(
            "publish: an address with postgresql:// needs the package psycopg: install "
            "comfy-inventory[fleet,postgresql]."
        ) from None
    with reported(address):
        return psycopg.connect(
            address.where, connect_timeout=_PATIENCE, options=f"-c search_path={SCHEMA}"
        )


@contextmanager
def reported(address: Address) -> Iterator[None]:
    """Turn errors of the database into one sentence."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        reason = address.without_secrets(str(error).strip().partition("\n")[0])
        raise OutputError(f"{address.shown}: {reason}") from None


class DatabasePlace:
    """A database that hosts publish to."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Cursor[Any]]:
        with (
            connect(self._address) as connection,
            reported(self._address),
            connection.cursor() as cursor,
        ):
            yield cursor
            connection.commit()

    def make(self) -> None:
        """Make the tables, and add columns that an older version did not have."""
        with self._transaction() as cursor:
            make_tables(cursor)

    def manifest_of(self, host: str) -> Manifest | None:
        """What `host` published last; None if it is nothing, or nothing that can be read. Raises
        SettingsError if a later version of this program published it."""
        with self._transaction() as cursor:
            return _manifest_in(cursor, host) if has_tables(cursor) else None

    def publish(self, generation: Generation, previous: Manifest | None, scratch: str) -> Manifest:
        """Replace all rows of a host that changed, in one transaction. Raises OutputError."""
        made = generation.manifest
        parts = {
            root: Part("", spooled.rows, spooled.digest)
            for root, spooled in generation.entries.items()
        }
        made = replace(made, parts=parts, changes=self._noted(generation))
        known = previous.parts if previous is not None else {}
        self.make()
        with self._transaction() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_HOST, made.host))
            if _manifest_in(cursor, made.host) != previous:
                raise OutputError(f"another process publishes {made.host} at the same time.")
            if previous is None:  # rows of a manifest that could not be read
                _remove_host(cursor, made.host)
            _remove_rows(cursor, made.host, set(known) - set(parts))
            for root, spooled in generation.entries.items():
                if root not in known or known[root].digest != spooled.digest:
                    _remove_rows(cursor, made.host, {root})
                    _copy(cursor, "entries", ENTRIES, spooled)
            if generation.changes is not None:
                _add_changes(cursor, generation.changes)
            _put_host(cursor, made)
        return made

    @staticmethod
    def _noted(generation: Generation) -> tuple[Part, ...]:
        """One note that there are changes: what they are stands in their table."""
        added = generation.changes.rows if generation.changes is not None else 0
        rows = added + sum(part.rows for part in generation.manifest.changes)
        return (Part("", rows, ""),) if rows else ()

    def forget(self, host: str) -> bool:
        """Remove all that `host` has published; False if there was nothing."""
        with self._transaction() as cursor:
            if not has_tables(cursor):
                return False
            return _remove_host(cursor, host)

    def manifests(self, report: Callable[[str], None]) -> list[Manifest]:
        """The manifests of all hosts by their names; `report` gets a sentence for each that cannot
        be read."""
        with self._transaction() as cursor:
            return manifests_in(cursor, report)


def manifests_in(cursor: psycopg.Cursor[Any], report: Callable[[str], None]) -> list[Manifest]:
    """The manifests of all hosts by their names."""
    if not has_tables(cursor):
        return []
    found = []
    cursor.execute("SELECT host, manifest FROM hosts ORDER BY host")
    for host, document in cursor.fetchall():
        try:
            found.append(manifest_from(str(document).encode()))
        except DamagedManifestError as error:
            report(f"The manifest of {host} is left out: {error}.")
    return found


def has_tables(cursor: psycopg.Cursor[Any]) -> bool:
    """True if anything was ever published here."""
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.hosts",))
    row = cursor.fetchone()
    return bool(row and row[0])


def make_tables(cursor: psycopg.Cursor[Any]) -> None:
    """Make what is not there. Nothing is locked, and no right is needed, where all of it is."""
    if _lacking(cursor):
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        for statement in _statements(_lacking(cursor)):
            cursor.execute(statement)


def _lacking(cursor: psycopg.Cursor[Any]) -> Mapping[str, set[str]]:
    """The columns that are not there, by table."""
    cursor.execute(
        "SELECT c.relname, a.attname FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
        "WHERE n.nspname = %s AND a.attnum > 0 AND NOT a.attisdropped",
        (SCHEMA,),
    )
    known = set(cursor.fetchall())
    lacking = {
        table: {name for name in columns if (table, name) not in known}
        for table, columns in _TABLES.items()
    }
    return {table: names for table, names in lacking.items() if names}


def _statements(lacking: Mapping[str, set[str]]) -> Iterator[str]:
    if not lacking:
        return
    yield f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"
    for table, names in lacking.items():
        columns = _TABLES[table]
        described = ", ".join(f"{quoted_name(name)} {kind}" for name, kind in columns.items())
        key = _KEYS.get(table)
        primary = f", PRIMARY KEY ({', '.join(map(quoted_name, key))})" if key else ""
        yield f"CREATE TABLE IF NOT EXISTS {table} ({described}{primary})"
        for name in sorted(names):
            column = f"{quoted_name(name)} {columns[name]}"
            yield f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}"
    yield "CREATE INDEX IF NOT EXISTS entries_of ON entries (host, root)"
    yield "CREATE INDEX IF NOT EXISTS entries_named ON entries (category, name)"
    yield "CREATE INDEX IF NOT EXISTS entries_alike ON entries (size, fingerprint)"


def _manifest_in(cursor: psycopg.Cursor[Any], host: str) -> Manifest | None:
    cursor.execute("SELECT manifest FROM hosts WHERE host = %s", (host,))
    row = cursor.fetchone()
    return None if row is None else own_manifest(str(row[0]).encode())


def _remove_host(cursor: psycopg.Cursor[Any], host: str) -> bool:
    """Remove all rows of a host; False if there were none."""
    found = 0
    for table in _TABLES:
        cursor.execute(f"DELETE FROM {table} WHERE host = %s", (host,))
        found += cursor.rowcount
    return found > 0


def _remove_rows(cursor: psycopg.Cursor[Any], host: str, roots: set[str]) -> None:
    cursor.execute("DELETE FROM entries WHERE host = %s AND root = ANY(%s)", (host, sorted(roots)))


def _copy(
    cursor: psycopg.Cursor[Any], table: str, columns: Mapping[str, str], spooled: Spooled
) -> None:
    names = ", ".join(map(quoted_name, columns))
    with (
        open(spooled.path, "rb") as file,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy,
    ):
        for line in file:
            row = orjson.loads(line)
            copy.write_row([row.get(name) for name in columns])


def _add_changes(cursor: psycopg.Cursor[Any], spooled: Spooled) -> None:
    cursor.execute("CREATE TEMPORARY TABLE fresh (LIKE changes) ON COMMIT DROP")
    _copy(cursor, "fresh", CHANGES, spooled)
    cursor.execute("INSERT INTO changes SELECT * FROM fresh ON CONFLICT DO NOTHING")


def _put_host(cursor: psycopg.Cursor[Any], manifest: Manifest) -> None:
    row = {
        **{name: getattr(manifest, name) for name in HOSTS if name != "manifest"},
        "manifest": manifest.as_bytes().decode(),
    }
    names = ", ".join(HOSTS)
    values = ", ".join(f"%({name})s" for name in HOSTS)
    replaced = ", ".join(f"{name} = EXCLUDED.{name}" for name in HOSTS if name != "host")
    cursor.execute(
        f"INSERT INTO hosts ({names}) VALUES ({values}) "
        f"ON CONFLICT (host) DO UPDATE SET {replaced}",
        row,
    )
    cursor.execute("DELETE FROM roots WHERE host = %s", (manifest.host,))
    marks = ", ".join("%s" for _ in ROOTS)
    cursor.executemany(
        f"INSERT INTO roots ({', '.join(ROOTS)}) VALUES ({marks})", root_rows(manifest)
    )


def in_psycopg(sql: str) -> str:
    """SQL with parameters as `$name` in the form that psycopg takes."""
    return re.sub(r"\$([a-z_]+)", r"%(\1)s", sql.replace("%", "%%"))
