"""The journal: the append-only list of changes, one JSON object per line.

Every line carries the number of its scan, its own number `n` in the scan, and the total `of`. A
writer after a crash, and every reader, can thus distinguish a complete scan from a torn one. All
lines of a scan are in one file. `S.changes.jsonl` is the newest file, `S.changes.1.jsonl` the last
rotated one, and so on. `schemas/change.schema.json` documents each field.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, BinaryIO

import orjson

from scanner.core.changes import Change
from scanner.core.serialize import mtime_fields, path_fields, printable, readable, time_text
from scanner.errors import OutputError
from scanner.output.atomic import cannot, free_name_beside, patiently, sync_file, sync_folder
from scanner.output.journal_files import (
    generation_path,
    generations,
    open_existing,
    parse_line,
)
from scanner.output.journal_tail import is_only_pending, lines_backwards, tail_of
from scanner.output.regular_files import opening_own

log = logging.getLogger(__name__)

_CHUNK = 1 << 20
"""Bytes collected before a write."""

_START = b'{"scan":'


def encode(change: Change, *, scan: int, n: int, of: int, time_ns: int, base: str | None) -> bytes:
    """The line of `change`, number `n` (from 1) `of` those of `scan`, committed at `time_ns`.

    Files and links always have a size. Files always have an mtime, links if it is not 0. Other
    types have neither. Unknown fields are left out.
    """
    fields: dict[str, Any] = {"scan": scan, "n": n, "of": of, "time": time_text(time_ns)}
    fields["kind"] = change.kind
    if change.type:
        fields["type"] = change.type
    fields.update(path_fields(change.path, base))
    if change.source:
        fields.update(path_fields(change.source, base, "from"))
    fields["root"] = readable(change.root)
    if change.type in ("file", "symlink") and change.kind != "baseline":
        fields["size"] = change.size
        if change.type == "file" or change.mtime:
            fields.update(mtime_fields(change.mtime))
    if change.evidence:
        fields["evidence"] = change.evidence
    if change.files >= 0:
        fields["files"] = change.files
    if change.bytes >= 0:
        fields["bytes"] = change.bytes
    if change.reason:
        fields["reason"] = readable(change.reason)
    if change.pack is not None:
        fields["pack"] = change.pack.as_json()
    # A copy: what orjson returns takes 4 KB, and lines are kept until the next commit.
    return orjson.dumps(fields) + b"\n"


class Journal:
    """The only writer of the journal at `path`.

    An append rotates the file first if it has `limit_bytes` or more. `keep` (at least 1) rotated
    files stay. No file is open between appends. All methods raise OutputError.
    """

    def __init__(self, path: str | os.PathLike[str], *, limit_bytes: int, keep: int) -> None:
        self.path = os.fspath(path)
        self._limit = limit_bytes
        self._keep = max(1, keep)
        self._torn_at: int | None = None
        """Offset of the lines of a failed append that could not be truncated at once."""

    def append(self, lines: Iterable[bytes]) -> None:
        """Append all lines of one scan, in order, and fsync them.

        After a failure none of them stays, so that the same scan can be appended again.
        """
        try:
            self._append(lines)
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def recover(self, pending: Sequence[tuple[int, Sequence[bytes]]], confirmed: int = 0) -> int:
        """Complete the journal after a crash at any point. Returns the number of appended lines.

        Call it before the first append, and instead of the next append after a failed one.
        `pending` holds the number and lines of each scan whose append was not confirmed. What the
        end of the file holds of them is cut off if it is not complete, and the lines that are in no
        file are appended. All other scans up to number `confirmed` are known to be complete: if a
        line of them is damaged, the others stay. Everything else that is no whole line of a
        complete scan is kept in a file of its own. A second call changes nothing.
        """
        try:
            self._remove_torn()
            waiting = dict(pending)
            self._mend_tail(waiting, confirmed)
            present = self._present({number: len(lines) for number, lines in pending})
            appended = 0
            for number, lines in sorted(pending, key=lambda scan: scan[0]):
                missing = [line for n, line in enumerate(lines, 1) if n not in present[number]]
                self._append(missing)
                appended += len(missing)
            return appended
        except OSError as error:
            raise cannot("write", self.path, error) from error

    def last_scan(self) -> int:
        """Number of the last scan with lines in the journal; 0 if it is empty."""
        try:
            for _, line in self._backwards():
                return int(line["scan"])
            return 0
        except OSError as error:
            raise cannot("read", self.path, error) from error

    @property
    def position(self) -> int:
        """Size in bytes of the newest file; 0 if there is none."""
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise cannot("read", self.path, error) from error

    # Appending

    def _append(self, lines: Iterable[bytes]) -> None:
        chunks = _chunks(lines)
        first = next(chunks, None)
        if first is None:
            return  # a scan without changes neither creates nor rotates a file
        self._remove_torn()
        self._rotate_if_due()
        with open(self.path, "ab", buffering=0, opener=opening_own) as file:
            start = file.seek(0, os.SEEK_END)
            try:
                _write_all(file, first)
                for chunk in chunks:
                    _write_all(file, chunk)
                sync_file(file.fileno())
                if start == 0:
                    sync_folder(os.path.dirname(self.path))
            except BaseException:
                # The scan stays pending and is appended again, so no part of it may stay here.
                self._torn_at = start
                try:
                    _truncate(file, start)
                    self._torn_at = None
                except OSError:
                    pass  # the error of the write is reported; the next append truncates
                raise

    def _remove_torn(self) -> None:
        if self._torn_at is None:
            return
        try:
            with open(self.path, "r+b", opener=opening_own) as file:
                if file.seek(0, os.SEEK_END) > self._torn_at:
                    _truncate(file, self._torn_at)
        except FileNotFoundError:
            pass  # someone deleted the file with the torn lines
        self._torn_at = None

    def _rotate_if_due(self) -> None:
        if self.position < self._limit or self.position == 0:
            return
        names = [generation_path(self.path, number) for number in range(self._keep + 1)]
        # A crash in the middle leaves a gap. Moving files up to the first gap closes it.
        free = next((i for i in range(1, self._keep + 1) if not os.path.exists(names[i])), None)
        try:
            for number in range(free or self._keep, 0, -1):
                _replace(names[number - 1], names[number])
            for number, path in generations(self.path):
                if number > self._keep:
                    os.unlink(path)
        except OSError:
            # A reader on Windows holds a file. The newest file grows beyond its limit until the
            # next append, because the journal is never delayed. A gap is closed as after a crash.
            pass
        sync_folder(os.path.dirname(self.path))

    # Recovering

    def _mend_tail(self, pending: Mapping[int, Sequence[bytes]], confirmed: int) -> None:
        """Have the newest file end with a whole line of a complete scan."""
        file = open_existing(self.path, "r+b", opening_own)
        if file is None:
            return
        with file:
            size = file.seek(0, os.SEEK_END)
            tail = tail_of(file, size, pending, confirmed)
            if tail == (size, False):
                return
            if tail.keep == 0:
                self._check_ours(file)
            if tail.keep < size and not is_only_pending(file, tail.keep, pending):
                self._keep_aside(file, tail.keep)
            _truncate(file, tail.keep)
            if tail.lacks_newline:
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
                file.flush()
            sync_file(file.fileno())

    def _keep_aside(self, file: BinaryIO, start: int) -> None:
        """Copy everything from `start` on into a file of its own, and say so."""
        aside = free_name_beside(self.path)
        file.seek(start)
        with open(aside, "xb") as copy:
            shutil.copyfileobj(file, copy)
            copy.flush()
            sync_file(copy.fileno())
        sync_folder(os.path.dirname(aside))
        log.warning(
            "The end of the change list %s is damaged: %s bytes of it are kept as %s.",
            printable(self.path),
            f"{file.tell() - start:,}",
            printable(aside),
        )

    def _check_ours(self, file: BinaryIO) -> None:
        """Raise OutputError instead of emptying a file that another program wrote."""
        file.seek(0)
        head = file.read(len(_START))
        # After a power cut, unwritten blocks read as zeros.
        if any(byte not in (0, ours) for byte, ours in zip(head, _START, strict=False)):
            raise OutputError(
                f"{readable(self.path)} is not a change list: move it away, "
                "or choose another --output"
            )

    def _present(self, pending: Mapping[int, int]) -> dict[int, set[int]]:
        """The numbers `n` of the lines in the journal, for each pending scan."""
        present: dict[int, set[int]] = {number: set() for number in pending}
        if pending:
            oldest = min(pending)
            for _, line in self._backwards():
                if line["scan"] < oldest:
                    break
                if line["of"] == pending.get(line["scan"]):
                    present[line["scan"]].add(line["n"])
        return present

    def _backwards(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The complete lines of all files, newest first, each with its offset in its file."""
        for _, path in sorted(generations(self.path)):
            file = open_existing(path)
            if file is None:
                continue
            with file:
                for offset, line in lines_backwards(file, file.seek(0, os.SEEK_END)):
                    fields = parse_line(line)
                    if fields is not None:
                        yield offset, fields


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines joined into chunks of about a megabyte."""
    collected: list[bytes] = []
    size = 0
    for line in lines:
        collected.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield b"".join(collected)
            collected, size = [], 0
    if collected:
        yield b"".join(collected)


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _truncate(file: IO[bytes], size: int) -> None:
    file.truncate(size)


def _replace(source: str, target: str) -> None:
    patiently(lambda: os.replace(source, target))
