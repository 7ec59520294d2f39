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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, islice, repeat
from operator import add
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import orjson

import scanner
from scanner.core.digests import ALGORITHM
from scanner.core.paths import join
from scanner.core.placement import is_misplaced
from scanner.core.roots import category_in
from scanner.core.serialize import (
    is_utf8,
    mtime_fields,
    path_fields,
    readable,
    shown,
    text_fields,
    time_text,
    with_slashes,
)
from scanner.core.snapshot import (
    CONTAINERS,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FINGERPRINT_BYTES,
    TYPE_NAMES,
    UNKNOWN_FINGERPRINT,
)
from scanner.core.statuses import words_of
from scanner.output.atomic import AtomicFile
from scanner.output.history_rows import Usage
from scanner.output.inventory_layout import (
    UNWRITTEN,
    Count,
    Folder,
    Layout,
    alias_of,
    order,
    shared_names,
)
from scanner.output.inventory_reader import END, HEADER_END, SCHEMA
from scanner.output.inventory_view import InventoryView, MountView, RootView
from scanner.output.likely_copies import count_copies
from scanner.output.loader_names import LoaderNames
from scanner.output.usage import usage_in

TOOL = {"name": "comfy-inventory", "version": scanner.__version__}

_SEPARATOR = ",\n"

_BATCH = 4096
"""Lines per write: some 1.5 MB, regardless of the size of the inventory."""

_NO_DIGITS = UNKNOWN_FINGERPRINT.hex()

_PATHS = ("part_of", "sidecar_of")
"""Annotations that are absolute paths of other entries."""

_LEADS_TO = {FILE_LINK: "file", DIRECTORY_LINK: "directory"}


class Written(NamedTuple):
    """A write of an inventory. Rule 10 spaces large ones by their cost."""

    bytes: int
    seconds: float
    words: Mapping[str, int] = MappingProxyType({})
    """Number of entries without `alias_of` by status and mark."""


def write_inventory(path: str | os.PathLike[str], view: InventoryView) -> Written:
    """Replace the inventory at `path`. Raises OutputError."""
    return InventoryWriter(path).write(view)


class InventoryWriter:
    """Replaces one inventory repeatedly, and copies unchanged parts from the previous one.

    Needs some 600 bytes of memory for each directory and none for each file. The kernel copies
    unchanged parts if it can: of a million entries with one changed, a few thousand bytes pass
    through this process.
    """

    def __init__(self, path: str | os.PathLike[str], *, is_local: bool = False) -> None:
        """`is_local`: True if `path` lies on a local disk."""
        self._path = path
        self._is_local = is_local
        self._layout: Layout | None = None
        self._header_bytes = 0
        self._written: tuple[int, ...] = ()
        """The stat fields of the file that `_layout` describes."""
        self.copied = 0
        """Bytes of the last write that were copied from the previous file."""
        self.totals: Mapping[str, Any] = {}
        """The totals in the header of the last write."""

    def write(self, view: InventoryView) -> Written:
        """Replace the inventory with the content of `view`. Raises OutputError."""
        started = time.perf_counter()
        layout, self._layout = self._layout, None  # after a failure the next write is complete
        # The old file is closed before it is replaced: Windows refuses to replace an open one.
        whole = AtomicFile(self._path, frees_later=self._is_local)
        with whole as file, ExitStack() as stack:
            old = None if layout is None else self._old_file(stack)
            if layout is None or old is None or not layout.update(view):
                layout, old = Layout(view), None
            totals = {**_totals(layout), "categories": _categories(layout)}
            if (copies := count_copies(layout)) is not None:
                totals["likely_copies"] = copies._asdict()
            header = _header_line(view, layout, totals)
            file.write(header)
            body = _Body(file, old, self._header_bytes)
            _write_folders(body, view, layout)
            body.end()
        self.copied = body.copied
        self.totals = totals
        self._header_bytes = len(header)
        size = len(header) + body.bytes
        status = os.stat(self._path)
        self._written = _identity(status)
        if status.st_size == size:
            self._layout = layout
        return Written(size, time.perf_counter() - started, _words_in(layout))

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
            if _identity(os.fstat(file.fileno())) == self._written:
                return file
        return None


def _words_in(layout: Layout) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for folder in layout.folders.values():
        if folder.words:
            counts.update(folder.words)
    return dict(counts)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


# Writing


class _Body:
    """The lines after the header.

    `position` counts each line with the comma and line end after it. In the file, the last line has
    a line end only.
    """

    def __init__(self, file: AtomicFile, old: BinaryIO | None, old_header: int) -> None:
        self._file = file
        self._old = old
        self._old_header = old_header
        self.position = 0
        self.bytes = 0
        """Bytes written to the file."""
        self.copied = 0

    def lines(self, lines: Sequence[str]) -> None:
        """Append lines."""
        text = _SEPARATOR.join(lines).encode()
        self._separate()
        self._file.write(text)
        self._count(len(text))

    def copy(self, start: int, length: int) -> None:
        """Append `length` bytes of the old file's lines, from `start`."""
        if length:
            assert self._old is not None
            self._separate()
            self._file.copy(self._old, self._old_header + start, length - len(_SEPARATOR))
            self._count(length - len(_SEPARATOR))
            self.copied += length

    def end(self) -> None:
        """Append the end of the file."""
        ending = (b"\n" if self.position else b"") + END
        self._file.write(ending)
        self.bytes += len(ending)

    def _separate(self) -> None:
        if self.position:
            self._file.write(_SEPARATOR.encode())
            self.bytes += len(_SEPARATOR)

    def _count(self, written: int) -> None:
        self.bytes += written
        self.position += written + len(_SEPARATOR)


class _Open(NamedTuple):
    """A folder that is partly written: its remaining lines and its subfolders."""

    folder: Folder
    start: int
    lines: Iterator[str]
    children: Iterator[tuple[int, Folder]]
    """Each with the number of the folder's own lines between it and the previous one."""


def _write_folders(body: _Body, view: InventoryView, layout: Layout) -> None:
    """Write the lines of all entries in the order of the file.

    The entries of a folder come between those of its parent. Each open folder is a half-used
    iterator of lines, so that only the folders from a root down to the present one are open.
    """
    for top in layout.tops:
        opened = _enter(top, 0, body, view, layout)
        stack = [opened] if opened is not None else []
        while stack:
            here = stack[-1]
            step = next(here.children, None)
            if step is None:
                _write_lines(body, here.lines)
                here.folder.length = body.position - here.start
                stack.pop()
                continue
            count, child = step
            _write_lines(body, islice(here.lines, count))
            opened = _enter(child, here.start, body, view, layout)
            if opened is not None:
                stack.append(opened)


def _enter(
    folder: Folder, above: int, body: _Body, view: InventoryView, layout: Layout
) -> _Open | None:
    """Start to write `folder`; None if its text could be copied."""
    start = body.position
    folder.start = start - above
    if folder.length != UNWRITTEN:
        body.copy(folder.source, folder.length)
        return None
    return _Open(folder, start, _lines(folder, view, layout), _gaps(folder))


def _gaps(folder: Folder) -> Iterator[tuple[int, Folder]]:
    done = 0
    for child in folder.children:
        yield child.position - done, child
        done = child.position


def _write_lines(body: _Body, lines: Iterator[str]) -> None:
    while batch := list(islice(lines, _BATCH)):
        body.lines(batch)


def _lines(folder: Folder, view: InventoryView, layout: Layout) -> Iterator[str]:
    """The lines of the rows of one folder."""
    return chain.from_iterable(_batches(folder, view, layout))


def _batches(folder: Folder, view: InventoryView, layout: Layout) -> Iterator[list[str]]:
    listing = folder.directory.listing
    names = listing.split_names()
    entry = _Entries(folder, view, layout)
    has_plain_names = (
        listing.names.replace("\0", "").isprintable()
        and '"' not in listing.names
        and "\\" not in listing.names
    )
    proofs = _proofs(folder)
    texts = _loader_names(names, folder, view, layout, has_plain_names=has_plain_names)
    if texts is not None:
        proofs = map(add, texts, proofs) if folder.directory.fingerprints else texts
    if view.annotations is not None and folder.path in view.annotations.folders:
        proofs = _with_annotations(proofs, names, entry, view)
    is_plain = (
        entry.is_clean
        and not entry.has_owners
        and folder.path not in layout.with_status
        and has_plain_names
    )
    if not is_plain:
        columns = (names, listing.types, listing.sizes, listing.mtimes, proofs)
        rows: Iterable[_Row] = zip(*columns, strict=False)
        if not entry.is_clean:
            unsorted = list(rows)
            rows = (unsorted[index] for index in order(listing.names, names))
        while batch := list(map(entry.line, islice(rows, _BATCH))):
            yield batch
        return
    # Nearly all lines are of files with plain names. Formatted column by column, they take a fifth
    # of the time of the others.
    before_name = orjson.dumps({"path": entry.prefix}).decode()[:-2]
    ending = "," + orjson.dumps(entry.common).decode()[1:-1]
    for start in range(0, len(names), _BATCH):
        part = slice(start, start + _BATCH)
        types, sizes, mtimes = listing.types[part], listing.sizes[part], listing.mtimes[part]
        times = list(map(time_text, mtimes))
        endings = list(islice(proofs, len(types)))
        lines = [
            f'{before_name}{name}","type":"file","size":{size},"mtime":"{shown}"{ending}{proof}}}'
            for name, size, shown, proof in zip(names[part], sizes, times, endings, strict=True)
        ]
        if types.count(FILE) != len(types) or None in times:
            for index, letter in enumerate(types):
                if letter != FILE or times[index] is None:
                    row = (names[start + index], letter, sizes[index], mtimes[index])
                    lines[index] = entry.line((*row, endings[index]))
        yield lines


_Row = tuple[str, str, int, int, str]
"""Name, type, size, mtime, and the text of the last fields of the line."""


class _Entries:
    """The entries of one folder, of any type and with any name."""

    def __init__(self, folder: Folder, view: InventoryView, layout: Layout) -> None:
        self.folder = folder
        self._view = view
        self._layout = layout
        self._root = view.roots[folder.root].root
        self.common = {"root": readable(self._root.id), "category": folder.category}
        if not folder.category:
            del self.common["category"]
        self.prefix = _prefix(folder.path, view.base)
        self.is_clean = is_utf8(folder.path) and is_utf8(folder.directory.listing.names)
        self._targets = dict(folder.directory.listing.targets)
        self._shared = shared_names(folder, layout.folders)
        self.has_owners = bool(self._shared) or folder.path in layout.owners
        """True if some of them may belong to other entries."""

    def count(self, name: str, letter: str, fields: Mapping[str, Any]) -> None:
        """Count the status and the marks among these fields of a row, unless it is an alias."""
        words = words_of(fields)
        if words and not alias_of(self.folder, name, letter, self._shared, self._layout):
            counts = self.folder.words = self.folder.words or {}
            for word in words:
                counts[word] = counts.get(word, 0) + 1

    def line(self, row: _Row) -> str:
        """The line of a row."""
        name, letter, size, mtime, proof = row
        view, layout = self._view, self._layout
        path = join(self.folder.path, name)
        entry: dict[str, Any]
        if self.is_clean:
            entry = {"path": self.prefix + name}
        else:
            entry = dict[str, Any](path_fields(path, view.base))
        entry["type"] = TYPE_NAMES[letter]
        child = layout.folders.get(path) if letter in CONTAINERS else None
        if letter in (FILE, FILE_LINK):
            entry["size"] = size
        elif child is not None:
            entry["total_size"] = child.total_size
            entry["apparent_bytes"] = child.apparent_bytes
        if letter == FILE or (mtime and TYPE_NAMES[letter] == "symlink"):
            entry.update(mtime_fields(mtime))
        elif child is not None and letter == DIRECTORY:
            entry.update(mtime_fields(child.directory.mtime))
        entry.update(self.common)
        if letter in CONTAINERS:
            category = child.category if child is not None else category_in(self._root, path)
            if category:
                entry["category"] = category
        if letter in _LEADS_TO:
            entry["leads_to"] = _LEADS_TO[letter]
        if name in self._targets:
            entry.update(text_fields(self._targets[name], "target"))
        if path in view.status:
            entry["status"] = view.status[path]
            self.count(name, letter, entry)
        alias = alias_of(self.folder, name, letter, self._shared, layout)
        if alias:
            entry.update(path_fields(alias, view.base, "alias_of"))
        return f"{orjson.dumps(entry).decode()[:-1]}{proof}}}"


def _loader_names(
    names: Sequence[str],
    folder: Folder,
    view: InventoryView,
    layout: Layout,
    *,
    has_plain_names: bool,
) -> Iterator[str] | None:
    """The text of each row's name in ComfyUI; None if no row has one."""
    loader = LoaderNames(view.roots[folder.root].root, folder.path, view.snapshot, view.base)
    shadows = layout.shadows.by_folder.get(folder.path, {})
    return loader.texts(folder.directory.listing, names, shadows, has_plain_names=has_plain_names)


def _with_annotations(
    proofs: Iterator[str], names: Sequence[str], entries: _Entries, view: InventoryView
) -> Iterator[str]:
    """The text of each row's fingerprint and annotations."""
    assert view.annotations is not None
    folder = entries.folder
    annotations = view.annotations.of(folder.path, folder.directory)
    types = folder.directory.listing.types
    for name, letter, proof in zip(names, types, proofs, strict=False):
        fields = annotations.get(name, {})
        if view.status and join(folder.path, name) in view.status:
            # The status in the view has priority: annotations may have another one.
            fields = {key: fields[key] for key in fields if key not in ("status", "problem")}
        for key in _PATHS:
            if key in fields:
                path = fields[key]
                others = {key_: fields[key_] for key_ in fields if key_ != key}
                fields = {**others, **path_fields(path, view.base, key)}
        kind = fields["model"].get("kind", "") if "model" in fields else ""
        if is_misplaced(kind, folder.category):
            fields = {**fields, "misplaced": {"kind": kind, "category": folder.category}}
        entries.count(name, letter, fields)
        yield proof + ("," + orjson.dumps(fields).decode()[1:-1] if fields else "")


def _proofs(folder: Folder) -> Iterator[str]:
    """The text of each row's fingerprint; empty if it is unknown."""
    digits = folder.directory.fingerprints.hex()
    if not digits:
        return repeat("")
    length = 2 * FINGERPRINT_BYTES
    pieces = (digits[start : start + length] for start in range(0, len(digits), length))
    return (
        "" if piece == _NO_DIGITS else f',"fingerprint":"{ALGORITHM}:{piece}"' for piece in pieces
    )


def _header_line(view: InventoryView, layout: Layout, totals: Mapping[str, Any]) -> bytes:
    return orjson.dumps(_header(view, layout, totals))[:-1] + b"," + HEADER_END


def _header(view: InventoryView, layout: Layout, totals: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "tool": TOOL,
        "generated": time_text(view.generated),
        "scan": view.scan,
        **({} if view.base is None else text_fields(with_slashes(view.base), "base")),
        "roots": [
            _root_fields(root, view, layout.folders, count)
            for root, count in zip(view.roots, layout.counts, strict=True)
        ],
        "unreachable": [
            {
                **path_fields(unreachable.path, view.base),
                "error": readable(unreachable.error),
                "since": time_text(unreachable.since),
            }
            for unreachable in view.unreachable
        ],
        "mounts": [_mount_fields(mount, view.base) for mount in view.mounts],
        "totals": totals,
    }


def _totals(layout: Layout) -> dict[str, Any]:
    counts = layout.counts
    return {
        "entries": sum(c.files + c.directories + c.others + c.aliases for c in counts),
        "files": sum(count.files for count in counts),
        "directories": sum(count.directories for count in counts),
        "others": sum(count.others for count in counts),
        "aliases": sum(count.aliases for count in counts),
        "shadowed": layout.shadows.count,
        "bytes": sum(count.bytes for count in counts),
        "apparent_bytes": sum(count.apparent_bytes for count in counts),
    }


def _categories(layout: Layout) -> dict[str, dict[str, int]]:
    """Files and bytes by category; what has none stands under the empty name."""
    found: dict[str, dict[str, int]] = {}
    for (_, category), count in sorted(layout.by_category.items()):
        sums = found.setdefault(category, {"files": 0, "bytes": 0})
        sums["files"] += count.files
        sums["bytes"] += count.bytes
    return {category: sums for category, sums in sorted(found.items()) if sums["files"]}


def _root_fields(
    view_of_root: RootView, view: InventoryView, folders: Mapping[str, Folder], count: Count
) -> dict[str, Any]:
    root = view_of_root.root
    fields: dict[str, Any] = {
        "id": readable(root.id),
        "kind": root.kind,
        **path_fields(root.path, view.base),
    }
    if root.category:
        fields["category"] = readable(root.category)
    if root.named_by:
        fields.update(text_fields(root.named_by, "named_by"))
    fields["state"] = view_of_root.state
    fields["since"] = time_text(view_of_root.since)
    if view_of_root.filesystem:
        fields["filesystem"] = readable(view_of_root.filesystem)
    if view_of_root.reason:
        fields["reason"] = readable(view_of_root.reason)
    if root.path in folders:
        fields.update(mtime_fields(folders[root.path].directory.mtime))
    sizes = {"bytes": count.bytes, "apparent_bytes": count.apparent_bytes}
    return {**fields, "files": count.files, **sizes}


def _mount_fields(mount: MountView, base: str | None) -> dict[str, Any]:
    fields = path_fields(mount.path, base)
    known = {"target": mount.target, "point": mount.point, **mount.identity._asdict()}
    for key, text in known.items():
        if text:
            fields.update(text_fields(text, key))
    return fields


def _prefix(folder: str, base: str | None) -> str:
    """The part of the displayed path before the names of the entries of `folder`."""
    text = shown(folder, base)
    if text == ".":
        return ""
    return text if text.endswith("/") else text + "/"
