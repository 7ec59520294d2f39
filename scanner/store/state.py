"""The private database: the snapshot as one row of columns per directory, and what scans learn.

The commit point of a scan is one transaction here (design rule 8): snapshot, scan number and the
outbox of changes that do not yet stand in the journal go in together or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scanner.core.memory import (
    AcceptRequest,
    Gone,
    Hold,
    Memory,
    RootRecord,
    UnreachableFolder,
    Unsettled,
)
from scanner.core.packs import Pack
from scanner.core.paths import nearest_above
from scanner.core.snapshot import FINGERPRINT_BYTES, Directory, Entry, Listing, Snapshot
from scanner.errors import DamagedStateError, OutputError
from scanner.store.metadata import TABLE

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS directory (
    path BLOB PRIMARY KEY, names BLOB NOT NULL, types BLOB NOT NULL, sizes BLOB NOT NULL,
    mtimes BLOB NOT NULL, inodes BLOB NOT NULL, fingerprints BLOB NOT NULL,
    mtime INTEGER NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, extra BLOB);
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
    needs_accept INTEGER NOT NULL, paths BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS unreachable (path BLOB PRIMARY KEY, error TEXT NOT NULL,
    since INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pack (path BLOB PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request (id INTEGER PRIMARY KEY, asked INTEGER NOT NULL,
    root BLOB NOT NULL, path BLOB NOT NULL, paths BLOB NOT NULL, answer TEXT);
"""


class State:
    """The database of one output. Raises DamagedStateError where the file cannot be believed and
    OutputError where it cannot be written."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            # One writer at a time is ensured by the commit lock of the scan, not by the thread.
            self._db = sqlite3.connect(
                path, timeout=10, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise OutputError(f"The state {path} cannot be opened for writing: {error}.") from None
        try:
            self._prepare()
        except BaseException:
            self._db.close()  # an open file cannot be put aside on Windows
            raise

    def _prepare(self) -> None:
        path = self.path
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            # FULL: a power cut must not lose a commit whose lines already stand in the journal.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES + TABLE)
            known = self.get("version")
            if known is None:
                self._set("version", str(VERSION))
            elif known != str(VERSION):
                raise DamagedStateError(f"{path} was written by another version of this program")
        except sqlite3.OperationalError as error:
            raise OutputError(f"The state {path} cannot be opened for writing: {error}.") from None
        except sqlite3.DatabaseError as error:
            raise DamagedStateError(f"{path}: {error}") from None

    @classmethod
    def open_readonly(cls, path: str) -> State:
        """The database at `path` to read from alone, all of it as it is at this moment, while
        another process may write. Raises DamagedStateError where it cannot be read."""
        # A database that nobody has open is whole without its log, and is then read as a plain
        # file: opening it the usual way would leave new files beside it.
        mode = "mode=ro" if os.path.exists(path + "-wal") else "mode=ro&immutable=1"
        state = cls.__new__(cls)
        state.path = path
        try:
            state._db = sqlite3.connect(
                f"{Path(path).absolute().as_uri()}?{mode}",
                uri=True,
                timeout=10,
                isolation_level=None,
            )
            try:
                state._db.execute("BEGIN")
                if state.get("version") != str(VERSION):
                    raise DamagedStateError(
                        f"{path} was written by another version of this program"
                    )
                # A table that came with a later version is an empty one, in memory.
                there = {name for (name,) in state._db.execute("SELECT name FROM sqlite_master")}
                for statement in (_TABLES + TABLE).split(";"):
                    before, made, name = statement.partition("CREATE TABLE IF NOT EXISTS ")
                    if made and name.split()[0] not in there:
                        state._db.execute(f"{before}CREATE TEMP TABLE {name}")
            except BaseException:
                state._db.close()
                raise
        except sqlite3.Error as error:
            raise DamagedStateError(f"{path}: {error}") from None
        return state

    def close(self) -> None:
        """Close; safe to call twice."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA optimize")
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside go in together; on an error none does."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise OutputError(f"The state {self.path} cannot be written: {error}.") from None

    # Single values

    def get(self, key: str) -> str | None:
        """A single value by name."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def number(self, key: str) -> int:
        """A single whole number by name; 0 where unset."""
        return int(self.get(key) or 0)

    def put(self, key: str, value: object) -> None:
        """Set a single value; inside a transaction it is part of it."""
        try:
            self._set(key, str(value))
        except sqlite3.Error as error:
            raise OutputError(f"The state {self.path} cannot be written: {error}.") from None

    def _set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # The snapshot

    def load_snapshot(self) -> Snapshot:
        """All directories. Raises DamagedStateError where a row contradicts itself."""
        try:
            return {
                os.fsdecode(row[0]): _directory(row)
                for row in self._db.execute("SELECT * FROM directory")
            }
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError) as error:
            raise DamagedStateError(f"{self.path}: {error}") from None

    def save_directories(self, directories: Mapping[str, Directory]) -> None:
        """Insert or replace rows; call inside a transaction."""
        self._db.executemany(
            "INSERT OR REPLACE INTO directory VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (_row(path, directory) for path, directory in directories.items()),
        )

    def remove_directories(self, paths: Iterable[str]) -> None:
        """Delete rows; call inside a transaction."""
        self._db.executemany(
            "DELETE FROM directory WHERE path = ?", ((os.fsencode(path),) for path in paths)
        )

    # Memory

    def load_memory(self) -> Memory:
        """Everything else. Raises DamagedStateError."""
        try:
            return Memory(
                {
                    os.fsdecode(id_): _root_record(record)
                    for id_, record in self._db.execute("SELECT id, record FROM root")
                },
                {os.fsdecode(row[0]): _gone(row) for row in self._db.execute("SELECT * FROM gone")},
                {
                    os.fsdecode(path): time
                    for path, time in self._db.execute("SELECT path, time FROM arrived")
                },
                {
                    os.fsdecode(row[0]): Unsettled(*row[1:])
                    for row in self._db.execute("SELECT * FROM unsettled")
                },
                {hold.root: hold for hold in self.holds()},
                {
                    os.fsdecode(path): UnreachableFolder(error, since)
                    for path, error, since in self._db.execute("SELECT * FROM unreachable")
                },
                {
                    os.fsdecode(path): _pack(record)
                    for path, record in self._db.execute("SELECT path, record FROM pack")
                },
            )
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError) as error:
            raise DamagedStateError(f"{self.path}: {error}") from None

    def save_memory(self, old: Memory, new: Memory) -> None:
        """Write what differs; call inside a transaction."""
        self._save_table(
            "root",
            old.roots,
            new.roots,
            lambda id_, record: (os.fsencode(id_), _root_text(record)),
        )
        self._save_table(
            "gone",
            old.gone,
            new.gone,
            lambda path, gone: (
                os.fsencode(path),
                gone.time,
                gone.entry.type,
                gone.entry.size,
                gone.entry.mtime,
                *_signed((gone.entry.inode, gone.entry.device)),
                gone.entry.fingerprint,
            ),
        )
        self._save_table(
            "arrived", old.arrived, new.arrived, lambda path, time: (os.fsencode(path), time)
        )
        self._save_table(
            "unsettled",
            old.unsettled,
            new.unsettled,
            lambda path, seen: (os.fsencode(path), *seen),
        )
        self._save_table(
            "hold",
            old.holds,
            new.holds,
            lambda root, hold: (
                os.fsencode(root),
                hold.kind,
                hold.since,
                hold.files,
                hold.bytes,
                int(hold.needs_accept),
                _joined(hold.paths),
            ),
        )
        self._save_table(
            "unreachable",
            old.unreachable,
            new.unreachable,
            lambda path, folder: (os.fsencode(path), *folder),
        )
        self._save_table(
            "pack",
            old.packs,
            new.packs,
            lambda path, pack: (os.fsencode(path), _pack_text(pack)),
        )

    def _save_table(self, table: str, old: Mapping, new: Mapping, row_of) -> None:  # type: ignore[no-untyped-def, type-arg]
        key = {"root": "id", "hold": "root"}.get(table, "path")
        self._db.executemany(
            f"DELETE FROM {table} WHERE {key} = ?",
            [(os.fsencode(item),) for item in old if item not in new],
        )
        rows = [row_of(item, value) for item, value in new.items() if old.get(item) != value]
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)

    def holds(self) -> list[Hold]:
        """The holds that stand."""
        return [
            Hold(
                os.fsdecode(root),
                kind,
                since,
                None,
                _split(paths),
                files,
                bytes_,
                bool(needs_accept),
            )
            for root, kind, since, files, bytes_, needs_accept, paths in self._db.execute(
                "SELECT root, kind, since, files, bytes, needs_accept, paths FROM hold"
            )
        ]

    # What is known of files (see metadata.py)

    def move_known(
        self, files: Mapping[str, tuple[str, int, int]], directories: Mapping[str, str]
    ) -> None:
        """Have what is known of files follow them; call inside a transaction.

        `files` are where they went from each path, with their size and mtime there: what was known
        at another mtime stays behind, and what is known of the target by itself stays there. What
        lies below one of `directories` moves with it.
        """
        rows: list[tuple[Any, ...]] = []
        for source in directories:
            top = os.fsencode(source)
            below = os.fsencode(os.path.join(source, ""))
            where = "WHERE folder = ? OR (folder >= ? AND folder < ?)"
            bounds = (top, below, below[:-1] + bytes([below[-1] + 1]))
            rows += self._db.execute(f"SELECT * FROM known {where}", bounds).fetchall()
            self._db.execute(f"DELETE FROM known {where}", bounds)
        for source in files:
            key = tuple(map(os.fsencode, os.path.split(source)))
            rows += self._db.execute(
                "SELECT * FROM known WHERE folder = ? AND name = ?", key
            ).fetchall()
            self._db.execute("DELETE FROM known WHERE folder = ? AND name = ?", key)
        if not rows:
            return
        (newest,) = self._db.execute("SELECT coalesce(max(version), 0) FROM known").fetchone()
        version = max(newest + 1, time.time_ns())
        for folder, name, size, mtime, *columns in rows:
            path = os.path.join(os.fsdecode(folder), os.fsdecode(name))
            target, *marks = files.get(path, ("",))
            above = nearest_above(path, directories)
            if target and marks != [size, mtime]:
                continue
            if not target and above is not None:
                target = directories[above] + path[len(above) :]
            if target:
                here = map(os.fsencode, os.path.split(target))
                self._db.execute(
                    f"INSERT OR {'REPLACE' if marks else 'IGNORE'} INTO known "
                    "VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (*here, size, mtime, *columns[:-1], version),
                )

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
        for scan, line in self._db.execute("SELECT scan, line FROM outbox ORDER BY scan, n"):
            scans.setdefault(scan, []).append(line)
        return list(scans.items())

    def clear_outbox(self, scan: int) -> None:
        """Forget the lines of scans up to `scan`: they stand in the journal."""
        with self.transaction():
            self._db.execute("DELETE FROM outbox WHERE scan <= ?", (scan,))

    # Requests of `accept`, written by another process

    def ask(self, asked: int, root: str, path: str, paths: frozenset[str]) -> int:
        """Leave a request for the next scan; its number."""
        with self.transaction():
            row = self._db.execute(
                "INSERT INTO request (asked, root, path, paths) VALUES (?, ?, ?, ?)",
                (asked, os.fsencode(root), os.fsencode(path), _joined(paths)),
            )
        return int(row.lastrowid or 0)

    def requests(self) -> list[AcceptRequest]:
        """Requests without an answer yet."""
        return [
            AcceptRequest(number, os.fsdecode(root), os.fsdecode(path), _split(paths))
            for number, root, path, paths in self._db.execute(
                "SELECT id, root, path, paths FROM request WHERE answer IS NULL ORDER BY id"
            )
        ]

    def answer_request(self, number: int, text: str) -> None:
        """Say what became of a request; call inside a transaction."""
        self._db.execute("UPDATE request SET answer = ? WHERE id = ?", (text, number))

    def answer_of(self, number: int) -> str | None:
        """What became of a request; None while nothing did."""
        row = self._db.execute("SELECT answer FROM request WHERE id = ?", (number,)).fetchone()
        return None if row is None or row[0] is None else str(row[0])


def _row(path: str, directory: Directory) -> tuple[object, ...]:
    listing = directory.listing
    extra = b""
    if listing.targets or listing.unstatted or directory.ignored:
        # NUL cannot be part of a name, so it separates; an empty part separates the three lists.
        extra = b"\0\0".join(
            os.fsencode("\0".join(items))
            for items in (
                [text for pair in listing.targets for text in pair],
                listing.unstatted,
                sorted(directory.ignored),
            )
        )
    return (
        os.fsencode(path),
        os.fsencode(listing.names),
        listing.types.encode("ascii"),
        listing.sizes.tobytes(),
        listing.mtimes.tobytes(),
        listing.inodes.tobytes(),
        directory.fingerprints,
        directory.mtime,
        *_signed((directory.device, directory.inode)),
        extra,
    )


def _directory(row: tuple[bytes, ...]) -> Directory:
    _, names, types, sizes, mtimes, inodes, fingerprints, mtime, device, inode, extra = row
    targets: list[str] = []
    unstatted: list[str] = []
    ignored: list[str] = []
    if extra:
        targets, unstatted, ignored = (
            os.fsdecode(part).split("\0") if part else [] for part in extra.split(b"\0\0")
        )
    listing = Listing(
        os.fsdecode(names),
        types.decode("ascii"),
        array("q", sizes),
        array("q", mtimes),
        array("Q", inodes),
        tuple(zip(targets[::2], targets[1::2], strict=True)),
        tuple(unstatted),
    )
    count = len(listing.types)
    named = names.count(b"\0") + 1 if names else 0
    lengths = (named, len(listing.sizes), len(listing.mtimes))
    if lengths != (count, count, count) or len(listing.inodes) not in (0, count):
        raise ValueError("columns of unequal length")
    if len(fingerprints) not in (0, count * FINGERPRINT_BYTES):
        raise ValueError("fingerprints of unequal length")
    return Directory(
        listing,
        int(mtime),
        int(device) % 2**64,
        int(inode) % 2**64,
        frozenset(ignored),
        bytes(fingerprints),
    )


def _signed(numbers: Iterable[int]) -> list[int]:
    """SQLite's integers are signed 64 bits, inode and device numbers are not."""
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def _unsigned(numbers: Iterable[object]) -> list[int]:
    return [int(number) % 2**64 for number in numbers]  # type: ignore[call-overload]


def _gone(row: tuple[Any, ...]) -> Gone:
    path, time, letter, size, mtime, inode, device, fingerprint = row
    inode, device = _unsigned((inode, device))
    return Gone(time, Entry(os.fsdecode(path), letter, size, mtime, inode, device, fingerprint))


def _joined(paths: Iterable[str]) -> bytes:
    return os.fsencode("\0".join(sorted(paths)))


def _split(blob: bytes) -> frozenset[str]:
    return frozenset(os.fsdecode(blob).split("\0")) if blob else frozenset()


def _pack_text(pack: Pack) -> str:
    import json  # as for roots: a folder's name may hold surrogates

    return json.dumps(pack._asdict())


def _pack(text: str) -> Pack:
    import json

    return Pack(**json.loads(text))


def _root_text(record: RootRecord) -> str:
    import json  # escapes surrogates, which orjson refuses

    return json.dumps(vars(record))


def _root_record(text: str) -> RootRecord:
    import json

    values: dict[str, Any] = json.loads(text)
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return RootRecord(**plain)
