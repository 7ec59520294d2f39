"""The header and the lines of an inventory, which is one file, or a manifest and its parts."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

import orjson

from scanner.core.inventory_parts import PARTS_END, Part, Parts, parts_folder, parts_in
from scanner.core.serialize import readable
from scanner.errors import InventoryError
from scanner.output.atomic import cannot
from scanner.output.regular_files import opening_regular

SCHEMA = 2

HEADER_END = b'"entries":[\n'

END = b"]}\n"

LONGEST_HEADER = 1 << 26
"""Most bytes of line 1. A file without line ends is not an inventory."""

SMALL_PART = 1 << 16
"""Bytes up to which a part is kept in memory in place of an open file, of which a process may have
as few as 256. A root has some thirty categories, nearly all of them small."""

_PIECE = 1 << 15
"""Bytes of lines that are read at once."""

_Path = str | os.PathLike[str]


class UnreadableInventoryError(InventoryError):
    """A file is missing, is no inventory, or is damaged."""


class _Text(NamedTuple):
    """One open file with lines."""

    path: str
    file: BinaryIO
    start: int
    """Where its lines begin."""
    place: int
    """Bytes of all files before it."""


class InventoryText:
    """An inventory that stays open, so that header and lines belong together.

    Of a split one all parts are opened at once: whoever has opened it reads one generation to its
    end, also where the next ones replace it meanwhile. If a part was removed before it was opened,
    there is a newer manifest, which is read in its place.

    Raises UnreadableInventoryError if it is missing or damaged, OutputError if it cannot be read.
    """

    def __init__(self, path: _Path) -> None:
        self.path = path
        lacking = None
        while True:
            with ExitStack() as stack:
                try:
                    file = stack.enter_context(_opened(path))
                    self._open(file, stack)
                    self._stack = stack.pop_all()
                    return
                except _MissingPartError as error:
                    mark = _mark(file)
                    if mark == lacking:
                        raise UnreadableInventoryError(
                            f"{name_of(error.path)}, a part of the inventory, is missing"
                        ) from None
                    lacking = mark
                except OSError as error:
                    raise cannot("read", os.fspath(path), error) from error

    def _open(self, file: BinaryIO, stack: ExitStack) -> None:
        self.header = _header_in(file, self.path)
        self.parts: Parts | None = None
        """The parts of a split inventory."""
        if "split_by" in self.header:
            self.parts = _parts_after_header(file, self.path)
            self._texts = _open_parts(self.parts, os.fspath(self.path), stack)
        else:
            self._texts = [_Text(os.fspath(self.path), file, file.tell(), 0)]

    def pieces(self) -> Iterator[tuple[int, list[bytes]]]:
        """The lines after the header, some at a time, with the place of the first of them. The last
        line is `END`."""
        if self.parts is None:
            yield from _pieces(self._texts[0], self._texts[0].start, None)
            return
        ends = [text.start for text in self._texts]
        for index, end in self.parts.order:
            yield from _pieces(self._texts[index], ends[index], end)
            ends[index] = end
        for text, end in zip(self._texts, ends, strict=True):
            if [lines for _, lines in _pieces(text, end, None)] != [[END]]:
                raise UnreadableInventoryError(f"{name_of(text.path)} is damaged")
        yield 0, [END]

    def line_at(self, place: int) -> bytes:
        """The line at a place, as `pieces` counts them."""
        index = bisect_right([text.place for text in self._texts], place) - 1
        text = self._texts[index]
        try:
            text.file.seek(place - text.place)
            return text.file.readline()
        except OSError as error:
            raise cannot("read", text.path, error) from error

    def check(self) -> None:
        """Compare the parts with their checksums. Raises UnreadableInventoryError."""
        from xxhash import xxh3_128

        for text, part in zip(self._texts, self.parts.parts if self.parts else (), strict=False):
            digest = xxh3_128()
            try:
                text.file.seek(0)
                while piece := text.file.read(1 << 20):
                    digest.update(piece)
            except OSError as error:
                raise cannot("read", text.path, error) from error
            if not part.checksum.endswith(f":{digest.hexdigest()}"):
                raise UnreadableInventoryError(f"{name_of(text.path)} is damaged")

    def close(self) -> None:
        self._stack.close()


class _MissingPartError(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def parse_header(line: bytes) -> dict[str, Any] | None:
    """Line 1 of an inventory, or of a part of one, without `entries` or `parts`; None if it is
    neither."""
    is_split = line.endswith(PARTS_END)
    if not is_split and not line.endswith(HEADER_END):
        return None
    try:
        header = orjson.loads(line + END)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(header, dict) or type(header.get("schema")) is not int:
        return None
    if is_split != isinstance(header.get("split_by"), str):
        return None
    del header["parts" if is_split else "entries"]
    return header


def parts_of(path: _Path) -> Parts | None:
    """The parts of the inventory at `path`; None if there is none, or it is one file.

    Raises UnreadableInventoryError if it is damaged, OSError if it cannot be read.
    """
    try:
        with open(path, "rb", opener=opening_regular) as file:
            line = file.readline(LONGEST_HEADER)
            if not line.endswith(PARTS_END):
                return None
            return _parts_after_header(file, path)
    except FileNotFoundError:
        return None


def bytes_of(path: _Path) -> int:
    """Bytes of the inventory at `path`, with all parts; 0 if that cannot be known."""
    try:
        parts = parts_of(path)
        return os.path.getsize(path) + (parts.bytes if parts is not None else 0)
    except (OSError, UnreadableInventoryError):
        return 0


def part_path(inventory: str, part: Part) -> str:
    """The path of a part of the inventory at a path."""
    folder = parts_folder(inventory)
    if readable(os.path.basename(folder)) != part.folder:  # the manifest was renamed
        folder = os.path.join(os.path.dirname(inventory), part.folder)
    return os.path.join(folder, part.name)


def name_of(path: _Path) -> str:
    """A path as it appears in messages."""
    return readable(os.fspath(path))


def _opened(path: _Path) -> BinaryIO:
    try:
        return open(path, "rb", opener=opening_regular)
    except FileNotFoundError:
        raise UnreadableInventoryError(f"there is no inventory at {name_of(path)}") from None


def _header_in(file: BinaryIO, path: _Path) -> dict[str, Any]:
    header = parse_header(file.readline(LONGEST_HEADER))
    if header is None:
        raise UnreadableInventoryError(f"{name_of(path)} is not an inventory")
    if header["schema"] > SCHEMA:
        raise UnreadableInventoryError(
            f"{name_of(path)} was written by a newer version (schema {header['schema']}, "
            f"this version reads up to {SCHEMA})"
        )
    if "part_of" in header:
        raise UnreadableInventoryError(
            f"{name_of(path)} is one part of an inventory: name the manifest beside its folder"
        )
    return header


def _parts_after_header(file: BinaryIO, path: _Path) -> Parts:
    try:
        return parts_in(orjson.loads(b'{"parts":[\n' + file.read(LONGEST_HEADER)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableInventoryError(
            f"the inventory at {name_of(path)} is damaged: its list of parts is not whole"
        ) from error


def _open_parts(parts: Parts, inventory: str, stack: ExitStack) -> list[_Text]:
    texts: list[_Text] = []
    place = 0
    for part in parts.parts:
        path = part_path(inventory, part)
        try:
            file: BinaryIO = open(path, "rb", opener=opening_regular)  # noqa: SIM115
            stack.callback(file.close)
            size = os.fstat(file.fileno()).st_size
            if size == part.bytes <= SMALL_PART:
                content = file.read()
                file.close()
                file, size = io.BytesIO(content), len(content)
            line = file.readline(LONGEST_HEADER)
        except FileNotFoundError:
            raise _MissingPartError(path) from None
        except OSError as error:
            raise cannot("read", path, error) from error
        if size != part.bytes or not line.endswith(HEADER_END):
            raise UnreadableInventoryError(f"{name_of(path)} is damaged")
        texts.append(_Text(path, file, len(line), place))
        place += size
    return texts


def _pieces(text: _Text, start: int, end: int | None) -> Iterator[tuple[int, list[bytes]]]:
    """The lines of a file from `start` on; up to `end`, if it is given."""
    position = start
    while end is None or position < end:
        try:
            text.file.seek(position)
            # No line ends beyond that many bytes and one. A line has two at least.
            most = _PIECE if end is None else max(1, min(_PIECE, end - position - 1))
            lines = text.file.readlines(most)
            after = text.file.tell()
        except OSError as error:
            raise cannot("read", text.path, error) from error
        if end is not None and not position < after <= end:
            raise UnreadableInventoryError(f"{name_of(text.path)} is damaged")
        if not lines:
            return
        yield text.place + position, lines
        position = after


def _mark(file: BinaryIO) -> tuple[int, ...]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
