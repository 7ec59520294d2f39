"""The database file of the state: its connection, its transactions and its single values."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from scanner.core.serialize import printable
from scanner.errors import DamagedStateError, OutputError
from scanner.store import metadata_rows
from scanner.store.checksums import CHECKSUM
from scanner.store.database import (
    CLOSE_PATIENCE,
    VALUE_ERRORS,
    connect,
    damaged,
    is_damage,
    unreadable,
)
from scanner.store.tables import ADDED_COLUMNS, COLUMNS, TABLES

VERSION = 2
"""Since 2 the columns of a directory may have four bytes for each number (`snapshot.narrow`)."""

OLD_VERSION = 1
"""All that it holds is read as it is."""

MOST = 1 << 62
"""Above every number that this program counts or measures."""

SMALL_CACHE = -100
"""The cache of SQLite while all folders are read, as it counts: 100 KiB. The usual 2,000 would stay
full of pages that nobody reads again."""

_File = tuple[int, int, int]
"""Device, inode and size."""


def _files_of(path: str) -> tuple[_File | None, _File | None]:
    """The database at `path` and its log; None where there is none."""
    files: list[_File | None] = []
    for name in (path, f"{path}-wal"):
        try:
            seen = os.stat(name)
            files.append((seen.st_dev, seen.st_ino, seen.st_size))
        except OSError:
            files.append(None)
    return files[0], files[1]


def _other_version(path: str, version: str) -> DamagedStateError | OutputError:
    """The error for a state with this `version`. A newer one is whole and must not be replaced."""
    if not re.fullmatch("[0-9]{1,9}", version) or int(version) < VERSION:
        return damaged(path, "its version is not known")
    return OutputError(
        f"The state {printable(path)} was written by a newer version of this program: update "
        "comfy-inventory, or choose another --output."
    )


class StateFile:
    """The file of one output's state. Every method raises DamagedStateError if it reads damaged
    values, and OutputError if it cannot write.

    `_lock` guards the connection, which all lanes share: a lane waits while another one is inside
    a transaction, and neither sees nor ends half of it.
    """

    def __init__(self, path: str, *, readonly: bool = False) -> None:
        """With `readonly` all reads see this moment, while another process may write."""
        self.path = path
        self._lock = threading.RLock()
        self._has_failed = False
        """True if a statement failed as it does on a damaged file, or the file is another one."""
        added = ADDED_COLUMNS if readonly else (*ADDED_COLUMNS, *metadata_rows.ADDED_COLUMNS)
        self._db = connect(path, TABLES + metadata_rows.TABLE, readonly=readonly, added=added)
        self._files = _files_of(path)
        try:
            version = self.get("version")
            if version is None and readonly:
                raise damaged(path, "it is not a state of this program")
            if version is None:
                with self.transaction():
                    self.put("version", VERSION)
                    self.put("checksums", 1)
            elif version == str(OLD_VERSION):
                if not readonly:
                    with self.transaction():
                        self.put("version", VERSION)
            elif version != str(VERSION):
                raise _other_version(path, version)
            if not readonly:
                self._add_checksums()
            self._files = _files_of(path)
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

    def is_sound(self) -> bool:
        """False if the database or its log was removed, replaced or cut since it was opened, or if
        a statement failed as it does on a damaged file. It must be opened anew then: what is
        written here may be lost."""
        # First: another lane may commit meanwhile, and then the files only grow.
        known = self._files
        for now, was in zip(_files_of(self.path), known, strict=True):
            if was is not None and (now is None or now[:2] != was[:2] or now[2] < was[2]):
                self._has_failed = True
        return not self._has_failed

    def _add_checksums(self) -> None:
        """Give the rows of an older version their checksums, once."""
        if self.get("checksums") is not None:
            return
        with self._reading():
            self._db.execute("BEGIN IMMEDIATE")
            for table, columns in {**COLUMNS, "known": metadata_rows.COLUMNS}.items():
                values = ", ".join(columns)
                self._db.execute(f"UPDATE {table} SET {CHECKSUM} = checksum_of({values})")
            self.put("checksums", 1)
            self._db.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside go in together; on an error none does."""
        with self._writing():
            if not self.is_sound():
                raise OutputError(
                    f"The state {printable(self.path)} was changed by something else, or is "
                    "damaged: the next scan opens it anew."
                )
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                if self.is_sound():
                    self._files = _files_of(self.path)
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
                self._has_failed |= is_damage(error)
                raise OutputError(f"The state {self.path} cannot be written: {error}.") from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, *VALUE_ERRORS) as error:
                self._has_failed |= is_damage(error)
                raise unreadable(self.path, error) from None

    @contextmanager
    def _uncached(self) -> Iterator[None]:
        """Keep few pages for another time, inside `_reading`: all rows are read once."""
        ((usual,),) = self._db.execute("PRAGMA cache_size").fetchall()
        self._db.execute(f"PRAGMA cache_size={SMALL_CACHE}")
        try:
            yield
        finally:
            self._db.execute(f"PRAGMA cache_size={usual}")

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

    def put_all(self, values: Mapping[str, object]) -> None:
        """Set single values at once; inside a transaction they are part of it."""
        rows = [(key, str(value)) for key, value in values.items()]
        with self._writing():
            self._db.execute(
                f"INSERT OR REPLACE INTO meta VALUES {', '.join(['(?, ?)'] * len(rows))}",
                [text for row in rows for text in row],
            )

    def note(self, values: Mapping[str, object]) -> None:
        """Set single values that may be lost in a power cut: nothing waits for the disk."""
        with self.unforced():
            self.put_all(values)

    @contextmanager
    def unforced(self) -> Iterator[None]:
        """What transactions inside write may be lost in a power cut, until another one is written:
        nothing waits for the disk."""
        with self._writing():
            self._db.execute("PRAGMA synchronous=NORMAL")
            try:
                yield
            finally:
                self._db.execute("PRAGMA synchronous=FULL")
