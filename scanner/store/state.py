"""The private database: the snapshot as one row of columns per directory, and what scans learn.

The commit point of a scan is one transaction here (rule 8, exactly once over crashes): snapshot,
scan number and the outbox of changes that do not yet stand in the journal go in together or not at
all.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

from scanner.core.memory import AcceptRequest, Memory
from scanner.core.serialize import printable, readable
from scanner.core.snapshot import Directory, Snapshot
from scanner.errors import DamagedStateError, OutputError
from scanner.store.database import CLOSE_PATIENCE, VALUE_ERRORS, connect, damaged, unreadable
from scanner.store.metadata import TABLE, forget_rows, move_rows, salvage, shift_rows
from scanner.store.rows import (
    Row,
    arrived_from,
    arrived_row,
    directory_from,
    directory_row,
    gone_from,
    gone_row,
    hold_from,
    hold_row,
    pack_from,
    pack_row,
    paths_blob,
    paths_from,
    root_from,
    root_row,
    typed,
    unreachable_from,
    unreachable_row,
    unsettled_from,
    unsettled_row,
)

VERSION = 1

MOST = 1 << 62
"""Above every number that this program counts or measures."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS directory (
    path BLOB PRIMARY KEY, names BLOB NOT NULL, types BLOB NOT NULL, sizes BLOB NOT NULL,
    mtimes BLOB NOT NULL, inodes BLOB NOT NULL, fingerprints BLOB NOT NULL,
    mtime INTEGER NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, extra BLOB,
    ctime INTEGER);
CREATE TABLE IF NOT EXISTS root (id BLOB PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (scan INTEGER, n INTEGER, line BLOB NOT NULL,
    PRIMARY KEY (scan, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (path BLOB PRIMARY KEY, time INTEGER NOT NULL,
    type TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL,
    device INTEGER NOT NULL, fingerprint BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS arrived (path BLOB PRIMARY KEY, time INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS unsettled (path BLOB PRIMARY KEY, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, reported INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS hold (root BLOB PRIMARY KEY, kind TEXT NOT NULL,
    since INTEGER NOT NULL, files INTEGER NOT NULL, bytes INTEGER NOT NULL,
    needs_accept INTEGER NOT NULL, paths BLOB NOT NULL, started REAL, boot TEXT);
CREATE TABLE IF NOT EXISTS unreachable (path BLOB PRIMARY KEY, error TEXT NOT NULL,
    since INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pack (path BLOB PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (id INTEGER PRIMARY KEY, asked INTEGER NOT NULL,
    root BLOB NOT NULL, path BLOB NOT NULL, paths BLOB NOT NULL, answer TEXT, kind TEXT);
"""

_ADDED_COLUMNS = (
    ("directory", "ctime", "INTEGER"),
    ("request", "kind", "TEXT"),
    ("hold", "started", "REAL"),
    ("hold", "boot", "TEXT"),
)
"""Table, name and type of the columns that older versions of this program did not write. They stand
last in their tables, and are NULL in older rows."""

TRUST = "trust"
"""The kind of requests to trust directory times again."""

T = TypeVar("T")


def _path_in(row: tuple[Any, ...]) -> str:
    """The text in the first column of a row. Raises TypeError if it holds something else."""
    if type(row[0]) is not bytes:
        raise TypeError("a path is not of bytes")
    return os.fsdecode(row[0])


def _other_version(path: str, version: str) -> DamagedStateError | OutputError:
    """The error for a state with this `version`. A newer one is whole and must not be replaced."""
    if not re.fullmatch("[0-9]{1,9}", version) or int(version) < VERSION:
        return damaged(path, "its version is not known")
    return OutputError(
        f"The state {printable(path)} was written by a newer version of this program: update "
        "comfy-inventory, or choose another --output."
    )


class State:
    """The database of one output. Every method raises DamagedStateError if it reads damaged values,
    and OutputError if it cannot write.

    `_lock` guards the connection, which all lanes share: a lane waits while another one is inside
    a transaction, and neither sees nor ends half of it.
    """

    def __init__(self, path: str, *, readonly: bool = False) -> None:
        """With `readonly` all reads see this moment, while another process may write."""
        self.path = path
        self._lock = threading.RLock()
        self._db = connect(path, _TABLES + TABLE, readonly=readonly, added=_ADDED_COLUMNS)
        try:
            version = self.get("version")
            if version is None and readonly:
                raise damaged(path, "it is not a state of this program")
            if version is None:
                self.put("version", VERSION)
            elif version != str(VERSION):
                raise _other_version(path, version)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database; safe to call twice. If another thread is stuck in it, it stays
        open."""
        if self._lock.acquire(timeout=CLOSE_PATIENCE):
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA optimize")
            self._db.close()
            self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside go in together; on an error none does."""
        with self._writing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise OutputError(f"The state {self.path} cannot be written: {error}.") from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, *VALUE_ERRORS) as error:
                raise unreadable(self.path, error) from None

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reading():
            return self._db.execute(query, values).fetchall()

    # Single values

    def get(self, key: str) -> str | None:
        """A single value by name."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def number(self, key: str) -> int:
        """A single whole number by name; 0 where unset."""
        with self._reading():
            number = int(self.get(key) or 0)
            if not 0 <= number < MOST:
                raise ValueError(f"{key} is out of range")
            return number

    def put(self, key: str, value: object) -> None:
        """Set a single value; inside a transaction it is part of it."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(value)))

    def has_written(self, inventory: str) -> bool:
        """True if this program wrote the inventory at this path, however damaged it is now."""
        return self.get("inventory") == ascii(os.path.basename(inventory))

    def note_inventory(self, inventory: str) -> None:
        """Remember that this program writes the inventory at this path. Inventories whose names
        differ only in their extension share this state."""
        if not self.has_written(inventory):
            self.put("inventory", ascii(os.path.basename(inventory)))

    def note(self, key: str, value: object) -> None:
        """Set a single value that may be lost in a power cut: nothing waits for the disk."""
        with self._writing():
            self._db.execute("PRAGMA synchronous=NORMAL")
            try:
                self.put(key, value)
            finally:
                self._db.execute("PRAGMA synchronous=FULL")

    # The snapshot

    def load_snapshot(self) -> Snapshot:
        """All directories."""
        # A cursor left open would keep the file open after `close`.
        with self._reading(), closing(self._db.execute("SELECT * FROM directory")) as rows:
            return {_path_in(row): directory_from(row) for row in rows}

    def save_directories(self, directories: Mapping[str, Directory]) -> None:
        """Insert or replace rows; call inside a transaction."""
        self._db.executemany(
            "INSERT OR REPLACE INTO directory VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (directory_row(path, directory) for path, directory in directories.items()),
        )

    def remove_directories(self, paths: Iterable[str]) -> None:
        """Delete rows; call inside a transaction."""
        self._db.executemany(
            "DELETE FROM directory WHERE path = ?", ((os.fsencode(path),) for path in paths)
        )

    # Memory

    def load_memory(self) -> Memory:
        """Everything but the snapshot that a scan knows from earlier scans."""
        with self._reading():
            return Memory(
                roots=self._load_table("id, record FROM root", lambda row: root_from(row[1])),
                gone=self._load_table("* FROM gone", gone_from),
                arrived=self._load_table("path, time FROM arrived", arrived_from),
                unsettled=self._load_table("* FROM unsettled", unsettled_from),
                holds=self._load_table("* FROM hold", hold_from),
                unreachable=self._load_table("* FROM unreachable", unreachable_from),
                packs=self._load_table("path, record FROM pack", lambda row: pack_from(row[1])),
            )

    def _load_table(self, what: str, value_from: Callable[[Any], T]) -> dict[str, T]:
        """The values of a table by the text in its first column."""
        with closing(self._db.execute(f"SELECT {what}")) as rows:
            return {_path_in(row): value_from(row) for row in rows}

    def save_memory(self, old: Memory, new: Memory) -> None:
        """Write what differs; call inside a transaction."""
        self._save_table("root", "id", old.roots, new.roots, root_row)
        self._save_table("gone", "path", old.gone, new.gone, gone_row)
        self._save_table("arrived", "path", old.arrived, new.arrived, arrived_row)
        self._save_table("unsettled", "path", old.unsettled, new.unsettled, unsettled_row)
        self._save_table("hold", "root", old.holds, new.holds, hold_row)
        self._save_table("unreachable", "path", old.unreachable, new.unreachable, unreachable_row)
        self._save_table("pack", "path", old.packs, new.packs, pack_row)

    def _save_table(
        self,
        table: str,
        key: str,
        old: Mapping[str, T],
        new: Mapping[str, T],
        row_of: Callable[[str, T], Row],
    ) -> None:
        """Write what differs between `old` and `new`; `key` is the column of their keys."""
        self._db.executemany(
            f"DELETE FROM {table} WHERE {key} = ?",
            [(os.fsencode(item),) for item in old if item not in new],
        )
        rows = [row_of(item, value) for item, value in new.items() if old.get(item) != value]
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)

    def move_known(
        self, files: Mapping[str, tuple[str, int, int]], directories: Mapping[str, str]
    ) -> None:
        """Have metadata follow moved files (`metadata.move_rows`); call inside a transaction."""
        move_rows(self._db, files, directories)

    def shift_known(self, files: Mapping[str, tuple[int, int]]) -> None:
        """Give metadata the new mtimes of files (`metadata.shift_rows`); call inside a
        transaction."""
        shift_rows(self._db, files)

    def forget_known(self, paths: Iterable[str]) -> None:
        """Drop the metadata of files (`metadata.forget_rows`); call inside a transaction."""
        forget_rows(self._db, paths)

    def salvage_known(self, old: str) -> int:
        """Take over the metadata of the damaged state at `old`, as far as it can be read. Returns
        the number of files."""
        with self.transaction():
            return salvage(old, self._db)

    # Outbox

    def put_outbox(self, scan: int, lines: Iterable[bytes]) -> None:
        """Changes to be appended to the journal; call inside a transaction."""
        self._db.executemany(
            "INSERT INTO outbox VALUES (?, ?, ?)",
            ((scan, n, line) for n, line in enumerate(lines, 1)),
        )

    def outbox(self) -> list[tuple[int, list[bytes]]]:
        """Scans whose lines may not stand in the journal yet, oldest first."""
        scans: dict[int, list[bytes]] = {}
        with self._reading():
            for row in self._rows("SELECT scan, line FROM outbox ORDER BY scan, n"):
                scan, line = typed(row, int, bytes)
                scans.setdefault(scan, []).append(line)
        return list(scans.items())

    def oldest_in_outbox(self) -> int | None:
        """Number of the oldest scan in the outbox; None if it is empty."""
        ((scan,),) = self._rows("SELECT min(scan) FROM outbox")
        return None if scan is None else int(scan)

    def clear_outbox(self, scan: int) -> None:
        """Forget the lines of scans up to `scan`: they stand in the journal."""
        with self.transaction():
            self._db.execute("DELETE FROM outbox WHERE scan <= ?", (scan,))

    # Requests of people, written by another process

    def ask(
        self,
        asked: int,
        root: str,
        path: str,
        paths: frozenset[str] = frozenset(),
        kind: str | None = None,
    ) -> int:
        """Leave a request for the next scan; its number. `kind` is TRUST, or None for `accept`."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO request (asked, root, path, paths, kind) VALUES (?, ?, ?, ?, ?)",
                (asked, os.fsencode(root), os.fsencode(path), paths_blob(paths), kind),
            )
        return int(cursor.lastrowid or 0)

    def requests(self) -> list[AcceptRequest]:
        """Requests of `accept` without an answer yet."""
        with self._reading():
            rows = self._rows(
                "SELECT id, root, path, paths FROM request"
                " WHERE answer IS NULL AND kind IS NULL ORDER BY id"
            )
            return [
                AcceptRequest(number, os.fsdecode(root), os.fsdecode(path), paths_from(paths))
                for number, root, path, paths in (
                    typed(row, int, bytes, bytes, bytes) for row in rows
                )
            ]

    def trust_requests(self) -> list[tuple[int, str]]:
        """Number and path of requests to trust directory times again, without an answer yet."""
        query = "SELECT id, path FROM request WHERE answer IS NULL AND kind = ? ORDER BY id"
        return [(number, os.fsdecode(path)) for number, path in self._rows(query, TRUST)]

    def answer_request(self, number: int, text: str) -> None:
        """Store what became of a request; call inside a transaction. Bytes in `text` that are not
        UTF-8 become U+FFFD, since no TEXT can hold them."""
        self._db.execute("UPDATE request SET answer = ? WHERE id = ?", (readable(text), number))

    def answer_of(self, number: int) -> str | None:
        """The answer to a request; None while there is none."""
        rows = self._rows("SELECT answer FROM request WHERE id = ?", number)
        return str(rows[0][0]) if rows and rows[0][0] is not None else None
