"""The private database: the snapshot as one row of columns per directory, and what scans learn.

The commit point of a scan is one transaction here (rule 8, exactly once over crashes): snapshot,
scan number and the outbox of changes that do not yet stand in the journal go in together or not at
all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from typing import Any, TypeVar

from scanner.core.memory import AcceptRequest, Memory
from scanner.core.serialize import readable
from scanner.core.snapshot import Directory, Snapshot
from scanner.store.checksums import checked, with_checksum
from scanner.store.claims import doubt_rows
from scanner.store.database import VALUE_ERRORS
from scanner.store.metadata_rows import forget_rows, move_rows, salvage, shift_rows
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
from scanner.store.state_file import StateFile
from scanner.store.tables import INSERT, SELECT

TRUST = "trust"
"""The kind of requests to trust directory times again."""

T = TypeVar("T")


def _path_in(row: tuple[Any, ...]) -> str:
    """The text in the first column of a row. Raises TypeError if it holds something else."""
    if type(row[0]) is not bytes:
        raise TypeError("a path is not of bytes")
    return os.fsdecode(row[0])


class State(StateFile):
    """The database of one output: what scans learn, by what it is about."""

    # The snapshot

    def load_snapshot(self) -> Snapshot:
        """All directories."""
        # A cursor left open would keep the file open after `close`.
        with (
            self._reading(),
            self._uncached(),
            closing(self._db.execute(SELECT["directory"])) as rows,
        ):
            return {_path_in(row): directory_from(checked(row)) for row in rows}

    def save_directories(self, directories: Mapping[str, Directory]) -> None:
        """Insert or replace rows; call inside a transaction."""
        self._db.executemany(
            INSERT["directory"],
            (with_checksum(directory_row(*item)) for item in directories.items()),
        )

    def remove_directories(self, paths: Iterable[str]) -> None:
        """Delete rows; call inside a transaction."""
        self._db.executemany(
            "DELETE FROM directory WHERE path = ?", ((os.fsencode(path),) for path in paths)
        )

    # The history

    def history(self) -> dict[str, bytes]:
        """The lines of each day, in order. A row that the disk changed is left out."""
        return self._days(f"{SELECT['history']} ORDER BY day")

    def day(self, day: str) -> bytes:
        """The lines of one day; empty if there are none."""
        return self._days(f"{SELECT['history']} WHERE day = ?", day).get(day, b"")

    def _days(self, query: str, *values: str) -> dict[str, bytes]:
        found = {}
        for row in self._rows(query, *values):
            with suppress(*VALUE_ERRORS):
                day, lines = typed(checked(row), str, bytes)
                found[day] = lines
        return found

    def newest_day(self) -> str:
        """The last day of the history; empty if there is none."""
        return str(self._rows("SELECT max(day) FROM history")[0][0] or "")

    def save_history(self, days: Mapping[str, bytes], gone: Iterable[str] = ()) -> None:
        """Replace the lines of these days, and forget others; call inside a transaction."""
        self._db.executemany("DELETE FROM history WHERE day = ?", [(day,) for day in gone])
        self._db.executemany(INSERT["history"], [with_checksum(row) for row in days.items()])

    # Memory

    def load_memory(self) -> Memory:
        """Everything but the snapshot that a scan knows from earlier scans."""
        with self._reading():
            return Memory(
                roots=self._load_table("root", lambda row: root_from(row[1])),
                gone=self._load_table("gone", gone_from),
                arrived=self._load_table("arrived", arrived_from),
                unsettled=self._load_table("unsettled", unsettled_from),
                holds=self._load_table("hold", hold_from),
                unreachable=self._load_table("unreachable", unreachable_from),
                packs=self._load_table("pack", lambda row: pack_from(row[1])),
            )

    def _load_table(self, table: str, value_from: Callable[[Any], T]) -> dict[str, T]:
        """The values of a table by the text in its first column."""
        with closing(self._db.execute(SELECT[table])) as rows:
            return {_path_in(row): value_from(checked(row)) for row in rows}

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
        changed = [(item, value) for item, value in new.items() if old.get(item) != value]
        self._db.executemany(INSERT[table], [with_checksum(row_of(*item)) for item in changed])

    def move_known(
        self, files: Mapping[str, tuple[str, int, int]], directories: Mapping[str, str]
    ) -> None:
        """Have metadata follow moved files (`metadata.move_rows`); call inside a transaction."""
        move_rows(self._db, files, directories)

    def shift_known(self, files: Mapping[str, tuple[int, int]]) -> None:
        """Give metadata the new mtimes of files (`metadata.shift_rows`); call inside a
        transaction."""
        shift_rows(self._db, files)

    def doubt_known(self, files: Mapping[str, bytes]) -> set[str]:
        """Doubt the metadata of files that came back (`claims.doubt_rows`); call inside a
        transaction."""
        return doubt_rows(self._db, files)

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
        """Forget the lines of scans up to `scan`: they stand in the journal. If a power cut brings
        them back, the next start finds them there."""
        with self.unforced(), self.transaction():
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
