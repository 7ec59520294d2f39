"""The lines of an inventory: one entry each, as text without the line end."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Any

import orjson

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
    time_texts,
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
    Directory,
    Listing,
)
from scanner.core.statuses import words_of
from scanner.output.inventory_layout import Folder, Layout, alias_of, order, shared_names
from scanner.output.inventory_view import InventoryView
from scanner.output.loader_names import LoaderNames

BATCH = 4096
"""Lines that are made at a time: some 1.5 MB, regardless of the size of the inventory."""

_FEW = 16
"""Rows up to which lines are made one by one."""

_NO_DIGITS = UNKNOWN_FINGERPRINT.hex()

_PATHS = ("part_of", "sidecar_of")
"""Annotations that are absolute paths of other entries."""

_NO_NAMES: frozenset[str] = frozenset()

_LEADS_TO = {FILE_LINK: "file", DIRECTORY_LINK: "directory"}

_A_TIME = 10**18
"""In place of the times of entries that have none."""

_Row = tuple[str, str, int, int]
"""Name, type, size and mtime."""


class Lines:
    """Makes the lines of one inventory, folder by folder."""

    def __init__(self, view: InventoryView, layout: Layout) -> None:
        self._view = view
        self._layout = layout
        self._common: dict[tuple[int, str], str] = {}

    def some(self, folder: Folder, rows: Sequence[int]) -> Iterator[list[str]]:
        """The lines of some `rows` of `folder`, in batches."""
        names = folder.directory.listing.split_names()
        if len(rows) <= _FEW and folder.path not in self._layout.with_status:
            lines = self._few(folder, names, rows)
            if lines is not None:
                return iter([lines])
        return self.of(folder, _some_rows(folder.directory, names, rows))

    def _few(self, folder: Folder, names: Sequence[str], rows: Sequence[int]) -> list[str] | None:
        """The lines of a few rows; None if one of them is of a kind that is rare. Columns would
        take three times as long."""
        path, layout, view = folder.path, self._layout, self._view
        if folder.alias_of or path in layout.owners or path in layout.shadows.by_folder:
            return None
        directory = folder.directory
        listing = directory.listing
        loader = LoaderNames(view.roots[folder.root].root, path, view.snapshot, view.base)
        start = orjson.dumps({"path": _prefix(path, view.base)}).decode()[:-2]
        end = self._common_text(folder.root, folder.category)
        lines: list[str] = []
        for row in rows:
            name, letter = names[row], listing.types[row]
            if not name.isprintable() or '"' in name or "\\" in name:
                return None
            text = loader.text(name, letter)
            proof = directory.fingerprint(row)
            if proof:
                text = f'{text},"fingerprint":"{ALGORITHM}:{proof.hex()}"'
            if letter == DIRECTORY:
                line = self._directory(name, start, text, folder)
                if line is None:
                    return None
                lines.append(line)
                continue
            time = time_text(listing.mtimes[row])
            if letter != FILE or time is None:
                return None
            lines.append(
                f'{start}{name}","type":"file","size":{listing.sizes[row]},"mtime":"{time}"'
                f"{end}{text}}}"
            )
        return lines

    def of(self, folder: Folder, directory: Directory | None = None) -> Iterator[list[str]]:
        """The lines of all rows of `folder` in batches, or of the rows of `directory`, which has
        some of them."""
        directory = directory or folder.directory
        listing = directory.listing
        names = listing.split_names()
        entries = _Entries(folder, directory, self._view, self._layout)
        has_plain_names = (
            listing.names.replace("\0", "").isprintable()
            and '"' not in listing.names
            and "\\" not in listing.names
        )
        loader = LoaderNames(
            self._view.roots[folder.root].root, folder.path, self._view.snapshot, self._view.base
        )
        shadows = self._layout.shadows.by_folder.get(folder.path, {})
        is_plain = (
            has_plain_names
            and entries.is_clean
            and not entries.has_owners
            and folder.path not in self._layout.with_status
        )
        annotations = _annotations(folder, self._view)
        whole = entries.is_clean and len(names) <= BATCH
        for batch in [range(len(names))] if whole else _batches(order(listing.names, names)):
            part = directory if whole else _some_rows(directory, names, batch)
            texts = _last_fields(part, loader, shadows, has_plain_names=has_plain_names)
            if annotations is not None:
                texts = entries.annotated(part, texts, annotations)
            yield self._plain(part, texts, entries) if is_plain else entries.lines(part, texts)

    def _plain(self, directory: Directory, texts: Sequence[str], entries: _Entries) -> list[str]:
        """The lines of rows of which nearly all are files. Column by column they take a quarter of
        the time that `_Entries.line` takes."""
        listing = directory.listing
        names, types, folder = listing.split_names(), listing.types, entries.folder
        is_file = types.count(FILE) == len(types)
        mtimes: Sequence[int] = listing.mtimes
        if not is_file:  # zeros would cost more than times
            mtimes = [
                mtime if letter == FILE else _A_TIME
                for mtime, letter in zip(mtimes, types, strict=True)
            ]
        times = time_texts(mtimes)
        start = orjson.dumps({"path": entries.prefix}).decode()[:-2]
        end = self._common_text(folder.root, folder.category)
        columns = zip(names, listing.sizes, times, texts, strict=True)
        lines = [
            f'{start}{name}","type":"file","size":{size},"mtime":"{time}"{end}{text}}}'
            for name, size, time, text in columns
        ]
        if not is_file or None in times:
            for index, letter in enumerate(types):
                if letter == DIRECTORY:
                    line = self._directory(names[index], start, texts[index], folder)
                elif letter != FILE or times[index] is None:
                    line = None
                else:
                    continue
                row = (names[index], letter, listing.sizes[index], listing.mtimes[index])
                lines[index] = line or entries.line(row, texts[index])
        return lines

    def _directory(self, name: str, start: str, text: str, folder: Folder) -> str | None:
        """The line of a subfolder; None if it needs other fields than nearly all have."""
        child = self._layout.folders.get(join(folder.path, name))
        if child is None or child.alias_of:
            return None
        time = time_text(child.directory.mtime)
        if time is None:
            return None
        end = self._common_text(folder.root, child.category or folder.category)
        return (
            f'{start}{name}","type":"directory","total_size":{child.total_size},'
            f'"apparent_bytes":{child.apparent_bytes},"mtime":"{time}"{end}{text}}}'
        )

    def _common_text(self, root: int, category: str) -> str:
        """The fields that entries of one root and category have in common."""
        text = self._common.get((root, category))
        if text is None:
            fields = _common_fields(self._view.roots[root].root.id, category)
            text = self._common[root, category] = "," + orjson.dumps(fields).decode()[1:-1]
        return text


def _common_fields(root: str, category: str) -> dict[str, str]:
    return {"root": readable(root), **({"category": category} if category else {})}


def _batches(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def _some_rows(directory: Directory, names: Sequence[str], rows: Sequence[int]) -> Directory:
    """A directory of `rows` of this one, which has `names`, for their lines alone."""
    listing, digits = directory.listing, directory.fingerprints
    starts = [FINGERPRINT_BYTES * row for row in rows] if digits else []
    return Directory(
        Listing(
            "\0".join([names[row] for row in rows]),
            "".join([listing.types[row] for row in rows]),
            array("q", [listing.sizes[row] for row in rows]),
            array("q", [listing.mtimes[row] for row in rows]),
            targets=listing.targets,
        ),
        fingerprints=b"".join([digits[start : start + FINGERPRINT_BYTES] for start in starts]),
    )


def _last_fields(
    directory: Directory,
    loader: LoaderNames,
    shadows: Mapping[str, str],
    *,
    has_plain_names: bool,
) -> Sequence[str]:
    """The text of each row's name in ComfyUI and of its fingerprint."""
    names = loader.texts(directory.listing, shadows, has_plain_names=has_plain_names)
    if not directory.fingerprints:
        return names if names is not None else [""] * len(directory.listing)
    proofs = _proofs(directory.fingerprints)
    return proofs if names is None else list(map(add, names, proofs))


def _proofs(fingerprints: bytes) -> list[str]:
    """The text of each row's fingerprint; empty if it is unknown."""
    return [
        "" if digits == _NO_DIGITS else f',"fingerprint":"{ALGORITHM}:{digits}"'
        for digits in fingerprints.hex(" ", FINGERPRINT_BYTES).split(" ")
    ]


class _Entries:
    """The entries of one folder, of any type and with any name."""

    def __init__(
        self, folder: Folder, directory: Directory, view: InventoryView, layout: Layout
    ) -> None:
        """`directory` has the rows that are written."""
        self.folder = folder
        self._view = view
        self._layout = layout
        self._root = view.roots[folder.root].root
        self.prefix = _prefix(folder.path, view.base)
        self.is_clean = is_utf8(folder.path) and is_utf8(directory.listing.names)
        self._targets = dict(directory.listing.targets)
        self._shared = shared_names(folder, layout.folders) if folder.alias_of else _NO_NAMES
        self.has_owners = bool(self._shared) or folder.path in layout.owners
        """True if some of them may belong to other entries."""

    def lines(self, directory: Directory, texts: Iterable[str]) -> list[str]:
        """The lines of the rows of `directory`, each with its last fields."""
        listing = directory.listing
        rows = zip(listing.split_names(), listing.types, listing.sizes, listing.mtimes, strict=True)
        return list(map(self.line, rows, texts))

    def line(self, row: _Row, text: str) -> str:
        """The line of a row. `text` are its last fields."""
        name, letter, size, mtime = row
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
        entry.update(_common_fields(self._root.id, self.folder.category))
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
            self._count(name, letter, entry)
        alias = alias_of(self.folder, name, letter, self._shared, layout)
        if alias:
            entry.update(path_fields(alias, view.base, "alias_of"))
        return f"{orjson.dumps(entry).decode()[:-1]}{text}}}"

    def annotated(
        self,
        directory: Directory,
        texts: Sequence[str],
        annotations: Mapping[str, Mapping[str, Any]],
    ) -> list[str]:
        """`texts`, which are those of the rows of `directory`, with their annotations."""
        folder, view = self.folder, self._view
        found = list(texts)
        names = directory.listing.split_names()
        for index, (name, letter) in enumerate(zip(names, directory.listing.types, strict=True)):
            if name not in annotations:
                continue
            fields = dict(annotations[name])
            if view.status and join(folder.path, name) in view.status:
                # The status in the view has priority: annotations may have another one.
                fields.pop("status", None)
                fields.pop("problem", None)
            for key in _PATHS:
                if key in fields:
                    fields |= path_fields(fields.pop(key), view.base, key)
            kind = fields["model"].get("kind", "") if "model" in fields else ""
            if is_misplaced(kind, folder.category):
                fields["misplaced"] = {"kind": kind, "category": folder.category}
            if fields:
                self._count(name, letter, fields)
                found[index] += "," + orjson.dumps(fields).decode()[1:-1]
        return found

    def _count(self, name: str, letter: str, fields: Mapping[str, Any]) -> None:
        """Count the status and the marks among these fields of a row, unless it is an alias."""
        words = words_of(fields)
        if words and not alias_of(self.folder, name, letter, self._shared, self._layout):
            counts = self.folder.words = self.folder.words or {}
            for word in words:
                counts[word] = counts.get(word, 0) + 1


def _annotations(folder: Folder, view: InventoryView) -> dict[str, dict[str, Any]] | None:
    """The annotations of the entries of `folder` by name; None if it has none."""
    if view.annotations is None or folder.path not in view.annotations.folders:
        return None
    return view.annotations.of(folder.path, folder.directory)


def _prefix(folder: str, base: str | None) -> str:
    """The part of the displayed path before the names of the entries of `folder`."""
    text = shown(folder, base)
    if text == ".":
        return ""
    return text if text.endswith("/") else text + "/"
