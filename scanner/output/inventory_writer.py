"""The inventory: one JSON file with every entry, written whole and read as a stream.

Line 1 is the header up to `"entries":[`. Then follow one entry per line, each but the last with a
comma at its end, and `]}`. The file is one JSON document, and each line can be found by grep,
compared by diff and, without its comma, parsed alone. Entries of all roots are sorted by the
components of their displayed paths (by code point; names that are displayed alike by their bytes).
The folders of roots are not entries.

`schemas/inventory.schema.json` documents each field.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol

from scanner.core.inventory_parts import Parts
from scanner.output.atomic import LEAST_BY_KERNEL, AtomicFile
from scanner.output.history_rows import Usage
from scanner.output.inventory_header import header_line, totals_of
from scanner.output.inventory_layout import UNWRITTEN, Folder, Layout
from scanner.output.inventory_lines import Lines
from scanner.output.inventory_pieces import (
    SEPARATOR,
    OldBytes,
    OldLines,
    OldText,
    OtherTextError,
    Piece,
    pieces_of,
)
from scanner.output.inventory_text import END
from scanner.output.inventory_view import InventoryView
from scanner.output.likely_copies import LikelyCopies
from scanner.output.usage import usage_in

_SEPARATOR = SEPARATOR.decode()


class Written(NamedTuple):
    """A write of an inventory. Rule 10 spaces large ones by their cost."""

    bytes: int
    """Bytes of the whole inventory."""
    anew: int
    """Bytes that were written: less, if parts of it stayed as they were."""
    seconds: float
    words: Mapping[str, int] = MappingProxyType({})
    """Number of entries without `alias_of` by status and mark."""


def write_inventory(path: str | os.PathLike[str], view: InventoryView) -> Written:
    """Replace the inventory at `path`. Raises OutputError."""
    return InventoryWriter(path).write(view)


class InventoryWriter:
    """Replaces one inventory repeatedly, and copies unchanged parts from the previous one.

    Needs some 400 bytes of memory for each directory and, up to 100,000 models, some 70 for each
    of them. The kernel copies unchanged parts if it can: of a million entries with one changed, a
    few thousand bytes pass through this process.
    """

    def __init__(self, path: str | os.PathLike[str], *, is_local: bool = False) -> None:
        """`is_local`: True if `path` lies on a local disk."""
        self._path = path
        self._is_local = is_local
        self._layout: Layout | None = None
        self._copies = LikelyCopies()
        self._header_bytes = 0
        self._written: tuple[int, ...] = ()
        """The stat fields of the file that `_layout` describes."""
        self.copied = 0
        """Bytes of the last write that were copied from the previous file."""
        self.totals: Mapping[str, Any] = {}
        """The totals in the header of the last write."""
        self.parts: Parts | None = None
        """One file has none."""

    def write(self, view: InventoryView) -> Written:
        """Replace the inventory with the content of `view`. Raises OutputError."""
        try:
            return self._write(view)
        except OtherTextError:
            return self._write(view)  # without a layout, and so without the previous file

    def _write(self, view: InventoryView) -> Written:
        started = time.perf_counter()
        layout, self._layout = self._layout, None  # after a failure the next write is complete
        # The old file is closed before it is replaced: Windows refuses to replace an open one.
        whole = AtomicFile(self._path, frees_later=self._is_local)
        with whole as file, ExitStack() as stack:
            old = None if layout is None else self._old_file(stack)
            if layout is None or old is None or not layout.update(view):
                if layout is not None:
                    layout.free()
                layout, old = Layout(view), None
            totals = totals_of(layout)
            if (copies := self._copies.count(layout)) is not None:
                totals["likely_copies"] = copies._asdict()
            header = header_line(view, layout, totals)
            file.write(header)
            body = Body(file, None if old is None else OldText(lambda: old, self._header_bytes))
            write_folders(body, view, layout)
            body.end()
        self.copied = body.copied
        self.totals = totals
        self._header_bytes = len(header)
        size = len(header) + body.bytes
        status = os.stat(self._path)
        self._written = identity_of(status)
        if status.st_size == size:
            self._layout = layout
        return Written(size, size, time.perf_counter() - started, words_in(layout))

    def usage(self) -> list[Usage] | None:
        """What each category of each root holds in the file as it was last written; None if that is
        not known."""
        layout = self._layout
        return None if layout is None else usage_in(layout, layout.roots)

    def _old_file(self, stack: ExitStack) -> BinaryIO | None:
        """The file of the last write; None if another one has replaced it."""
        with suppress(OSError):
            file = open(self._path, "rb", buffering=0)  # noqa: SIM115 (the stack closes it)
            stack.enter_context(file)
            if identity_of(os.fstat(file.fileno())) == self._written:
                return file
        return None


def words_in(layout: Layout) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for folder in layout.folders.values():
        if folder.words:
            counts.update(folder.words)
    return dict(counts)


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


# Writing


class Sink(Protocol):
    """Takes the lines of an inventory in their order. Positions count each line with the comma and
    line end after it."""

    position: int

    @property
    def before(self) -> OldBytes | None:
        """The lines of the previous inventory, if they may be copied."""
        ...

    @property
    def since(self) -> int | None:
        """Where those begin that have yet to be copied; None if none has to be read for it."""
        ...

    def turn_to(self, folder: Folder) -> None:
        """The next lines are of `folder`."""
        ...

    def lines(self, lines: Sequence[str]) -> None:
        """Append lines."""
        ...

    def copy(self, start: int, length: int) -> None:
        """Append `length` bytes of the previous lines, from `start`."""
        ...


class Target(Protocol):
    """A file that is written."""

    def write(self, data: bytes) -> None:
        """Append `data`."""
        ...

    def copy(self, source: BinaryIO, start: int, length: int) -> None:
        """Append `length` bytes of `source` from `start`."""
        ...


class Body:
    """The lines after the header of one file.

    `position` counts each line with the comma and line end after it. In the file, the last line has
    a line end only.
    """

    def __init__(self, file: Target, old: OldText | None) -> None:
        self._file = file
        self.old = old
        self.position = 0
        self.bytes = 0
        """Bytes of all of it; known at the end."""
        self.copied = 0
        """Bytes of the old file's lines that were copied, with what separates them."""
        self._end = 0
        self._length = 0
        """End and length of the last range to copy. The next one may follow it: they are copied
        together."""

    @property
    def before(self) -> OldBytes | None:
        """As `Sink` has it."""
        return self.old

    def turn_to(self, folder: Folder) -> None:
        """All folders are in one file."""

    def lines(self, lines: Sequence[str]) -> None:
        """Append lines."""
        self.text(_SEPARATOR.join(lines).encode())

    def text(self, text: bytes) -> None:
        """Append lines with their separators, but for the last one's."""
        self._copy()
        self._file.write(SEPARATOR + text if self.position else text)
        self.position += len(text) + len(SEPARATOR)

    def copy(self, start: int, length: int) -> None:
        """Append `length` bytes of the old file's lines, from `start`."""
        if start != self._end or not self._length:
            self._copy()
        self._end = start + length
        self._length += length
        self.position += length

    @property
    def since(self) -> int | None:
        """Where the lines begin that have yet to be copied; None if none has to be read for it."""
        return self._end - self._length if 0 < self._length < LEAST_BY_KERNEL else None

    def end(self) -> None:
        """Append the end of the file."""
        self._copy()
        ending = (b"\n" if self.position else b"") + END
        self._file.write(ending)
        self.bytes = max(0, self.position - len(SEPARATOR)) + len(ending)

    def _copy(self) -> None:
        """Copy what has yet to be copied."""
        length, self._length = self._length, 0
        if not length:
            return
        assert self.old is not None
        start = self._end - length
        if self.position > length:
            self._file.write(SEPARATOR)
        if length < LEAST_BY_KERNEL:
            self._file.write(self.old.read(start, length - len(SEPARATOR)))
        else:
            text = self.old
            self._file.copy(text.file, text.header + start, length - len(SEPARATOR))
        self.copied += length


class _Rows(Protocol):
    """The lines of one folder, which are written in order."""

    def write(self, body: Sink, count: int) -> None:
        """Append the next `count` lines."""
        ...


class _NewRows:
    """Lines that are made anew."""

    def __init__(self, batches: Iterator[list[str]]) -> None:
        self._batches = batches
        self._batch: list[str] = []
        self._done = 0

    def write(self, body: Sink, count: int) -> None:
        while count:
            if self._done == len(self._batch):
                self._batch, self._done = next(self._batches), 0
            lines = self._batch[self._done : self._done + count]
            body.lines(lines)
            self._done += len(lines)
            count -= len(lines)


class _OldRows:
    """Lines of which most are copied."""

    def __init__(self, pieces: Sequence[Piece], old: OldLines, new: Iterator[list[str]]) -> None:
        """`new` are the lines that are not copied."""
        self._pieces = iter(pieces)
        self._piece = Piece(0, 0, 0)
        self._row = 0
        self._old = old
        self._new = _NewRows(new)

    def write(self, body: Sink, count: int) -> None:
        end = self._row + count
        while self._row < end:
            if self._row == self._piece.end:
                self._piece = next(self._pieces)
            piece, row = self._piece, self._row
            self._row = min(end, piece.end)
            if piece.is_new:
                self._new.write(body, self._row - row)
                continue
            first = piece.old + row - piece.row
            for start, length in self._old.ranges(first, first + self._row - row, body.since):
                body.copy(start, length)


class _Open(NamedTuple):
    """A folder that is partly written: its remaining lines and its subfolders."""

    folder: Folder
    start: int
    rows: _Rows
    children: Iterator[tuple[int, Folder | None]]
    """Each with the number of the folder's own lines between it and the previous one; at the end
    the number of those after the last one, and None."""


def write_folders(body: Sink, view: InventoryView, layout: Layout) -> None:
    """Write the lines of all entries in the order of the file.

    The entries of a folder come between those of its parent. Each open folder is a half-used
    iterator of lines, so that only the folders from a root down to the present one are open.
    """
    lines = Lines(view, layout)
    for top in layout.tops:
        if top.length != UNWRITTEN:
            top.start = body.position
            body.copy(top.source, top.length)
            continue
        stack = [_enter(top, 0, body, lines, layout)]
        while stack:
            here = stack[-1]
            child = _write_gaps(body, here)
            if child is None:
                here.folder.length = body.position - here.start
                stack.pop()
            else:
                stack.append(_enter(child, here.start, body, lines, layout))


def _write_gaps(body: Sink, here: _Open) -> Folder | None:
    """Write on until a subfolder begins that cannot be copied. None at the end."""
    start, rows = here.start, here.rows
    for count, child in here.children:
        if count:
            body.turn_to(here.folder)
            rows.write(body, count)
        if child is None or child.length == UNWRITTEN:
            return child
        child.start = body.position - start
        body.copy(child.source, child.length)
    return None


def _enter(folder: Folder, above: int, body: Sink, lines: Lines, layout: Layout) -> _Open:
    """Start to write `folder`, whose text cannot be copied. Its parent's began at `above`."""
    start = body.position
    pieces = pieces_of(folder, layout) if body.before is not None else None
    rows: _Rows
    if pieces is None:
        rows = _NewRows(lines.of(folder))
    else:
        assert folder.previous is not None
        assert body.before is not None
        previous = folder.previous
        old = OldLines(previous.segments, len(previous.directory.listing), body.before)
        new = [row for piece in pieces if piece.is_new for row in range(piece.row, piece.end)]
        rows = _OldRows(pieces, old, lines.some(folder, new))
    folder.previous = None
    folder.start = start - above
    return _Open(folder, start, rows, _gaps(folder))


def _gaps(folder: Folder) -> Iterator[tuple[int, Folder | None]]:
    done = 0
    for child in folder.children:
        yield child.position - done, child
        done = child.position
    yield len(folder.directory.listing) - done, None
