"""Read an inventory: its header, its entries as a stream, the snapshot it was written from."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Self

import orjson

from scanner.core.digests import ALGORITHM
from scanner.core.paths import nearest_above
from scanner.core.roots import KINDS
from scanner.core.serialize import mtime_of, native, raw_text, readable
from scanner.core.snapshot import (
    BROKEN_LINK,
    CONTAINERS,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Row,
    Snapshot,
    listing_of,
)
from scanner.output.atomic import cannot
from scanner.output.inventory_text import (
    END,
    LONGEST_HEADER,
    SCHEMA,
    InventoryText,
    UnreadableInventoryError,
    name_of,
    parse_header,
)
from scanner.output.regular_files import opening_regular

_MOST_SCANS = 1 << 53
"""Above all numbers of scans. Larger numbers are not exact in JSON."""

_NO_PARTS = {"bytes": 0}

_LETTERS = {"file": FILE, "directory": DIRECTORY, "other": OTHER}

_LINK_LETTERS = {"file": FILE_LINK, "directory": DIRECTORY_LINK, None: BROKEN_LINK}


def is_file(entry: Mapping[str, Any]) -> bool:
    """True if `entry` is a file or a link to one."""
    return entry["type"] == "file" or entry.get("leads_to") == "file"


def size_in(entry: Mapping[str, Any]) -> int | None:
    """The bytes of a file, or of the files below a directory, each once; None if not known."""
    size: int | None = entry.get("size", entry.get("total_size"))
    return size


@contextmanager
def damage_reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors from a malformed entry into UnreadableInventoryError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableInventoryError(
            f"the inventory at {name_of(path)} is damaged: {type(error).__name__}: {error}"
        ) from error


def read_header(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The header of the inventory at `path` without `entries`; only the first line is read.

    None if there is no file, or none that a state could be rebuilt from. Raises OutputError if it
    cannot be read.
    """
    try:
        with open(path, "rb", opener=opening_regular) as file:
            header = parse_header(file.readline(LONGEST_HEADER))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error
    if header is None or header["schema"] > SCHEMA or _is_whole(header):
        return header
    return None


def header_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header of the inventory at `path`. Raises as `read_entries` does."""
    with OpenInventory(path) as inventory:
        return inventory.header


def read_entries(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The entries of the inventory at `path` one by one, in its order.

    Raises UnreadableInventoryError if it is missing or damaged (possibly after many entries),
    OutputError if it cannot be read.
    """
    with OpenInventory(path) as inventory:
        yield from inventory.entries()


def snapshot_from(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Snapshot]:
    """The header of the inventory at `path`, and the snapshot that it was written from.

    The snapshot has everything that `project` keeps, and fingerprints, link targets and mtimes of
    directories (not of directories behind links). Inodes, devices and ignored names are not in the
    file. A directory without a listing stays without one. Raises as `read_entries` does.
    """
    with OpenInventory(path) as inventory:
        if not _is_whole(inventory.header):
            raise UnreadableInventoryError(f"{name_of(path)} is not an inventory")
        inventory.check()
        return inventory.header, _rebuild(inventory.header, inventory.entries())


class OpenInventory:
    """An inventory that stays open, so that header and entries belong together.

    Another one may replace it meanwhile. It may be one file, or split into several. Raises as
    `read_entries` does.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._text = InventoryText(path)
        self.header = self._text.header

    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries from the first one on. Several of these iterators may be used in turn."""
        lines = (line for _, lines in self._text.pieces() for line in lines)
        return _parse_entries(lines, self.path)

    def placed_entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The entries, each with its place in this very inventory, for `entry_at`."""
        place = 0

        def lines() -> Iterator[bytes]:
            nonlocal place
            for start, piece in self._text.pieces():
                following = start
                for line in piece:
                    place, following = following, following + len(line)
                    yield line

        for entry in _parse_entries(lines(), self.path):
            yield place, entry

    def entry_at(self, place: int) -> dict[str, Any]:
        """The entry at a place that `placed_entries` gave."""
        return next(_parse_entries(iter((self._text.line_at(place),)), self.path))

    def check(self) -> None:
        """Compare the parts of a split inventory with their checksums. Raises
        UnreadableInventoryError."""
        self._text.check()

    def close(self) -> None:
        self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def base_of(header: Mapping[str, Any]) -> str | None:
    """The folder that paths are relative to, from an inventory's header; None if there is none.

    Raises ValueError if it is damaged.
    """
    return native(header, None, "base") if "base" in header else None


def _is_whole(header: Mapping[str, Any]) -> bool:
    """True if the fields by which a state is rebuilt have the form in which they are written."""
    scan, roots = header.get("scan"), header.get("roots")
    if type(scan) is not int or not 0 <= scan < _MOST_SCANS or not isinstance(roots, list):
        return False
    try:
        base = base_of(header)
        return all(_is_root(root, base) for root in roots)
    except ValueError:
        return False


def _is_root(root: object, base: str | None) -> bool:
    """Raises ValueError if it has no path."""
    if not isinstance(root, dict) or root.get("kind") not in KINDS:
        return False
    texts = (root.get("state"), root.get("category", ""))
    return all(isinstance(text, str) for text in texts) and "\0" not in native(root, base)


def _parse_entries(
    lines: Iterator[bytes], path: str | os.PathLike[str]
) -> Iterator[dict[str, Any]]:
    """The entries after line 1. A file without the last line was cut off and counts as damaged."""
    number = 1
    for line in lines:
        number += 1
        if line == END:
            if next(lines, b""):
                break
            return
        try:
            entry = orjson.loads(line[:-2] if line.endswith(b",\n") else line)
        except orjson.JSONDecodeError:
            break
        if not isinstance(entry, dict) or not _has_sizes(entry):
            break
        yield entry
    raise UnreadableInventoryError(f"{name_of(path)} is damaged at line {number}")


def _has_sizes(entry: Mapping[str, Any]) -> bool:
    """True if the sizes that an entry has are numbers: readers add them up."""
    if type(entry.get("size", entry.get("total_size", 0))) is not int:
        return False
    parts = entry.get("set", _NO_PARTS)
    return isinstance(parts, dict) and type(parts.get("bytes")) is int


class _Columns:
    """Collects the rows of a listing, in any order."""

    def __init__(self) -> None:
        self.mtime = 0
        self._names: list[str] = []
        self._types: list[str] = []
        self._sizes = array("q")
        self._mtimes = array("q")
        self._targets: list[tuple[str, str]] = []
        self._fingerprints: dict[str, bytes] = {}

    def add(self, name: str, entry: Mapping[str, Any]) -> str:
        """Add a row and return its type. Raises KeyError, TypeError, ValueError, OverflowError."""
        kind = entry["type"]
        letter = _LINK_LETTERS[entry.get("leads_to")] if kind == "symlink" else _LETTERS[kind]
        self._sizes.append(entry["size"] if letter in (FILE, FILE_LINK) else 0)
        self._mtimes.append(mtime_of(entry) if letter not in (DIRECTORY, OTHER) else 0)
        self._names.append(name)
        self._types.append(letter)
        if "target" in entry:
            self._targets.append((name, raw_text(entry, "target")))
        algorithm, _, digits = entry.get("fingerprint", "").partition(":")
        if algorithm == ALGORITHM:
            self._fingerprints[name] = bytes.fromhex(digits)
        return letter

    def directory(self) -> Directory:
        rows = map(Row, self._names, self._types, self._sizes, self._mtimes, repeat(0))
        directory = Directory(listing_of(rows, targets=self._targets), self.mtime)
        return directory.with_fingerprints(self._fingerprints) if self._fingerprints else directory


def _rebuild(header: Mapping[str, Any], entries: Iterable[dict[str, Any]]) -> Snapshot:
    columns: dict[str, _Columns] = {}
    tops: set[str] = set()
    count = 0
    prefix, parent = "", _Columns()
    entry: Mapping[str, Any] = header
    try:
        base = base_of(header)
        for entry in header["roots"]:
            tops.add(native(entry, base))
            if "mtime" in entry or "mtime_ns" in entry:
                root = columns.setdefault(native(entry, base), _Columns())
                root.mtime = mtime_of(entry)
        for entry in entries:
            count += 1
            text = entry["path"]
            before, _, name = text.rpartition("/")
            path = ""
            if "path_b64" in entry or before != prefix or not prefix:
                path = native(entry, base)
                folder, name = os.path.split(path)
                parent = columns.setdefault(folder, _Columns())
                prefix = "" if "path_b64" in entry else before
            letter = parent.add(name, entry)
            # In schema 1 it was `size`.
            if letter in CONTAINERS and ("total_size" in entry or "size" in entry):
                child = columns.setdefault(path or native(entry, base), _Columns())
                child.mtime = mtime_of(entry) if letter == DIRECTORY else 0
        if count != header["totals"]["entries"]:
            raise UnreadableInventoryError("the inventory is damaged: entries are missing")
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UnreadableInventoryError(
            f"the inventory is damaged at {readable(str(entry.get('path', 'its header')))!r}: "
            f"{type(error).__name__}"
        ) from error
    outside = next((path for path in columns if nearest_above(path, tops) is None), None)
    if outside is not None:
        raise UnreadableInventoryError(
            f"the inventory is damaged: {readable(outside)!r} lies in none of its roots"
        )
    snapshot: Snapshot = {}
    while columns:
        path = next(iter(columns))
        snapshot[path] = columns.pop(path).directory()
    return snapshot
