"""Metadata of files beyond size and mtime: content hashes and model facts.

It is a table of the state with its own connection: `hash` and `verify` write here while `run` holds
the lock, a few rows at a time, and a scan never waits for them longer than for one small
transaction. A row counts only for a file that still has the size and mtime it was read at.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import orjson

from scanner.comfyui.companions import PIPELINE_NAME
from scanner.core.digests import DIGEST_BYTES, SHA256, XXH3
from scanner.core.paths import nearest_above
from scanner.errors import DamagedStateError, OutputError
from scanner.store.checksums import CHECKSUM, checksum_of, with_checksum
from scanner.store.database import CLOSE_PATIENCE, VALUE_ERRORS, connect, is_damage, unreadable
from scanner.store.news import newest_problem

TABLE = """
CREATE TABLE IF NOT EXISTS known (folder BLOB NOT NULL, name BLOB NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, xxh3 BLOB, sha256 BLOB,
    facts TEXT, read INTEGER NOT NULL, corrupt INTEGER NOT NULL, version INTEGER NOT NULL,
    checksum INTEGER, PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_version ON known (version);
"""

_COLUMNS = "folder, name, size, mtime, xxh3, sha256, facts, read, corrupt, version"

COLUMNS = tuple(_COLUMNS.split(", "))
"""The columns of a row, without the checksum."""

ADDED_COLUMNS = (("known", CHECKSUM, "INTEGER"),)
"""As `tables.ADDED_COLUMNS`."""

_SUM = f"UPDATE known SET checksum = checksum_of({_COLUMNS})"

_KEY = "WHERE folder = :folder AND name = :name"

_DROP_DAMAGED = f"DELETE FROM known {_KEY} AND checksum != checksum_of({_COLUMNS})"
"""A damaged row must go before it is changed: its new checksum would be right."""

_SAVE = """
INSERT INTO known (folder, name, size, mtime, xxh3, sha256, facts, read, corrupt, version)
VALUES (:folder, :name, :size, :mtime, :xxh3, :sha256, :facts, :read, 0, :version)
ON CONFLICT (folder, name) DO UPDATE SET
    xxh3 = coalesce(:xxh3, CASE WHEN size = :size AND mtime = :mtime THEN xxh3 END),
    sha256 = coalesce(:sha256, CASE WHEN size = :size AND mtime = :mtime THEN sha256 END),
    facts = coalesce(:facts, CASE WHEN size = :size AND mtime = :mtime THEN facts END),
    corrupt = CASE WHEN size = :size AND mtime = :mtime THEN corrupt ELSE 0 END,
    read = max(read, :read), size = :size, mtime = :mtime, version = :version
"""
"""New values replace old ones. Values that were read at another size or mtime are dropped."""

_PIPELINE = os.fsencode(PIPELINE_NAME)

_NO_VERSION = 1 << 62
"""Above all numbers of changes: those are nanoseconds since 1970."""


class FileMetadata(NamedTuple):
    """The metadata of one file, read while it had this size (bytes) and mtime (nanoseconds)."""

    size: int
    mtime: int
    digests: Mapping[str, bytes]
    facts: Mapping[str, Any] | None
    """`model`, `status` and `problem` as `model_facts.Facts` has them, and the `version` of the
    reader; None if not read yet."""
    read: int
    """When its content was last read and hashed, nanoseconds since 1970; 0 for never."""
    corrupt: int
    """When its content was seen to differ from its hash though size and mtime do not; 0 for
    never."""

    def is_of(self, size: int, mtime: int) -> bool:
        """True if a file of this size and mtime is the one that was read."""
        return (self.size, self.mtime) == (size, mtime)


class MetadataUpdate(NamedTuple):
    """New metadata of one file. None keeps what is stored for the same size and mtime."""

    path: str
    size: int
    mtime: int
    digests: Mapping[str, bytes] | None = None
    facts: Mapping[str, Any] | None = None


class MetadataTable:
    """The metadata in the state at `path`. Raises OutputError if the table cannot be written, or
    not be read, and on opening DamagedStateError. Safe in several threads and processes: `_lock`
    guards the connection and `versions`."""

    def __init__(self, path: str, *, readonly: bool = False) -> None:
        """With `readonly` nothing can be saved, and no file changes or appears."""
        self.path = path
        self.versions: dict[str, int] = {}
        """Folders that have metadata, each with a number that rises with every change. The table
        is replaced and never changed, so that its holder may compare."""
        self.has_failed = False
        """True if reading or writing failed as it does on a damaged file."""
        self.pipelines: set[str] = set()
        """Folders in which a `model_index.json` was read; it may be gone."""
        self._newest = 0
        self._newest_problem = 0
        self._lock = threading.Lock()
        self._db = connect(path, TABLE, readonly=readonly, added=() if readonly else ADDED_COLUMNS)
        try:
            self._columns = _columns_in(self._db)
            # Damage is to be met now, where the state is rebuilt, and not in the middle of work.
            # The one reading of the whole table also finds the diffusers folders.
            _, folders = self._db.execute(
                "SELECT count(size), group_concat(CASE WHEN name = ? THEN hex(folder) END)"
                " FROM known NOT INDEXED",
                (_PIPELINE,),
            ).fetchone()
            self.pipelines.update(
                os.fsdecode(bytes.fromhex(folder))
                for folder in (folders or "").split(",")
                if folder
            )
            self.versions, self._newest = self._news()
        except (sqlite3.Error, *VALUE_ERRORS) as error:
            self._db.close()
            raise unreadable(path, error) from None

    def close(self) -> None:
        """Close the database; safe to call twice. If another thread is stuck in it, it stays
        open."""
        if self._lock.acquire(timeout=CLOSE_PATIENCE):
            with suppress(sqlite3.Error):
                self._db.close()
            self._lock.release()

    def refresh(self) -> bool:
        """Read which folders have new metadata, from this process or another; True if any has."""
        with self._guarded():
            versions, newest = self._news()
            if not versions:
                return False
            problem = newest_problem(self._db, self._newest)
            self._newest_problem = problem or self._newest_problem
            self.pipelines.update(
                os.fsdecode(folder)
                for (folder,) in self._db.execute(
                    "SELECT folder FROM known INDEXED BY known_version"
                    " WHERE version > ? AND name = ?",
                    (self._newest, _PIPELINE),
                )
            )
            self.versions, self._newest = {**self.versions, **versions}, newest
        return True

    def _news(self) -> tuple[dict[str, int], int]:
        """Folders that changed since `_newest`, and the number of the last change."""
        rows = self._db.execute(
            # Left to itself, SQLite groups by reading the whole table.
            "SELECT folder, max(version) FROM known INDEXED BY known_version"
            " WHERE version > ? GROUP BY folder",
            (self._newest,),
        ).fetchall()
        for folder, version in rows:
            if type(folder) is not bytes or type(version) is not int or version >= _NO_VERSION:
                raise ValueError("a version that never was")
        versions = {os.fsdecode(folder): version for folder, version in rows}
        return versions, max(versions.values(), default=self._newest)

    @property
    def newest(self) -> int:
        """Number of the last change that `refresh` has read."""
        return self._newest

    @property
    def newest_problem(self) -> int:
        """Number of the last change, of those since the start, of a file with a status."""
        return self._newest_problem

    def of_folder(self, folder: str) -> dict[str, FileMetadata]:
        """Metadata of the files in `folder` by name, also if size or mtime have changed since."""
        with self._guarded():
            rows = self._db.execute(
                f"SELECT {self._columns} FROM known WHERE folder = ?", (os.fsencode(folder),)
            ).fetchall()
        # A damaged row counts as not read yet: the file is read again.
        return {os.fsdecode(row[1]): _metadata_from(row) for row in rows if _is_whole(row)}

    def of(self, path: str) -> FileMetadata | None:
        """Metadata of one file."""
        folder, name = os.path.split(path)
        with self._guarded():
            row = self._db.execute(
                f"SELECT {self._columns} FROM known WHERE folder = ? AND name = ?",
                (os.fsencode(folder), os.fsencode(name)),
            ).fetchone()
        return None if row is None or not _is_whole(row) else _metadata_from(row)

    def digests_of(self, path: str, size: int, mtime: int) -> Mapping[str, bytes]:
        """Hashes of a file that has this size and mtime; empty if unknown, or if the file is known
        to be corrupt."""
        metadata = self.of(path)
        if metadata is None or metadata.corrupt or not metadata.is_of(size, mtime):
            return {}
        return metadata.digests

    def save(self, learned: Iterable[MetadataUpdate], now: int) -> None:
        """Store new metadata; `now` in nanoseconds."""
        with self._writing() as version:
            rows = [_row(item, now, version) for item in learned]
            keys = [{"folder": row["folder"], "name": row["name"]} for row in rows]
            self._db.executemany(_DROP_DAMAGED, keys)
            self._db.executemany(_SAVE, rows)
            self._db.executemany(f"{_SUM} {_KEY}", keys)
        self.refresh()

    def mark(self, path: str, *, corrupt: int, now: int) -> None:
        """Store that a file was read again at `now`, and when its content was seen to be wrong (0
        for never), both in nanoseconds."""
        folder, name = os.path.split(path)
        key = {"folder": os.fsencode(folder), "name": os.fsencode(name)}
        with self._writing() as version:
            self._db.execute(_DROP_DAMAGED, key)
            self._db.execute(
                # If the file is as sound as before, readers of the inventory see no difference.
                "UPDATE known SET version = CASE WHEN corrupt = ? THEN version ELSE ? END,"
                " corrupt = ?, read = ? WHERE folder = ? AND name = ?",
                (corrupt, version, corrupt, now, os.fsencode(folder), os.fsencode(name)),
            )
            self._db.execute(f"{_SUM} {_KEY}", key)
        self.refresh()

    def forget_folders(self, folders: Iterable[str]) -> None:
        """Drop the metadata of files in folders that no longer exist."""
        gone = list(folders)
        if not gone:
            return
        with self._writing():
            self._db.executemany(
                "DELETE FROM known WHERE folder = ?", ((os.fsencode(folder),) for folder in gone)
            )
            forgotten = set(gone)
            self.versions = {k: v for k, v in self.versions.items() if k not in forgotten}
            self.pipelines -= forgotten

    @contextmanager
    def _writing(self) -> Iterator[int]:
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT coalesce(max(version), 0) FROM known").fetchone()
                # By the clock, so that no number comes twice though rows are dropped.
                yield max(row[0] + 1, time.time_ns())
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to report
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, *VALUE_ERRORS) as error:
            self.has_failed |= is_damage(error)
            raise OutputError(f"The state {self.path} cannot be used: {error}.") from None


def salvage(old: str, new: sqlite3.Connection) -> int:
    """Copy the metadata that can be read in the damaged database at `old`. Returns the number of
    rows. Call inside a transaction of `new`."""
    rows: dict[tuple[bytes, bytes], tuple[Any, ...]] = {}
    with suppress(DamagedStateError, OutputError), closing(connect(old, readonly=True)) as database:
        # A damaged page ends a reading: what lies behind it is read from the other end.
        for order in ("", "DESC"):
            with suppress(sqlite3.Error):
                columns = _columns_in(database)
                for row in database.execute(
                    f"SELECT {columns} FROM known ORDER BY folder {order}, name {order}"
                ):
                    if _is_whole(row):
                        rows[row[:2]] = row
    new.executemany(
        f"INSERT OR REPLACE INTO known ({_COLUMNS}, {CHECKSUM}) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (with_checksum(row[:-1]) for row in sorted(rows.values())),
    )
    return len(rows)


def _columns_in(database: sqlite3.Connection) -> str:
    """The columns to read: those of an older version have no checksum."""
    names = [row[1] for row in database.execute("PRAGMA table_info(known)")]
    return f"{_COLUMNS}, {CHECKSUM if CHECKSUM in names else 'NULL'}"


def _is_whole(row: tuple[Any, ...]) -> bool:
    """True if a row has values as this program writes them, and those that it wrote."""
    folder, name, size, mtime, xxh3, sha256, facts, read, corrupt, version, checksum = row
    return (
        (checksum is None or checksum == checksum_of(row[:-1]))
        and all(type(value) is bytes for value in (folder, name))
        and all(type(value) is int for value in (size, mtime, read, corrupt, version))
        and (facts is None or type(facts) is str)
        and all(
            digest is None or (type(digest) is bytes and len(digest) == DIGEST_BYTES[algorithm])
            for algorithm, digest in ((XXH3, xxh3), (SHA256, sha256))
        )
        and 0 < version < _NO_VERSION
    )


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
    columns = f"{_COLUMNS}, {CHECKSUM}"
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
    for folder, name, size, mtime, *others, _ in filter(_is_whole, rows):
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
                f"({columns}) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                with_checksum((*new_key, size, mtime, *others[:-1], version)),
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
    database.executemany(_DROP_DAMAGED, keys)
    database.executemany(
        f"UPDATE known SET mtime = :after, version = :version {_KEY} AND mtime = :before", keys
    )
    database.executemany(f"{_SUM} {_KEY}", keys)


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


def _metadata_from(row: tuple[Any, ...]) -> FileMetadata:
    _, _, size, mtime, xxh3, sha256, facts, read, corrupt, *_ = row
    digests = {name: value for name, value in ((XXH3, xxh3), (SHA256, sha256)) if value}
    return FileMetadata(size, mtime, digests, _facts_from(facts), read, corrupt)


def _facts_from(text: str | None) -> Mapping[str, Any] | None:
    """Model facts as they were saved. Damaged ones count as not read yet: they are read again."""
    try:
        facts = None if text is None else orjson.loads(text)
    except ValueError:
        return None
    return facts if isinstance(facts, dict) else None


def _row(item: MetadataUpdate, now: int, version: int) -> dict[str, object]:
    folder, name = os.path.split(item.path)
    digests = item.digests or {}
    return {
        "folder": os.fsencode(folder),
        "name": os.fsencode(name),
        "size": item.size,
        "mtime": item.mtime,
        "xxh3": digests.get(XXH3),
        "sha256": digests.get(SHA256),
        "facts": None if item.facts is None else orjson.dumps(item.facts).decode(),
        "read": now if item.digests else 0,
        "version": version,
    }
