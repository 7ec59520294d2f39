"""Read the change list: its present lines, and new lines as they are appended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple, Protocol

from scanner.core.serialize import time_text
from scanner.output.atomic import cannot
from scanner.output.journal_files import (
    generation_path,
    generations,
    open_existing,
    parse_line,
)
from scanner.output.journal_tail import lines_backwards

_HEAD = 64
"""First bytes of a file, which identify it among its successors: scan, n, of, part of the time."""


class Stop(Protocol):
    """The signal that ends `follow`: a threading.Event or anything like it."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


def read(
    path: str | os.PathLike[str],
    since_scan: int | None = None,
    since_time: int | None = None,
    kinds: Collection[str] | None = None,
    roots: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The lines of the journal at `path` and its rotated files, oldest first.

    The arguments select lines of scans after number `since_scan`, committed at `since_time`
    (nanoseconds since 1970) or later, of these `kinds`, and of roots with these ids. Damaged lines
    are left out, and a missing journal counts as empty. Raises OutputError if a file cannot be
    read.
    """
    wanted = _filter(since_time, kinds, roots)
    try:
        with ExitStack() as stack:
            for file in _open_all(path, stack):
                for line in file:
                    fields = parse_line(line)
                    if fields is None or (since_scan is not None and fields["scan"] <= since_scan):
                        continue
                    if wanted(fields):
                        yield fields
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


class Since(NamedTuple):
    """The lines after a scan."""

    lines: list[dict[str, Any]]
    reaches: bool
    """True if an older line is still there, so that none of these lines was deleted."""


def lines_since(path: str, since: int, upto: int, most: int = sys.maxsize) -> Since:
    """The lines of scans after `since` and up to `upto`, in order. Only they are read, from the end
    of the newest file backwards, and where there are more than `most` only so many. Raises
    OutputError."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for _, generation in sorted(generations(path)):
        try:
            file = open_existing(generation)
            if file is None:
                continue
            with file:
                for _, line in lines_backwards(file, file.seek(0, os.SEEK_END)):
                    fields = parse_line(line)
                    if fields is None or fields["scan"] > upto:
                        continue
                    if fields["scan"] <= since:
                        return Since([found[mark] for mark in sorted(found)], True)
                    found[fields["scan"], fields["n"]] = fields
                    if len(found) > most:
                        return Since([], reaches=False)
        except OSError as error:
            raise cannot("read", generation, error) from error
    return Since([found[mark] for mark in sorted(found)], False)


def follow(
    path: str | os.PathLike[str],
    stop: Stop,
    poll: float,
    since_scan: int | None = None,
    kinds: Collection[str] | None = None,
    roots: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """New lines as they are written, until `stop` is set; polls every `poll` seconds.

    Without `since_scan` it begins after the present last line. Each line is yielded once, despite
    rotation, a crash of the writer in the middle of a line and its recovery, or a journal that is
    missing for a while. Raises as `read` does.
    """
    wanted = _filter(None, kinds, roots)
    tail = _Tail(os.fspath(path))
    if since_scan is None:
        for _ in tail.fresh():
            pass
    else:
        tail.last = _Mark(since_scan + 1, 0)
    while not stop.is_set():
        for fields in tail.fresh():
            if wanted(fields):
                yield fields
            if stop.is_set():
                return
        stop.wait(poll)


class _Mark(NamedTuple):
    scan: int
    n: int


class _Tail:
    """The position of a follower. It keeps no file open: on Windows that would stop rotation."""

    def __init__(self, path: str) -> None:
        self.last = _Mark(0, 0)
        self._path = path
        self._head = b""
        self._offset = 0

    def fresh(self) -> Iterator[dict[str, Any]]:
        """The complete lines after `last`, which advances."""
        try:
            with ExitStack() as stack:
                files = self._files(stack)
                for index, file in enumerate(files, 1):
                    for line in file:
                        if not line.endswith(b"\n"):
                            break  # it is being written: read it again from its start the next time
                        if index == len(files):
                            self._offset += len(line)
                        fields = parse_line(line)
                        if fields is not None and _Mark(fields["scan"], fields["n"]) > self.last:
                            self.last = _Mark(fields["scan"], fields["n"])
                            yield fields
        except OSError as error:
            raise cannot("read", self._path, error) from error

    def _files(self, stack: ExitStack) -> list[BinaryIO]:
        """The files to read: the newest one from the last offset, if it is still the same file."""
        newest = open_existing(self._path)
        if newest is None:
            # Between a rotation and the append after it there is nothing new yet. If no file is
            # left at all, someone started over, and numbers may begin at 1 again.
            if not generations(self._path):
                self.last, self._head, self._offset = _Mark(0, 0), b"", 0
            return []
        stack.enter_context(newest)
        head = newest.read(_HEAD)
        same = head.startswith(self._head) and newest.seek(0, os.SEEK_END) >= self._offset
        if same and (self._head or not generations(self._path)[1:]):
            self._head = head if len(head) == _HEAD else b""
            newest.seek(self._offset)
            return [newest]
        # The file was rotated, or cut by a recovering writer. Lines already read are known by
        # number. The newest file is opened before the others are listed, so that a rotation in
        # between can only show a file twice, never hide one.
        files = _open_all(self._path, stack)
        if not any(_same(file, newest) for file in files):
            files = sorted([newest, *files], key=_first_mark)  # rotated out in the meantime
        # Several rotations may have happened since: the last in order is the newest now.
        head = files[-1].read(_HEAD)
        files[-1].seek(0)
        # A shorter head could belong to any file: read everything again the next time.
        self._head, self._offset = head if len(head) == _HEAD else b"", 0
        return files


def _open_all(path: str | os.PathLike[str], stack: ExitStack) -> list[BinaryIO]:
    """The journal's files, oldest first. All are opened, newest first, before one is read.

    A rotation in the meantime can thus show a file under two names, which is noticed, but can hide
    none. Several of them can bring newer files in between, so the lines tell the order.
    """
    files: list[BinaryIO] = []
    number = 0
    while number <= _highest(path) + 1:
        # None: a gap left by a crash during rotation, or the end.
        file = open_existing(generation_path(os.fspath(path), number))
        if file is not None:
            stack.enter_context(file)
            if not any(_same(file, other) for other in files):
                files.append(file)
        number += 1
    files.reverse()
    return sorted(files, key=_first_mark)


def _highest(path: str | os.PathLike[str]) -> int:
    return max((number for number, _ in generations(os.fspath(path))), default=0)


def _first_mark(file: BinaryIO) -> _Mark:
    """The mark of the first line that can be read; a file without one is the newest."""
    file.seek(0)
    for line in file:
        fields = parse_line(line)
        if fields is not None:
            file.seek(0)
            return _Mark(fields["scan"], fields["n"])
    file.seek(0)
    return _Mark(sys.maxsize, 0)


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())


def _filter(
    since_time: int | None, kinds: Collection[str] | None, roots: Collection[str] | None
) -> Callable[[Mapping[str, Any]], bool]:
    since = None if since_time is None else time_text(since_time)

    def wanted(fields: Mapping[str, Any]) -> bool:
        return (
            (since is None or fields["time"] >= since)
            and (kinds is None or fields["kind"] in kinds)
            and (roots is None or fields.get("root") in roots)
        )

    return wanted
