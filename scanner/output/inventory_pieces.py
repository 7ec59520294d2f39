"""What of a folder's lines stands in the previous inventory, so that it can be copied. Pure but for
reads of that file."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, compress, count
from operator import ne
from typing import BinaryIO, NamedTuple, Protocol

from scanner.core.snapshot import FINGERPRINT_BYTES, Directory
from scanner.output.inventory_layout import UNWRITTEN, Folder, Layout, Previous, Segment

SEPARATOR = b",\n"

_AHEAD = 1 << 18
"""Most bytes read at a time: where the file is read on from the last place, twice as many as there.
"""

_LEAST = 1 << 12
"""Bytes read at a time elsewhere: a few lines of one folder."""

_NEW = -1
"""The old row of a row that has none."""

_LEAST_SAVED = 4
"""One in so many rows may be new; if more are, all lines of a folder are made anew."""


class OtherTextError(Exception):
    """The previous file does not hold what was written to it."""


class OldBytes(Protocol):
    """The lines of the previous inventory."""

    def read(self, start: int, length: int, since: int | None = None) -> bytes:
        """`length` bytes from `start`."""
        ...


class OldText:
    """The lines of the previous file, which is read forwards. Positions count from the end of its
    header."""

    def __init__(self, opened: Callable[[], BinaryIO], header: int) -> None:
        """`opened` gives the file when it is needed first. It may raise OtherTextError."""
        self._opened = opened
        self.header = header
        self._start = 0
        self._bytes = b""

    @cached_property
    def file(self) -> BinaryIO:
        """The previous file."""
        return self._opened()

    def read(self, start: int, length: int, since: int | None = None) -> bytes:
        """`length` bytes from `start`. What comes from `since` on, which is before, will be read
        next. Raises OSError and OtherTextError."""
        offset = start - self._start
        if offset < 0 or offset + length > len(self._bytes):
            self._fill(start if since is None else since, start + length)
            offset = start - self._start
        return self._bytes[offset : offset + length]

    def _fill(self, start: int, end: int) -> None:
        last = self._start + len(self._bytes)
        is_next = self._start <= start <= last + _AHEAD
        ahead = min(max(2 * len(self._bytes), _LEAST), _AHEAD) if is_next else _LEAST
        wanted = max(end - start, ahead)
        self.file.seek(self.header + start)
        pieces, got = [], 0
        while got < end - start:
            piece = self.file.read(wanted - got)
            if not piece:
                raise OtherTextError
            pieces.append(piece)
            got += len(piece)
        self._start, self._bytes = start, b"".join(pieces)


class Piece(NamedTuple):
    """Rows of a folder that follow each other, as they did before or all new."""

    row: int
    end: int
    old: int
    """Row that the first of them was; `_NEW` if their lines are made anew."""

    @property
    def is_new(self) -> bool:
        """True if the lines are made anew."""
        return self.old == _NEW


def pieces_of(folder: Folder, layout: Layout) -> list[Piece] | None:
    """The rows of `folder`, as what stands in the previous file and what does not.

    None if too little of it does.
    """
    previous, listing = folder.previous, folder.directory.listing
    if previous is None:
        return None
    before = previous.directory
    most = len(listing) // _LEAST_SAVED + 1
    anew = _other_lines(folder, previous, layout)
    if before is folder.directory or listing.names == before.listing.names:
        if before is not folder.directory:
            anew.update(_unequal(before, folder.directory))
        return _pieces(sorted(anew), len(listing)) if len(anew) <= most else None
    origins = _origins(before, folder.directory)
    for row in anew:
        origins[row] = _NEW
    return _runs(origins) if origins.count(_NEW) <= most else None


def _other_lines(folder: Folder, previous: Previous, layout: Layout) -> set[int]:
    """The rows whose lines may differ although they are equal: those of folders that are written
    anew, or are no longer written, and those of entries with a status."""
    rows = {child.position - 1 for child in folder.children if child.length == UNWRITTEN}
    others = {
        os.path.basename(child.path)
        for child in previous.children
        if child.path not in layout.folders
    }
    if folder.path in layout.with_status:
        others |= layout.with_status[folder.path]
    names = folder.directory.listing.split_names() if others else []
    for name in others:
        row = bisect_left(names, name)
        if row < len(names) and names[row] == name:
            rows.add(row)
    return rows


def _unequal(before: Directory, now: Directory) -> set[int]:
    """The rows that differ, of two directories with the same names."""
    old, new = before.listing, now.listing
    columns: list[tuple[Iterable[object], Iterable[object]]] = [
        (old.types, new.types),
        (old.sizes, new.sizes),
        (old.mtimes, new.mtimes),
    ]
    rows: set[int] = set()
    for was, is_ in columns:
        if was != is_:
            rows.update(compress(count(), map(ne, was, is_)))
    if before.fingerprints != now.fingerprints:
        rows.update(_other_fingerprints(before, now, sorted(rows)))
    return rows


def _other_fingerprints(before: Directory, now: Directory, known: Sequence[int]) -> Iterable[int]:
    """The rows with other fingerprints; none if all of them are among the `known` ones."""
    empty = bytes(len(now.fingerprints) or len(before.fingerprints))
    old, new = before.fingerprints or empty, now.fingerprints or empty
    starts = [FINGERPRINT_BYTES * row for row in known]
    pairs = zip(
        [0, *(start + FINGERPRINT_BYTES for start in starts)], [*starts, len(old)], strict=True
    )
    if all(old[start:end] == new[start:end] for start, end in pairs):
        return ()
    halves = (memoryview(digits).cast("Q").tolist() for digits in (old, new))
    return (half // 2 for half in compress(count(), map(ne, *halves)))


def _pieces(anew: Sequence[int], end: int) -> list[Piece]:
    """Pieces of `end` rows that are as they were but for those `anew`."""
    pieces: list[Piece] = []
    last = 0
    for row in anew:
        if row > last:
            pieces.append(Piece(last, row, last))
        pieces.append(Piece(row, row + 1, _NEW))
        last = row + 1
    if end > last:
        pieces.append(Piece(last, end, last))
    return pieces


def _origins(before: Directory, now: Directory) -> list[int]:
    """For each row the row that it was before, or `_NEW`."""
    old, new = before.listing, now.listing
    places = {name: row for row, name in enumerate(old.split_names())}
    origins: list[int] = []
    for row, (name, letter, size, mtime) in enumerate(
        zip(new.split_names(), new.types, new.sizes, new.mtimes, strict=True)
    ):
        place = places.get(name, _NEW)
        if place != _NEW and (
            letter != old.types[place]
            or size != old.sizes[place]
            or mtime != old.mtimes[place]
            or before.fingerprint(place) != now.fingerprint(row)
        ):
            place = _NEW
        origins.append(place)
    return origins


def _runs(origins: Sequence[int]) -> list[Piece]:
    pieces: list[Piece] = []
    first = 0
    for row in range(1, len(origins) + 1):
        is_new = origins[first] == _NEW
        follows = row < len(origins) and origins[row] == (
            _NEW if is_new else origins[first] + row - first
        )
        if not follows:
            pieces.append(Piece(first, row, origins[first]))
            first = row
    return pieces


class OldLines:
    """Where the lines of one folder are in the previous file."""

    def __init__(self, segments: Sequence[Segment], rows: int, text: OldBytes) -> None:
        """`rows` is their number."""
        self._segments = segments
        self._first = [segment.row for segment in segments]
        self._ends = [*self._first[1:], rows]
        self._text = text
        self._known = -1
        self._sums: list[int] = []
        """The bytes of the lines before each line of one segment, without line ends."""

    def ranges(self, row: int, end: int, since: int | None) -> Iterator[tuple[int, int]]:
        """Start and length of the lines from `row` to `end`, each with its separator. `since` as
        for `OldText.read`."""
        while row < end:
            index = bisect_right(self._first, row) - 1
            segment = self._segments[index]
            stop = min(end, self._ends[index])
            if row == segment.row and stop == self._ends[index]:
                yield segment.start, segment.length
            else:
                self._look(index, since)
                start = self._start(row)
                yield start, self._start(stop) - start
            row = stop

    def _start(self, row: int) -> int:
        """Where the line of a row begins, in the segment that was looked at last."""
        segment, line = self._segments[self._known], row - self._first[self._known]
        if line == len(self._sums) - 1:
            return segment.start + segment.length
        return segment.start + self._sums[line] + line

    def _look(self, index: int, since: int | None) -> None:
        """Find out how long the lines of a segment are."""
        if self._known == index:
            return
        segment = self._segments[index]
        # Without what separates its last line from the next one.
        text = self._text.read(segment.start, segment.length - len(SEPARATOR), since)
        # One byte is found in a fifth of the time of two.
        lines = text.split(b"\n")
        if len(lines) != self._ends[index] - segment.row:
            raise OtherTextError
        self._known, self._sums = index, list(accumulate(map(len, lines), initial=0))
