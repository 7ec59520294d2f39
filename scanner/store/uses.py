"""The table of what files name: which models each workflow and each picture speaks of.

Thousands of pictures hold the same workflow, so what they name is kept once. What files named that
have changed or gone is kept by name, with the last file and when that was seen.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

import orjson
import xxhash

from scanner.core.use_sources import VERSION
from scanner.errors import OutputError
from scanner.store.database import CLOSE_PATIENCE, VALUE_ERRORS, connect
from scanner.store.tables import TABLES

TABLE = """
CREATE TABLE IF NOT EXISTS use_text (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS use_file (folder BLOB NOT NULL, name BLOB NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, version INTEGER NOT NULL,
    text INTEGER NOT NULL, PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS use_file_text ON use_file (text);
CREATE TABLE IF NOT EXISTS use_past (name TEXT PRIMARY KEY, seen INTEGER NOT NULL,
    path BLOB NOT NULL) WITHOUT ROWID;
"""

COMPLETE = "uses_since"
"""The value of the state that says since when all that there was has been read, in nanoseconds."""

Mark = tuple[int, int]
"""Size and mtime of a file as it was read."""


class Read(NamedTuple):
    """What a file named when it was read. `text` is JSON: see `workflows.traces.as_text`."""

    path: str
    size: int
    mtime: int
    text: bytes


class Past(NamedTuple):
    """The last file that named something, and when it was seen to be gone or changed."""

    path: str
    seen: int


class UsesTable:
    """The tables in the state at `path`, opened by the first call. Raises OutputError if they
    cannot be written. One thread at a time uses the connection: `_lock` guards it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        if self._lock.acquire(timeout=CLOSE_PATIENCE):
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._database.close()
                self._database = None
            self._lock.release()

    def marks(self, folder: str) -> dict[str, Mark]:
        """The files of `folder` that this version has read, by name."""
        with self._writing() as database:
            rows = database.execute(
                "SELECT name, size, mtime FROM use_file WHERE folder = ? AND version = ?",
                (os.fsencode(folder), VERSION),
            )
            return {os.fsdecode(name): (size, mtime) for name, size, mtime in rows}

    def save(self, read: Iterable[Read], now: int) -> None:
        """Keep what files name; `now` in nanoseconds."""
        with self._writing() as database:
            for file in read:
                folder, name = map(os.fsencode, os.path.split(file.path))
                _part_with(database, folder, name, now, file.text)
                database.execute(
                    "INSERT OR REPLACE INTO use_file VALUES (?, ?, ?, ?, ?, ?)",
                    (folder, name, file.size, file.mtime, VERSION, _id_of(database, file.text)),
                )

    def drop(self, folder: str, names: Collection[str], now: int) -> None:
        """Drop the files of these names in `folder`: they are no longer listed."""
        if not names:
            return
        key = os.fsencode(folder)
        with self._writing() as database:
            for name in map(os.fsencode, names):
                _part_with(database, key, name, now)
                database.execute("DELETE FROM use_file WHERE folder = ? AND name = ?", (key, name))

    def folders_below(self, path: str) -> list[str]:
        """The folders below `path` of which files were read."""
        found: list[str] = []
        below = os.fsencode(os.path.join(path, ""))
        end = below[:-1] + bytes([below[-1] + 1])
        with self._writing() as database:
            folder: bytes | None = below
            while folder is not None:  # one look-up for each folder, not one for each file
                (folder,) = database.execute(
                    "SELECT min(folder) FROM use_file WHERE folder > ? AND folder < ?",
                    (folder, end),
                ).fetchone()
                if folder is not None:
                    found.append(os.fsdecode(folder))
        return found

    def is_complete(self) -> bool:
        """True if all that there was has been read once."""
        with self._writing() as database:
            row = database.execute("SELECT 1 FROM meta WHERE key = ?", (COMPLETE,)).fetchone()
            return row is not None

    def note_complete(self, now: int) -> None:
        """Remember that all that there is has been read at `now`, in nanoseconds."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (COMPLETE, str(now)))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        try:
            with self._lock:
                if self._database is None:
                    self._database = connect(self.path, TABLES + TABLE, readonly=False)
                database = self._database
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
        except (sqlite3.Error, *VALUE_ERRORS) as error:
            raise OutputError(f"The state {self.path} cannot be used: {error}.") from None


def _id_of(database: sqlite3.Connection, text: bytes) -> int:
    digest = xxhash.xxh3_128_digest(text)
    database.execute("INSERT OR IGNORE INTO use_text (digest, text) VALUES (?, ?)", (digest, text))
    (id_,) = database.execute("SELECT id FROM use_text WHERE digest = ?", (digest,)).fetchone()
    return int(id_)


def _part_with(
    database: sqlite3.Connection, folder: bytes, name: bytes, now: int, new: bytes = b""
) -> None:
    """Keep the names that a file named until now, and drop its text if no other file has it."""
    row = database.execute(
        "SELECT text.id, text.text FROM use_file AS file JOIN use_text AS text"
        " ON text.id = file.text WHERE file.folder = ? AND file.name = ?",
        (folder, name),
    ).fetchone()
    if row is None or row[1] == new:
        return
    gone = _names_in(row[1]) - _names_in(new)
    path = os.path.join(folder, name)
    database.executemany(
        "INSERT OR REPLACE INTO use_past VALUES (?, ?, ?)", ((each, now, path) for each in gone)
    )
    count = "SELECT count(*) FROM (SELECT 1 FROM use_file WHERE text = ? LIMIT 2)"
    if database.execute(count, (row[0],)).fetchone()[0] == 1:
        database.execute("DELETE FROM use_text WHERE id = ?", (row[0],))


def _names_in(text: bytes) -> set[str]:
    try:
        uses, names, _ = orjson.loads(text)
    except ValueError:
        return set()
    return {*(name for name, *_ in uses), *names}


class Known(NamedTuple):
    """All that is known of what files name, as it was at one moment."""

    files: Mapping[str, tuple[Mark, int]]
    """Size and mtime as they were read, and the number of the text, by absolute path."""
    texts: Mapping[int, bytes]
    past: Mapping[str, Past]
    since: int
    """As `COMPLETE`; 0 if not all has been read yet."""


def read_known(path: str) -> Known:
    """All that the state at `path` has, also while a scanner writes it; nothing is written.

    Raises OutputError or DamagedStateError.
    """
    database = connect(path, TABLES + TABLE, readonly=True)
    try:
        files = {
            os.fsdecode(os.path.join(folder, name)): ((size, mtime), text)
            for folder, name, size, mtime, version, text in database.execute(
                "SELECT folder, name, size, mtime, version, text FROM use_file"
            )
            if version == VERSION
        }
        texts = {
            id_: text
            for id_, digest, text in database.execute("SELECT id, digest, text FROM use_text")
            if isinstance(text, bytes) and xxhash.xxh3_128_digest(text) == digest
        }
        past = {
            name: Past(os.fsdecode(where), seen)
            for name, seen, where in database.execute("SELECT name, seen, path FROM use_past")
        }
        row = database.execute("SELECT value FROM meta WHERE key = ?", (COMPLETE,)).fetchone()
        # A damaged text was read of a file that is as unread as any other.
        files = {path: each for path, each in files.items() if each[1] in texts}
        return Known(files, texts, past, 0 if row is None else int(row[0]))
    except (sqlite3.Error, *VALUE_ERRORS) as error:
        raise OutputError(f"The state {path} cannot be read: {error}.") from None
    finally:
        database.close()
