"""An inventory in several files: `S.json` lists the parts, which lie in the folder `S.parts`.

Each part has the lines of the folders of one root, or of one category of one root, in their order,
in the form of an inventory. Its name holds the checksum of its content. So a part never changes:
one with other content is another file, and one with the same content is not written again.

1. The parts that changed are written and forced to the disk, then their folder.
2. The manifest is replaced (rule 10, readers see a whole file): from then on readers open the new
   generation.
3. The parts of the generation before stay until the next one is written, for readers that have read
   its manifest and open parts one by one. All other parts are removed; at the start of a program
   also those of the generation before, and what a crash has left.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import orjson

from scanner.core.inventory_parts import (
    Part,
    Parts,
    checksum_text,
    names_in,
    part_name,
    parts_folder,
)
from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.errors import InventoryError
from scanner.output.atomic import AtomicFile, sync_folder
from scanner.output.history_rows import Usage
from scanner.output.inventory_header import header_line, totals_of
from scanner.output.inventory_layout import Folder, Layout
from scanner.output.inventory_pieces import SEPARATOR, OldBytes, OtherTextError
from scanner.output.inventory_text import END, HEADER_END, SCHEMA, parts_of
from scanner.output.inventory_view import InventoryView
from scanner.output.inventory_writer import Body, Written, identity_of, words_in, write_folders
from scanner.output.likely_copies import LikelyCopies
from scanner.output.part_files import KnownPart, NewPart, OldPart, remove_parts, reported
from scanner.output.usage import usage_in

ROOT, CATEGORY = "root", "category"

_Key = tuple[int, str | None]
"""Index of a root, and a category in it; None for all of them."""


class _Run(NamedTuple):
    """Lines of one part that stand next to each other in the order of the whole inventory."""

    start: int
    """Bytes of lines of all parts before it."""
    length: int
    key: _Key
    source: int
    """Bytes of lines of its part before it."""


class _Generation(NamedTuple):
    """The parts of one manifest, as they stand on the disk."""

    known: Mapping[_Key, KnownPart]
    runs: list[_Run]
    names: Collection[str]
    """The names of all its parts, also of those that are not known."""
    is_certain: bool = True
    """False if the manifest could not be read."""

    @property
    def is_as_written(self) -> bool:
        """True if nobody has changed, replaced or removed a part since."""
        with suppress(OSError):
            return all(
                identity_of(os.stat(each.path)) == each.identity for each in self.known.values()
            )
        return False


class PartsWriter:
    """Replaces one split inventory repeatedly. Parts that stay as they were are not written.

    Of a part that changed, unchanged lines are copied from the previous one. The first write of a
    process makes all lines and compares them with the parts that are there.
    """

    def __init__(
        self, path: str | os.PathLike[str], split_by: str, *, is_local: bool = False
    ) -> None:
        """`is_local`: True if `path` lies on a local disk."""
        self._path = os.fspath(path)
        self._split_by = split_by
        self._is_local = is_local
        self._layout: Layout | None = None
        self._copies = LikelyCopies()
        self._generation: _Generation | None = None
        self.copied = 0
        """Bytes of lines of the last write that did not have to be made."""
        self.totals: Mapping[str, Any] = {}
        """The totals in the header of the last write."""
        self.parts: Parts | None = None
        """The parts of the last write."""

    def write(self, view: InventoryView) -> Written:
        """Replace the inventory with the content of `view`. Raises OutputError."""
        try:
            return self._write(view)
        except OtherTextError:
            return self._write(view)  # without a layout: all lines are made anew

    def usage(self) -> list[Usage] | None:
        """What each category of each root holds in the inventory as it was last written; None if
        that is not known."""
        layout = self._layout
        return None if layout is None else usage_in(layout, layout.roots)

    def _write(self, view: InventoryView) -> Written:
        started = time.perf_counter()
        layout, self._layout = self._layout, None  # after a failure the next write is complete
        before, self._generation = self._generation, None
        is_known = before is not None and before.is_as_written
        if layout is None or before is None or not is_known or not layout.update(view):
            if layout is not None:
                layout.free()
            layout = Layout(view)
            before = _on_disk(self._path, layout.roots)
        totals = totals_of(layout)
        if (copies := self._copies.count(layout)) is not None:
            totals["likely_copies"] = copies._asdict()
        body, parts = self._write_parts(view, layout, before)
        header = header_line(view, layout, totals, self._split_by)
        manifest = b"".join((header, *_manifest_lines(parts)))
        with AtomicFile(self._path, frees_later=self._is_local) as file:
            file.write(manifest)
        remove_parts(self._path, {*before.names, *names_in(parts)}, frees_later=self._is_local)
        self._generation = body.generation(parts)
        self._layout, self.totals, self.copied, self.parts = layout, totals, body.copied, parts
        anew, seconds = body.anew + len(manifest), time.perf_counter() - started
        return Written(parts.bytes + len(manifest), anew, seconds, words_in(layout))

    def _write_parts(
        self, view: InventoryView, layout: Layout, before: _Generation
    ) -> tuple[_PartsBody, Parts]:
        """Bring the parts that changed to the disk. After a failure there are those of `before`."""
        folder = parts_folder(self._path)
        is_first = not os.path.isdir(folder)
        try:
            with ExitStack() as stack:
                body = _PartsBody(self._path, layout, before, self._split_by, stack)
                write_folders(body, view, layout)
                parts = body.end()
            if body.anew:
                with reported("write", folder):
                    sync_folder(folder)
                    if is_first:
                        sync_folder(os.path.dirname(folder))
        except Exception:
            if before.is_certain:
                remove_parts(self._path, before.names)
            raise
        return body, parts


def _manifest_lines(parts: Parts) -> Iterator[bytes]:
    """What follows line 1 of a manifest."""
    yield b",\n".join(orjson.dumps(part.fields()) for part in parts.parts)
    yield b"\n" if parts.parts else b""
    yield b'],"order":' + orjson.dumps(parts.order) + b"}\n"


def _on_disk(path: str, roots: Collection[Root]) -> _Generation:
    """The parts of the manifest at `path`, which an earlier process may have written."""
    try:
        parts = parts_of(path)
    except (OSError, InventoryError):
        return _Generation({}, [], (), is_certain=False)
    if parts is None:
        return _Generation({}, [], ())
    places = {readable(root.id): index for index, root in enumerate(roots)}
    folder = parts_folder(path)
    known = {
        (places[part.root], part.category): KnownPart(os.path.join(folder, part.name), part, None)
        for part in parts.parts
        if part.root in places
    }
    return _Generation(known, [], names_in(parts))


class _PartsBody:
    """Takes the lines of all entries in their order, and gives each to its part."""

    def __init__(
        self, path: str, layout: Layout, before: _Generation, split_by: str, stack: ExitStack
    ) -> None:
        self.position = 0
        self.anew = 0
        """Bytes of the parts that were written; known at the end."""
        self._path = path
        self._folder = readable(os.path.basename(parts_folder(path)))
        self._layout = layout
        self._before = before
        self._split_by = split_by
        self._stack = stack
        self._starts = [run.start for run in before.runs]
        self._key: _Key = (0, None)
        self._bodies: dict[_Key, _PartBody] = {}
        self._runs: list[_Run] = []

    @property
    def before(self) -> OldBytes | None:
        """As `Sink` has it."""
        return self if self._before.runs else None

    @property
    def since(self) -> int | None:
        """As `Sink` has it. Each part knows it of itself."""
        return None

    @property
    def copied(self) -> int:
        """Bytes of lines that did not have to be made."""
        return sum(body.copied for body in self._bodies.values())

    def turn_to(self, folder: Folder) -> None:
        """The next lines are of `folder`."""
        self._key = (folder.root, folder.category if self._split_by == CATEGORY else None)

    def lines(self, lines: Sequence[str]) -> None:
        """Append lines of the present folder."""
        body = self._body(self._key)
        source = body.position
        body.lines(lines)
        self._note(self._key, source, body.position - source)

    def copy(self, start: int, length: int) -> None:
        """Append `length` bytes of the previous lines, from `start`, each to its part."""
        for key, source, count in self._in_parts(start, length):
            body = self._body(key)
            place = body.position
            body.copy(source, count)
            self._note(key, place, count)

    def read(self, start: int, length: int, since: int | None = None) -> bytes:
        """As `OldText` has it."""
        ((key, source, _),) = self._in_parts(start, length)
        body = self._body(key)
        if body.old is None:
            raise OtherTextError
        return body.old.read(source, length, body.since)

    def end(self) -> Parts:
        """Bring all parts to their end, and have those that changed written with the stack."""
        parts = {}
        for key, body in self._bodies.items():
            kept = body.kept()
            part = kept if kept is not None else self._written(key, body)
            parts[key] = part._replace(folder=self._folder, entries=self._entries(key))
        places = {key: place for place, key in enumerate(parts)}
        order: list[tuple[int, int]] = []
        for run in self._runs:
            part, body = parts[run.key], self._bodies[run.key]
            end = run.source + run.length
            is_last = end == body.position
            last = part.bytes - len(END)
            order.append((places[run.key], last if is_last else len(body.header) + end))
        return Parts(list(parts.values()), order)

    def generation(self, parts: Parts) -> _Generation:
        """What is on the disk now. To be called when the parts have their names."""
        folder = parts_folder(self._path)
        known = {}
        for key, part in zip(self._bodies, parts.parts, strict=True):
            path = os.path.join(folder, part.name)
            with reported("read", path):
                known[key] = KnownPart(path, part, identity_of(os.stat(path)))
        return _Generation(known, self._runs, names_in(parts))

    def _written(self, key: _Key, body: _PartBody) -> Part:
        body.end()
        digits = body.file.digits
        root = self._layout.roots[key[0]]
        words = (root.kind, os.path.basename(root.path), key[1] or "")
        name = part_name(words, digits)
        body.file.become(name)
        self.anew += body.file.bytes
        size, checksum = body.file.bytes, checksum_text(digits)
        return Part(self._folder, name, readable(root.id), key[1], 0, size, checksum)

    def _entries(self, key: _Key) -> int:
        layout = self._layout
        root, category = key
        count = layout.counts[root] if category is None else layout.by_category[root, category]
        return count.files + count.directories + count.others + count.aliases

    def _body(self, key: _Key) -> _PartBody:
        body = self._bodies.get(key)
        if body is None:
            header = self._header(key)
            known = self._before.known.get(key)
            old = None if known is None else OldPart(known, header, self._stack)
            file = NewPart(self._path, header, self._stack)
            body = self._bodies[key] = _PartBody(file, header, known, old)
        return body

    def _header(self, key: _Key) -> bytes:
        """Line 1 of a part. It holds nothing that changes from scan to scan."""
        fields = {
            "schema": SCHEMA,
            "part_of": readable(os.path.basename(self._path)),
            "root": readable(self._layout.roots[key[0]].id),
            **({} if key[1] is None else {"category": key[1]}),
        }
        return orjson.dumps(fields)[:-1] + b"," + HEADER_END

    def _in_parts(self, start: int, length: int) -> Iterator[tuple[_Key, int, int]]:
        """Where previous lines stand in the parts: the key, the place there, and the bytes."""
        index = bisect_right(self._starts, start) - 1
        while length:
            run = self._before.runs[index]
            count = min(length, run.start + run.length - start)
            yield run.key, run.source + start - run.start, count
            start, length, index = start + count, length - count, index + 1

    def _note(self, key: _Key, source: int, length: int) -> None:
        """`length` bytes of lines were appended to a part, from `source`."""
        last = self._runs[-1] if self._runs else None
        if last is not None and last.key == key:
            self._runs[-1] = last._replace(length=last.length + length)
        elif length:
            self._runs.append(_Run(self.position, length, key, source))
        self.position += length


class _PartBody(Body):
    """The lines of one part. As long as they are those of the part on the disk, in their order,
    nothing is written."""

    def __init__(
        self, file: NewPart, header: bytes, known: KnownPart | None, old: OldPart | None
    ) -> None:
        super().__init__(file, old)
        self.file = file
        self.header = header
        self._known = known
        self._old_part = old

    @property
    def _is_same(self) -> bool:
        """True if all lines so far are those from the begin of the part on the disk."""
        return self.position == self._length == self._end

    def text(self, text: bytes) -> None:
        """As `Body` has it; lines that stand there already are not written."""
        old = self._old_part
        if old is not None and self._is_same and old.stands(self.position, text):
            self.copy(self.position, len(text) + len(SEPARATOR))
        else:
            super().text(text)

    def kept(self) -> Part | None:
        """The part on the disk, if it has the same lines."""
        old = self._old_part
        if old is None or self._known is None:
            return None
        if not self._is_same or self.position != old.length:
            return None
        self.copied = self.position
        return self._known.part
