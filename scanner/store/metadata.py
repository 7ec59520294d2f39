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
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import orjson

from scanner.comfyui.companions import PIPELINE_NAME
from scanner.core.digests import BLAKE3, SHA256, XXH3
from scanner.errors import OutputError
from scanner.store.database import CLOSE_PATIENCE, VALUE_ERRORS, connect, is_damage, unreadable
from scanner.store.metadata_rows import (
    ADDED_COLUMNS,
    DROP_DAMAGED,
    KEY,
    NO_VERSION,
    SUM,
    TABLE,
    columns_in,
    is_whole,
)
from scanner.store.news import newest_problem

_SAVE = """
INSERT INTO known
    (folder, name, size, mtime, xxh3, sha256, blake3, facts, read, corrupt, version, identity)
VALUES (:folder, :name, :size, :mtime, :xxh3, :sha256, :blake3, :facts, :read, 0, :version,
    :identity)
ON CONFLICT (folder, name) DO UPDATE SET
    xxh3 = coalesce(:xxh3, CASE WHEN size = :size AND mtime = :mtime
        AND (claimed IS NULL OR :read = 0) THEN xxh3 END),
    sha256 = coalesce(:sha256, CASE WHEN size = :size AND mtime = :mtime
        AND (claimed IS NULL OR :read = 0) THEN sha256 END),
    blake3 = coalesce(:blake3, CASE WHEN size = :size AND mtime = :mtime
        AND (claimed IS NULL OR :read = 0) THEN blake3 END),
    facts = coalesce(:facts, CASE WHEN size = :size AND mtime = :mtime
        AND (claimed IS NULL OR identity IS NULL) THEN facts END),
    corrupt = CASE WHEN size = :size AND mtime = :mtime
        AND (claimed IS NULL OR :read = 0) THEN corrupt ELSE 0 END,
    identity = CASE WHEN size = :size AND mtime = :mtime AND claimed IS NOT NULL AND :read = 0
        THEN identity ELSE coalesce(:identity, CASE WHEN size = :size AND mtime = :mtime
        AND claimed IS NULL THEN identity END) END,
    claimed = CASE WHEN size = :size AND mtime = :mtime AND :read = 0 THEN claimed END,
    read = max(read, :read), size = :size, mtime = :mtime, version = :version
"""
"""New values replace old ones. Values that were read at another size or mtime are dropped, and with
new hashes all claims are."""

_SETTLE = {
    True: f"UPDATE known SET claimed = NULL, version = :version {KEY}",
    False: f"UPDATE known SET identity = NULL, facts = NULL, version = :version {KEY}",
    None: f"DELETE FROM known {KEY}",
}
"""As `MetadataTable.settle` asks for."""

_PIPELINE = os.fsencode(PIPELINE_NAME)


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
    claims: Mapping[str, bytes] = {}
    """Digests of a file that was gone and has come back, with the same size, mtime and fingerprint:
    nobody has read all of it since. It has no `digests` then."""
    identity: bytes = b""
    """As in `MetadataUpdate`."""
    claimed: bytes | None = None
    """The fingerprint before a file was gone, until it is known whether it is the same one."""

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
    identity: bytes | None = None
    """What tells whether it is the same file when it was gone and comes back: `Stat.identity` of a
    file, the real path of its target of a link; None if nothing does."""


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
        self.doubtful: set[str] = set()
        """Files that were gone and have come back, and that were not compared yet."""
        self._newest = 0
        self._newest_problem = 0
        self._lock = threading.Lock()
        self._db = connect(path, TABLE, readonly=readonly, added=() if readonly else ADDED_COLUMNS)
        try:
            self._columns = columns_in(self._db)
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
            if not readonly:
                self.doubtful.update(_doubtful_in(self._db))
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
            if type(folder) is not bytes or type(version) is not int or version >= NO_VERSION:
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
        return {os.fsdecode(row[1]): _metadata_from(row) for row in rows if is_whole(row)}

    def of(self, path: str) -> FileMetadata | None:
        """Metadata of one file."""
        folder, name = os.path.split(path)
        with self._guarded():
            row = self._db.execute(
                f"SELECT {self._columns} FROM known WHERE folder = ? AND name = ?",
                (os.fsencode(folder), os.fsencode(name)),
            ).fetchone()
        return None if row is None or not is_whole(row) else _metadata_from(row)

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
            self._db.executemany(DROP_DAMAGED, keys)
            self._db.executemany(_SAVE, rows)
            self._db.executemany(f"{SUM} {KEY}", keys)
        self.refresh()

    def mark(self, path: str, *, corrupt: int, now: int) -> None:
        """Store that a file was read again at `now`, and when its content was seen to be wrong (0
        for never), both in nanoseconds."""
        folder, name = os.path.split(path)
        key = {"folder": os.fsencode(folder), "name": os.fsencode(name)}
        with self._writing() as version:
            self._db.execute(DROP_DAMAGED, key)
            self._db.execute(
                # If the file is as sound as before, readers of the inventory see no difference.
                "UPDATE known SET version = CASE WHEN corrupt = ? THEN version ELSE ? END,"
                " corrupt = ?, read = ? WHERE folder = ? AND name = ?",
                (corrupt, version, corrupt, now, os.fsencode(folder), os.fsencode(name)),
            )
            self._db.execute(f"{SUM} {KEY}", key)
        self.refresh()

    def settle(self, found: Mapping[str, bool | None]) -> None:
        """Store of files that came back, by path, whether they are the same: False if what was read
        is a claim until they are read again, None if it does not count at all."""
        with self._writing() as version:
            for path, is_same in found.items():
                folder, name = map(os.fsencode, os.path.split(path))
                key = {"folder": folder, "name": name, "version": version}
                self._db.execute(DROP_DAMAGED, key)
                self._db.execute(_SETTLE[is_same], key)
                self._db.execute(f"{SUM} {KEY}", key)
        self.doubtful.difference_update(found)
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

    def drop_folders(self, folders: Collection[str]) -> None:
        """Forget that folders have metadata: they no longer exist, and their rows were dropped."""
        with self._guarded():
            self.versions = {k: v for k, v in self.versions.items() if k not in folders}
            self.pipelines.difference_update(folders)

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


def _doubtful_in(database: sqlite3.Connection) -> set[str]:
    # Older versions have no such columns until now, so the index is no part of the table's text.
    database.execute(
        "CREATE INDEX IF NOT EXISTS known_doubtful ON known (folder, name)"
        " WHERE claimed IS NOT NULL AND identity IS NOT NULL"
    )
    rows = database.execute(
        "SELECT folder, name FROM known INDEXED BY known_doubtful"
        " WHERE claimed IS NOT NULL AND identity IS NOT NULL"
    )
    return {os.path.join(os.fsdecode(folder), os.fsdecode(name)) for folder, name in rows}


def _metadata_from(row: tuple[Any, ...]) -> FileMetadata:
    _, _, size, mtime, xxh3, sha256, text, read, corrupt, _, identity, claimed, blake3, _ = row
    taken = (XXH3, xxh3), (SHA256, sha256), (BLAKE3, blake3)
    digests = {name: value for name, value in taken if value}
    facts = _facts_from(text)
    if claimed is None:
        return FileMetadata(size, mtime, digests, facts, read, corrupt, {}, identity or b"")
    if identity is None:
        return FileMetadata(size, mtime, {}, facts, 0, 0, digests)
    return FileMetadata(size, mtime, {}, None, 0, 0, {}, identity, claimed)


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
        "blake3": digests.get(BLAKE3),
        "facts": None if item.facts is None else orjson.dumps(item.facts).decode(),
        "read": now if item.digests else 0,
        "version": version,
        "identity": item.identity,
    }
