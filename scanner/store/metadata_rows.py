"""Rows of the table of metadata: their columns, and how they follow files that move or go."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from typing import Any

from scanner.core.digests import BLAKE3, DIGEST_BYTES, SHA256, XXH3
from scanner.core.paths import nearest_above
from scanner.errors import DamagedStateError, OutputError
from scanner.store.checksums import CHECKSUM, checksum_of, with_checksum
from scanner.store.database import connect

TABLE = """
CREATE TABLE IF NOT EXISTS known (folder BLOB NOT NULL, name BLOB NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, xxh3 BLOB, sha256 BLOB,
    facts TEXT, read INTEGER NOT NULL, corrupt INTEGER NOT NULL, version INTEGER NOT NULL,
    checksum INTEGER, identity BLOB, claimed BLOB, blake3 BLOB,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_version ON known (version);
"""

COLUMN_NAMES = (
    "folder, name, size, mtime, xxh3, sha256, facts, read, corrupt, version, identity, claimed,"
    " blake3"
)
"""`identity`: see `MetadataUpdate`. `claimed`: the fingerprint of a file that was gone and has come
back, empty if it is not known; NULL for all others. With an identity nobody has compared it yet."""

COLUMNS = tuple(COLUMN_NAMES.split(", "))
"""The columns of a row, without the checksum."""

_PLACES = ",".join("?" * (len(COLUMNS) + 1))

ADDED_COLUMNS = (
    ("known", CHECKSUM, "INTEGER"),
    ("known", "identity", "BLOB"),
    ("known", "claimed", "BLOB"),
    ("known", "blake3", "BLOB"),
)
"""As `tables.ADDED_COLUMNS`."""

SUM = f"UPDATE known SET checksum = checksum_of({COLUMN_NAMES})"

KEY = "WHERE folder = :folder AND name = :name"

DROP_DAMAGED = f"DELETE FROM known {KEY} AND checksum != checksum_of({COLUMN_NAMES})"
"""A damaged row must go before it is changed: its new checksum would be right."""

NO_VERSION = 1 << 62
"""Above all numbers of changes: those are nanoseconds since 1970."""


def columns_in(database: sqlite3.Connection) -> str:
    """The columns to read: NULL for those that an older version does not have."""
    names = {row[1] for row in database.execute("PRAGMA table_info(known)")}
    return ", ".join(name if name in names else "NULL" for name in (*COLUMNS, CHECKSUM))


def is_whole(row: tuple[Any, ...]) -> bool:
    """True if a row has values as this program writes them, and those that it wrote."""
    folder, name, size, mtime, xxh3, sha256, facts, read, corrupt, version = row[:10]
    *_, identity, claimed, blake3, checksum = row
    return (
        (checksum is None or checksum == checksum_of(row[:-1]))
        and all(type(value) is bytes for value in (folder, name))
        and all(type(value) is int for value in (size, mtime, read, corrupt, version))
        and (facts is None or type(facts) is str)
        and all(value is None or type(value) is bytes for value in (identity, claimed))
        and all(
            digest is None or (type(digest) is bytes and len(digest) == DIGEST_BYTES[algorithm])
            for algorithm, digest in ((XXH3, xxh3), (SHA256, sha256), (BLAKE3, blake3))
        )
        and 0 < version < NO_VERSION
    )


def salvage(old: str, new: sqlite3.Connection) -> int:
    """Copy the metadata that can be read in the damaged database at `old`. Returns the number of
    rows. Call inside a transaction of `new`."""
    rows: dict[tuple[bytes, bytes], tuple[Any, ...]] = {}
    with suppress(DamagedStateError, OutputError), closing(connect(old, readonly=True)) as database:
        # A damaged page ends a reading: what lies behind it is read from the other end.
        for order in ("", "DESC"):
            with suppress(sqlite3.Error):
                columns = columns_in(database)
                for row in database.execute(
                    f"SELECT {columns} FROM known ORDER BY folder {order}, name {order}"
                ):
                    if is_whole(row):
                        rows[row[:2]] = row
    new.executemany(
        f"INSERT OR REPLACE INTO known ({COLUMN_NAMES}, {CHECKSUM}) VALUES ({_PLACES})",
        (with_checksum(row[:-1]) for row in sorted(rows.values())),
    )
    return len(rows)


def move_rows(
    database: sqlite3.Connection,
    files: Mapping[str, tuple[str, int, int]],
    directories: Mapping[str, str],
) -> None:
    """Have metadata follow moved files. Call inside a transaction of `database`.

    `files` maps each old path to the new one, with the file's size and mtime there. Metadata that
    was read at another mtime is dropped, and metadata that the new path already has stays. What
    lies below one of `directories` (old path to new path) moves with it.
    """
    rows: list[tuple[Any, ...]] = []
    columns = f"{COLUMN_NAMES}, {CHECKSUM}"
    for source in directories:
        top = os.fsencode(source)
        below = os.fsencode(os.path.join(source, ""))
        where = "WHERE folder = ? OR (folder >= ? AND folder < ?)"
        bounds = (top, below, below[:-1] + bytes([below[-1] + 1]))
        rows += database.execute(f"SELECT {columns} FROM known {where}", bounds).fetchall()
        database.execute(f"DELETE FROM known {where}", bounds)
    for source in files:
        key = tuple(map(os.fsencode, os.path.split(source)))
        rows += database.execute(
            f"SELECT {columns} FROM known WHERE folder = ? AND name = ?", key
        ).fetchall()
        database.execute("DELETE FROM known WHERE folder = ? AND name = ?", key)
    if not rows:
        return
    (newest,) = database.execute("SELECT coalesce(max(version), 0) FROM known").fetchone()
    version = max(newest + 1, time.time_ns())
    for folder, name, size, mtime, *others, _ in filter(is_whole, rows):
        path = os.path.join(os.fsdecode(folder), os.fsdecode(name))
        target, *marks = files.get(path, ("",))
        above = nearest_above(path, directories)
        if target and marks != [size, mtime]:
            continue
        if not target and above is not None:
            target = directories[above] + path[len(above) :]
        if target:
            new_key = map(os.fsencode, os.path.split(target))
            database.execute(
                f"INSERT OR {'REPLACE' if marks else 'IGNORE'} INTO known "
                f"({columns}) VALUES ({_PLACES})",
                with_checksum((*new_key, size, mtime, *others[:5], version, *others[6:])),
            )


def shift_rows(database: sqlite3.Connection, files: Mapping[str, tuple[int, int]]) -> None:
    """Give the metadata of unchanged files, by path, their new mtimes: (before, after). Call inside
    a transaction of `database`."""
    if not files:
        return
    (newest,) = database.execute("SELECT coalesce(max(version), 0) FROM known").fetchone()
    version = max(newest + 1, time.time_ns())
    keys = []
    for path, (before, after) in files.items():
        folder, name = map(os.fsencode, os.path.split(path))
        times = {"before": before, "after": after, "version": version}
        keys.append({"folder": folder, "name": name, **times})
    database.executemany(DROP_DAMAGED, keys)
    database.executemany(
        f"UPDATE known SET mtime = :after, version = :version {KEY} AND mtime = :before", keys
    )
    database.executemany(f"{SUM} {KEY}", keys)


def forget_rows(database: sqlite3.Connection, paths: Iterable[str]) -> None:
    """Drop the metadata of files that are others than those that were read. Call inside a
    transaction of `database`."""
    folders: defaultdict[str, set[bytes]] = defaultdict(set)
    for path in paths:
        folder, name = os.path.split(path)
        folders[folder].add(os.fsencode(name))
    for folder, names in folders.items():
        key = os.fsencode(folder)
        known = database.execute("SELECT name FROM known WHERE folder = ?", (key,)).fetchall()
        database.executemany(
            "DELETE FROM known WHERE folder = ? AND name = ?",
            [(key, name) for (name,) in known if name in names],
        )
