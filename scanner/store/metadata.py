"""What was read of files beyond size and mtime: content hashes and model facts.

A table of the state, with a connection of its own: `hash` and `verify` write here while `run` holds
the lock, a few rows at a time, and a scan never waits for them longer than for one small
transaction. A row counts only for a file that still has the size and mtime it was read at.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from scanner.core.digests import SHA256, XXH3
from scanner.errors import DamagedStateError, OutputError

TABLE = """
CREATE TABLE IF NOT EXISTS known (folder BLOB NOT NULL, name BLOB NOT NULL,
    size INTEGER NOT NULL, mtime INTEGER NOT NULL, xxh3 BLOB, sha256 BLOB,
    facts TEXT, read INTEGER NOT NULL, corrupt INTEGER NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS known_version ON known (version);
"""

CLOSE_PATIENCE = 0.5
"""Seconds that `close` waits for another thread, which may wait for another process: within 2 s of
SIGTERM we are gone (design rule 3)."""

_COLUMNS = "name, size, mtime, xxh3, sha256, facts, read, corrupt"

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
"""What is new replaces what was known, and what was read at another size or mtime is forgotten."""


class FileMetadata(NamedTuple):
    """What is known of one file, as it was with this size (bytes) and mtime (nanoseconds)."""

    size: int
    mtime: int
    digests: Mapping[str, bytes]
    facts: Mapping[str, Any] | None
    """`model`, `status` and `problem` as `headers.Facts` has them; None where it was not read."""
    read: int
    """When its content was last read and hashed, nanoseconds since 1970; 0 for never."""
    corrupt: int
    """When its content was seen to differ from its hash though size and mtime do not; 0 for
    never."""

    def is_of(self, size: int, mtime: int) -> bool:
        """Whether the file still is what was read."""
        return (self.size, self.mtime) == (size, mtime)


class MetadataUpdate(NamedTuple):
    """Something new of one file; None leaves what is known of the same size and mtime."""

    path: str
    size: int
    mtime: int
    digests: Mapping[str, bytes] | None = None
    facts: Mapping[str, Any] | None = None


class MetadataTable:
    """The table at `path`, which is a state's. Raises OutputError where it cannot be written, or
    not be read, and at the start DamagedStateError. Safe in several threads and processes."""

    def __init__(self, path: str, *, is_readonly: bool = False) -> None:
        """`is_readonly`: for a user who may only read; nothing can be saved."""
        self.path = path
        self.versions: dict[str, int] = {}
        """Folders of which something is known, each with a number that rises with every change.
        Replaced, never changed: whoever holds it may compare."""
        self._newest = 0
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                _uri(path, is_readonly),
                uri=True,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
            if not is_readonly:
                self._db.executescript(TABLE)
            elif not self._has_table():
                self._db.executescript(TABLE.replace("CREATE TABLE", "CREATE TEMP TABLE"))
            # Damage is to be met now, where the state is rebuilt, and not in the middle of work.
            self._db.execute("SELECT count(size) FROM known NOT INDEXED").fetchone()
            self.versions, self._newest = self._news()
        except sqlite3.OperationalError as error:
            raise OutputError(f"The state {path} cannot be opened: {error}.") from None
        except sqlite3.DatabaseError as error:
            raise DamagedStateError(f"{path}: {error}") from None

    def _has_table(self) -> bool:
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'known'")
        return found.fetchone() is not None

    def close(self) -> None:
        """Let go of the database; safe to call twice. One that is being waited for is left."""
        if self._lock.acquire(timeout=CLOSE_PATIENCE):
            with suppress(sqlite3.Error):
                self._db.close()
            self._lock.release()

    def refresh(self) -> bool:
        """Take notice of what this process or another has written; whether there was anything."""
        with self._guarded():
            found, newest = self._news()
            if not found:
                return False
            self.versions, self._newest = {**self.versions, **found}, newest
        return True

    def _news(self) -> tuple[dict[str, int], int]:
        """Folders with what is new in them since `_newest`, and the number of the newest."""
        rows = self._db.execute(
            # Left to itself, SQLite groups by reading the whole table.
            "SELECT folder, max(version) FROM known INDEXED BY known_version"
            " WHERE version > ? GROUP BY folder",
            (self._newest,),
        ).fetchall()
        found = {os.fsdecode(folder): version for folder, version in rows}
        return found, max(found.values(), default=self._newest)

    @property
    def newest(self) -> int:
        """Number of the last change that `refresh` saw."""
        return self._newest

    def of_folder(self, folder: str) -> dict[str, FileMetadata]:
        """What is known of the files in `folder`, by name, of whatever size and mtime."""
        with self._guarded():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM known WHERE folder = ?", (os.fsencode(folder),)
            ).fetchall()
        return {os.fsdecode(row[0]): _known(row) for row in rows}

    def of(self, path: str) -> FileMetadata | None:
        """What is known of one file."""
        folder, name = os.path.split(path)
        with self._guarded():
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM known WHERE folder = ? AND name = ?",
                (os.fsencode(folder), os.fsencode(name)),
            ).fetchone()
        return None if row is None else _known(row)

    def digests_of(self, path: str, size: int, mtime: int) -> Mapping[str, bytes]:
        """Hashes of a file that has this size and mtime; none where they are not known, or it is
        known to be corrupt."""
        known = self.of(path)
        is_sound = known is not None and known.is_of(size, mtime) and not known.corrupt
        return known.digests if known is not None and is_sound else {}

    def save(self, learned: Iterable[MetadataUpdate], now: int) -> None:
        """Keep what was read; `now` in nanoseconds."""
        with self._writing() as version:
            self._db.executemany(_SAVE, (_row(item, now, version) for item in learned))
        self.refresh()

    def mark(self, path: str, *, corrupt: int, now: int) -> None:
        """Note that a file was read again, and whether its content was wrong."""
        folder, name = os.path.split(path)
        with self._writing() as version:
            self._db.execute(
                # The inventory has nothing to tell where it is as sound as it was.
                "UPDATE known SET version = CASE WHEN corrupt = ? THEN version ELSE ? END,"
                " corrupt = ?, read = ? WHERE folder = ? AND name = ?",
                (corrupt, version, corrupt, now, os.fsencode(folder), os.fsencode(name)),
            )
        self.refresh()

    def forget(self, paths: Iterable[str]) -> None:
        """Drop rows of files that are no more."""
        with self._writing():
            self._db.executemany(
                "DELETE FROM known WHERE folder = ? AND name = ?",
                (tuple(map(os.fsencode, os.path.split(path))) for path in paths),
            )

    def forget_folders(self, folders: Iterable[str]) -> None:
        """Drop what is known of files in folders that are no more."""
        gone = list(folders)
        if not gone:
            return
        with self._writing():
            self._db.executemany(
                "DELETE FROM known WHERE folder = ?", ((os.fsencode(folder),) for folder in gone)
            )
            forgotten = set(gone)
            self.versions = {k: v for k, v in self.versions.items() if k not in forgotten}

    @contextmanager
    def _writing(self) -> Iterator[int]:
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                row = self._db.execute("SELECT coalesce(max(version), 0) FROM known").fetchone()
                # By the clock, so that no number comes twice though rows are dropped.
                yield max(row[0] + 1, time.time_ns())
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise OutputError(f"The state {self.path} cannot be used: {error}.") from None


def _uri(path: str, is_readonly: bool) -> str:
    """A database that nobody has open is whole without its log, and is then read as a plain file:
    opening it the usual way would leave new files beside it."""
    mode = "rwc"
    if is_readonly:
        mode = "ro" if os.path.exists(path + "-wal") else "ro&immutable=1"
    return f"{Path(path).absolute().as_uri()}?mode={mode}"


def _known(row: tuple[Any, ...]) -> FileMetadata:
    _, size, mtime, xxh3, sha256, facts, read, corrupt = row
    digests = {name: value for name, value in ((XXH3, xxh3), (SHA256, sha256)) if value}
    return FileMetadata(
        size, mtime, digests, None if facts is None else orjson.loads(facts), read, corrupt
    )


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
