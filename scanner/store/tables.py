"""The tables of the state, but for that of metadata (`metadata.TABLE`)."""

from __future__ import annotations

from scanner.store.checksums import CHECKSUM

TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS directory (
    path BLOB PRIMARY KEY, names BLOB NOT NULL, types BLOB NOT NULL, sizes BLOB NOT NULL,
    mtimes BLOB NOT NULL, inodes BLOB NOT NULL, fingerprints BLOB NOT NULL,
    mtime INTEGER NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, extra BLOB,
    ctime INTEGER, checksum INTEGER);
CREATE TABLE IF NOT EXISTS root (id BLOB PRIMARY KEY, record TEXT NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS outbox (scan INTEGER, n INTEGER, line BLOB NOT NULL,
    PRIMARY KEY (scan, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (path BLOB PRIMARY KEY, time INTEGER NOT NULL,
    type TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL,
    device INTEGER NOT NULL, fingerprint BLOB NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS arrived (path BLOB PRIMARY KEY, time INTEGER NOT NULL,
    checksum INTEGER);
CREATE TABLE IF NOT EXISTS unsettled (path BLOB PRIMARY KEY, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, reported INTEGER NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS hold (root BLOB PRIMARY KEY, kind TEXT NOT NULL,
    since INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
    needs_accept INTEGER NOT NULL, paths BLOB NOT NULL, started REAL, boot TEXT,
    checksum INTEGER);
CREATE TABLE IF NOT EXISTS unreachable (path BLOB PRIMARY KEY, error TEXT NOT NULL,
    since INTEGER NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS pack (path BLOB PRIMARY KEY, record TEXT NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS history (day TEXT PRIMARY KEY, lines BLOB NOT NULL, checksum INTEGER);
CREATE TABLE IF NOT EXISTS request (id INTEGER PRIMARY KEY, asked INTEGER NOT NULL,
    root BLOB NOT NULL, path BLOB NOT NULL, paths BLOB NOT NULL, answer TEXT, kind TEXT);
"""

CHECKED = (
    "directory",
    "root",
    "gone",
    "arrived",
    "unsettled",
    "hold",
    "unreachable",
    "pack",
    "history",
)
"""The tables whose rows have checksums; that of metadata has them as well."""

ADDED_COLUMNS = (
    ("directory", "ctime", "INTEGER"),
    ("request", "kind", "TEXT"),
    ("hold", "started", "REAL"),
    ("hold", "boot", "TEXT"),
    *((table, CHECKSUM, "INTEGER") for table in CHECKED),
)
"""Table, name and type of the columns that older versions of this program did not write. They are
NULL in older rows."""

COLUMNS = {
    table: tuple(
        column.split()[0]
        for column in TABLES.partition(f"EXISTS {table} (")[2].partition(");")[0].split(",")
        if column.split()[0] != CHECKSUM
    )
    for table in CHECKED
}
"""The columns of each of these tables in the order of their rows, without the checksum. A file of
an older version has them in another order."""

SELECT = {
    table: f"SELECT {', '.join((*columns, CHECKSUM))} FROM {table}"
    for table, columns in COLUMNS.items()
}

INSERT = {
    table: f"INSERT INTO {table} ({', '.join((*columns, CHECKSUM))})"
    f" VALUES ({', '.join('?' * (len(columns) + 1))}) ON CONFLICT ({columns[0]}) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in (*columns[1:], CHECKSUM))
    for table, columns in COLUMNS.items()
}
"""Adds a row, or changes the one with the same key where it lies: to replace it would write two
more pages of the file for each."""
