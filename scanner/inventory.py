"""The inventory: one JSON file with every entry, written whole and read as a stream.

Line 1 is the header up to `"entries":[`, then one entry a line, each but the last with a comma at
its end, then `]}`. So the file is one JSON document, and each line can be found by grep, compared
by diff and, without its comma, parsed by itself. Entries are sorted by the components of the path
that they show (by code point; names that are shown alike by their bytes), over all roots; roots'
own folders are no entries.

`schemas/inventory.schema.json` says what each field means.
"""

from __future__ import annotations

import os
import time
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any, BinaryIO, NamedTuple

import orjson

import scanner
from scanner.atomic import AtomicFile, cannot
from scanner.errors import InventoryError
from scanner.fingerprint import ALGORITHM
from scanner.portable import (
    is_utf8,
    mtime_fields,
    mtime_of,
    native,
    path_fields,
    raw_text,
    readable,
    shown,
    text_fields,
    time_text,
)
from scanner.roots import KINDS, Root, category_of
from scanner.snapshot import (
    BROKEN_LINK,
    CONTAINERS,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FINGERPRINT_BYTES,
    OTHER,
    TYPE_NAMES,
    UNKNOWN_FINGERPRINT,
    Directory,
    Row,
    Snapshot,
    is_below,
    join,
    listing_of,
)

SCHEMA = 1
TOOL = {"name": "comfy-inventory", "version": scanner.__version__}

_HEADER_END = b'"entries":[\n'
_END = b"]}\n"
_BATCH = 4096
"""Lines joined and written at once: some 1.5 MB, whatever the size of the inventory."""

_LONGEST_HEADER = 1 << 26
"""Bytes read in search of the end of line 1: a file without line ends is none of ours."""

_NO_DIGITS = UNKNOWN_FINGERPRINT.hex()

_LEADS_TO = {FILE_LINK: "file", DIRECTORY_LINK: "directory"}
_LETTERS = {"file": FILE, "directory": DIRECTORY, "other": OTHER}
_LINK_LETTERS = {"file": FILE_LINK, "directory": DIRECTORY_LINK, None: BROKEN_LINK}


class UnreadableInventoryError(InventoryError):
    """A file is missing, is no inventory, or is damaged."""


@dataclass(frozen=True, slots=True)
class RootView:
    """A root as the header shows it."""

    root: Root
    state: str
    """`online`, `partial`, `offline`, `stalled`, `held` or `missing`."""
    since: int
    """When it entered that state, nanoseconds since 1970."""
    filesystem: str
    reason: str = ""
    """Why it is not online, one sentence."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A place below a root that answered with an error; what was known below it is kept."""

    path: str
    error: str
    since: int
    """Nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that an inventory shows."""

    scan: int
    generated: int
    """Nanoseconds since 1970."""
    base: str | None
    """Folder that paths are shown relative to."""
    roots: Sequence[RootView]
    unreachable: Sequence[Unreachable]
    snapshot: Snapshot
    status: Mapping[str, str] = field(default_factory=dict)
    """A word for some paths, as `unsettled`."""


class Written(NamedTuple):
    """What a write cost (design rule 10 spaces writes by it)."""

    bytes: int
    seconds: float


def write_inventory(path: str | os.PathLike[str], view: View) -> Written:
    """Replace the inventory at `path`. Raises OutputError.

    Needs some 200 bytes of memory for each directory and none for each file.
    """
    started = time.perf_counter()
    size = 0
    with AtomicFile(path) as file:
        for chunk in _chunks(view):
            file.write(chunk)
            size += len(chunk)
    return Written(size, time.perf_counter() - started)


def read_header(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The header of the inventory at `path`, by its first line alone, without `entries`.

    None where there is no file or it is no inventory. Raises OutputError where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return _parse_header(file.readline(_LONGEST_HEADER))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


def read_entries(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The entries of the inventory at `path` one by one, in its order.

    Raises UnreadableInventoryError where it is missing or damaged (that may be after many
    entries), OutputError where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            _header_of(file, path)
            yield from _parse_entries(file, path)
    except FileNotFoundError:
        raise UnreadableInventoryError(f"there is no inventory at {_name(path)}") from None
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


def snapshot_from(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Snapshot]:
    """The header of the inventory at `path`, and the snapshot that it was written from.

    All that `project` keeps comes back exactly, and fingerprints, targets of links and mtimes of
    directories (not of those behind links). Inodes, devices and ignored names are not in the file.
    A directory that had no listing has none again. Raises as `read_entries` does.
    """
    try:
        with open(path, "rb") as file:
            header = _header_of(file, path)
            return header, _rebuild(header, _parse_entries(file, path))
    except FileNotFoundError:
        raise UnreadableInventoryError(f"there is no inventory at {_name(path)}") from None
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error


def base_of(header: Mapping[str, Any]) -> str | None:
    """The folder that paths in an inventory with this header are relative to, if any.

    ValueError where it is damaged.
    """
    return native(header, None, "base") if "base" in header else None


def _name(path: str | os.PathLike[str]) -> str:
    """A path as messages show it."""
    return readable(os.fspath(path))


# Writing: the plan


@dataclass(slots=True, eq=False)
class _Folder:
    """A directory whose listing is written."""

    path: str
    directory: Directory
    root: int
    """Index of its root in the view."""
    parent: _Folder | None
    """The folder among whose entries its own stand; None at the top."""
    position: int
    """How many rows of the parent are written before its own."""
    linked: bool
    """Whether its path goes through a link to a directory."""
    category: str
    size: int = 0
    """Sum of the sizes of the files and links to files below it, bytes."""
    alias_of: str = ""
    """Path of the directory that owns what is listed here (design rule 11)."""


def _plan(view: View) -> dict[str, _Folder]:
    """The folders whose listings are written, by path, in the order in which they begin."""
    owners: dict[str, int] = {}
    for index in sorted(range(len(view.roots)), key=lambda i: _rank(view.roots[i].root)):
        path = view.roots[index].root.path
        if path in view.snapshot:
            owners.setdefault(path, index)
    inner = {path for path in owners if any(p != path and is_below(path, p) for p in owners)}
    tops = sorted(set(owners) - inner, key=lambda path: _root_key(path, view.base))
    folders: dict[str, _Folder] = {}
    stack: list[_Step] = [
        _Step(path, None, 0, False, tuple(p for p in inner if is_below(p, path)))
        for path in reversed(tops)
    ]
    while stack:
        step = stack.pop()
        root = owners.get(step.path, step.parent.root if step.parent else 0)
        folder = _Folder(
            step.path,
            view.snapshot[step.path],
            root,
            step.parent,
            step.position,
            step.linked,
            _category(view.roots[root].root, step.path),
            sum(view.snapshot[step.path].listing.sizes),
        )
        folders[step.path] = folder
        stack.extend(reversed(_steps_below(folder, step.inner, view)))
    for folder in reversed(folders.values()):
        if folder.parent:
            folder.parent.size += folder.size
    return folders


class _Step(NamedTuple):
    path: str
    parent: _Folder | None
    position: int
    linked: bool
    inner: tuple[str, ...]
    """Nested roots below (or at) this path: they take their place among its entries."""


def _steps_below(folder: _Folder, inner: tuple[str, ...], view: View) -> list[_Step]:
    """The folders that begin between the rows of `folder`, in order."""
    listing = folder.directory.listing
    nested = [path for path in inner if path != folder.path]
    steps: list[_Step] = []
    if DIRECTORY in listing.types or DIRECTORY_LINK in listing.types:
        names = listing.split_names()
        for position, index in enumerate(_order(listing.names, names), 1):
            letter = listing.types[index]
            if letter not in CONTAINERS:
                continue
            path = join(folder.path, names[index])
            if path not in view.snapshot:
                continue  # unreadable, a link loop, or a link that is not followed
            below = tuple(p for p in nested if is_below(p, path)) if nested else ()
            linked = folder.linked or letter == DIRECTORY_LINK
            steps.append(_Step(path, folder, position, linked, below))
    # A nested root stands in no listing of the outer one, and folders between the two may be
    # left out there as well.
    apart = [p for p in nested if not any(is_below(p, step.path) for step in steps)]
    if apart:
        keys = sorted([_name_key(name)] for name in listing.split_names())
        for path in apart:
            if any(p != path and is_below(path, p) for p in apart):
                continue
            # A folder between the two that has an entry and no listing comes before it.
            position = bisect_left(keys, _key_below(path, folder.path))
            below = tuple(p for p in apart if is_below(p, path))
            steps.append(_Step(path, folder, position, folder.linked, below))
        steps.sort(key=lambda step: _key_below(step.path, folder.path))
    return steps


def _mark_aliases(folders: Mapping[str, _Folder], view: View) -> None:
    """Set `alias_of` of every folder that another path owns (design rule 11)."""

    def rank(folder: _Folder) -> tuple[int, bool, list[str]]:
        parts = shown(folder.path, view.base).split("/")
        return _rank(view.roots[folder.root].root), folder.linked, parts

    first: dict[tuple[int, int], _Folder] = {}
    several: defaultdict[tuple[int, int], list[_Folder]] = defaultdict(list)
    for folder in folders.values():
        if folder.directory.inode:
            key = (folder.directory.device, folder.directory.inode)
            if first.setdefault(key, folder) is not folder:
                several[key].append(folder)
    for key, others in several.items():
        group = [first[key], *others]
        owner = min(group, key=rank)
        for folder in group:
            if folder is not owner:
                folder.alias_of = owner.path
    for folder in folders.values():
        # Below an alias where inodes are unknown, only the path tells which folder this is.
        if not folder.directory.inode and folder.parent and folder.parent.alias_of:
            twin_path = join(folder.parent.alias_of, _tail(folder.path, folder.parent.path))
            twin = folders.get(twin_path)
            if twin is not None:
                folder.alias_of = twin.alias_of or twin.path


def _shared_names(folder: _Folder, folders: Mapping[str, _Folder]) -> frozenset[str]:
    """Names in an alias that its owner lists too; what it does not list is counted here."""
    if not folder.alias_of:
        return frozenset()
    return frozenset(folders[folder.alias_of].directory.listing.split_names())


@dataclass(slots=True)
class _Count:
    """Entries without `alias_of`, and how many have one."""

    files: int = 0
    directories: int = 0
    others: int = 0
    bytes: int = 0
    aliases: int = 0

    def add(self, letters: str, sizes: Iterable[int], sign: int = 1) -> None:
        files = letters.count(FILE) + letters.count(FILE_LINK)
        directories = letters.count(DIRECTORY) + letters.count(DIRECTORY_LINK)
        self.files += sign * files
        self.directories += sign * directories
        self.others += sign * (len(letters) - files - directories)
        self.bytes += sign * sum(sizes)


def _count(folders: Mapping[str, _Folder], view: View) -> list[_Count]:
    """What each root of the view lists and owns."""
    counts = [_Count() for _ in view.roots]
    for folder in folders.values():
        count = counts[folder.root]
        listing = folder.directory.listing
        count.add(listing.types, listing.sizes)
        shared = _shared_names(folder, folders)
        if shared or any(letter in CONTAINERS for letter in set(listing.types)):
            for name, letter, size in zip(
                listing.split_names(), listing.types, listing.sizes, strict=True
            ):
                if _alias_of(folder, name, letter, shared, folders):
                    count.add(letter, (size,), -1)
                    count.aliases += 1
    return counts


def _alias_of(
    folder: _Folder,
    name: str,
    letter: str,
    shared: frozenset[str],
    folders: Mapping[str, _Folder],
) -> str:
    """Path of the entry that owns the row `name` of `folder`; empty where it owns itself."""
    if letter in CONTAINERS:
        child = folders.get(join(folder.path, name))
        if child is not None:
            return child.alias_of
    return join(folder.alias_of, name) if name in shared else ""


# Writing: the text


def _chunks(view: View) -> Iterator[bytes]:
    """The bytes of the inventory, piece by piece."""
    folders = _plan(view)
    _mark_aliases(folders, view)
    header = orjson.dumps(_header(view, folders))
    yield header[:-1] + b"," + _HEADER_END
    between = b""
    for lines in _batches(_ordered_lines(view, folders)):
        yield between + b",\n".join(lines)
        between = b",\n"
    yield (b"\n" if between else b"") + _END


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    while batch := list(islice(lines, _BATCH)):
        yield batch


def _ordered_lines(view: View, folders: Mapping[str, _Folder]) -> Iterator[bytes]:
    """Every entry's line in the order of the file.

    A folder's own entries stand between those of its parent: each open folder is a half-used
    iterator of lines, so that only the folders from a root down to one place are open.
    """
    open_folders: list[tuple[_Folder, Iterator[bytes], list[int]]] = []
    for folder in folders.values():
        while open_folders and open_folders[-1][0] is not folder.parent:
            yield from open_folders.pop()[1]
        if open_folders:
            _, lines, done = open_folders[-1]
            yield from islice(lines, folder.position - done[0])
            done[0] = folder.position
        open_folders.append((folder, _lines(folder, view, folders), [0]))
    while open_folders:
        yield from open_folders.pop()[1]


def _lines(folder: _Folder, view: View, folders: Mapping[str, _Folder]) -> Iterator[bytes]:
    """The lines of the rows of one folder."""
    listing = folder.directory.listing
    digits = folder.directory.fingerprints.hex()
    root = view.roots[folder.root].root
    root_id = readable(root.id)
    prefix = _prefix(folder.path, view.base)
    clean = is_utf8(folder.path) and is_utf8(listing.names)
    targets = dict(listing.targets)
    shared = _shared_names(folder, folders)
    plain = clean and not shared and not view.status
    common = {"root": root_id, "category": folder.category}
    if not folder.category:
        del common["category"]
    entry: dict[str, Any]
    names = listing.split_names()
    for index in _order(listing.names, names):
        name, letter = names[index], listing.types[index]
        size, mtime = listing.sizes[index], listing.mtimes[index]
        fingerprint = digits[2 * FINGERPRINT_BYTES * index : 2 * FINGERPRINT_BYTES * (index + 1)]
        if plain and letter == FILE:
            # Nearly all lines: by themselves they take half the time of those below.
            entry = {"path": prefix + name, "type": "file", "size": size}
            entry["mtime"] = time_text(mtime)
            entry |= common
            if fingerprint and fingerprint != _NO_DIGITS:
                entry["fingerprint"] = f"{ALGORITHM}:{fingerprint}"
            yield orjson.dumps(entry)
            continue
        path = join(folder.path, name)
        entry = {"path": prefix + name} if clean else dict[str, Any](path_fields(path, view.base))
        entry["type"] = TYPE_NAMES[letter]
        child = folders.get(path) if letter in CONTAINERS else None
        if letter in (FILE, FILE_LINK):
            entry["size"] = size
        elif child is not None:
            entry["size"] = child.size
        if letter == FILE or (mtime and TYPE_NAMES[letter] == "symlink"):
            entry.update(mtime_fields(mtime))
        elif child is not None and letter == DIRECTORY:
            entry.update(mtime_fields(child.directory.mtime))
        entry.update(common)
        if letter in CONTAINERS:
            category = child.category if child is not None else _category(root, path)
            if category:
                entry["category"] = category
        if letter in _LEADS_TO:
            entry["leads_to"] = _LEADS_TO[letter]
        if name in targets:
            entry.update(text_fields(targets[name], "target"))
        if fingerprint and fingerprint != _NO_DIGITS:
            entry["fingerprint"] = f"{ALGORITHM}:{fingerprint}"
        if view.status and path in view.status:
            entry["status"] = view.status[path]
        alias = _alias_of(folder, name, letter, shared, folders)
        if alias:
            entry.update(path_fields(alias, view.base, "alias_of"))
        yield orjson.dumps(entry)


def _header(view: View, folders: Mapping[str, _Folder]) -> dict[str, Any]:
    counts = _count(folders, view)
    return {
        "schema": SCHEMA,
        "tool": TOOL,
        "generated": time_text(view.generated),
        "scan": view.scan,
        **({} if view.base is None else text_fields(_slashes(view.base), "base")),
        "roots": [
            _root_fields(root, view, folders, count)
            for root, count in zip(view.roots, counts, strict=True)
        ],
        "unreachable": [
            {
                **path_fields(place.path, view.base),
                "error": readable(place.error),
                "since": time_text(place.since),
            }
            for place in view.unreachable
        ],
        "totals": {
            "entries": sum(c.files + c.directories + c.others + c.aliases for c in counts),
            "files": sum(count.files for count in counts),
            "directories": sum(count.directories for count in counts),
            "others": sum(count.others for count in counts),
            "aliases": sum(count.aliases for count in counts),
            "bytes": sum(count.bytes for count in counts),
        },
    }


def _root_fields(
    view_of_root: RootView, view: View, folders: Mapping[str, _Folder], count: _Count
) -> dict[str, Any]:
    root = view_of_root.root
    fields: dict[str, Any] = {
        "id": readable(root.id),
        "kind": root.kind,
        **path_fields(root.path, view.base),
    }
    if root.category:
        fields["category"] = readable(root.category)
    fields["state"] = view_of_root.state
    fields["since"] = time_text(view_of_root.since)
    if view_of_root.filesystem:
        fields["filesystem"] = readable(view_of_root.filesystem)
    if view_of_root.reason:
        fields["reason"] = readable(view_of_root.reason)
    if root.path in folders:
        fields.update(mtime_fields(folders[root.path].directory.mtime))
    return {**fields, "files": count.files, "bytes": count.bytes}


def _rank(root: Root) -> int:
    return KINDS.index(root.kind) if root.kind in KINDS else len(KINDS)


def _category(root: Root, path: str) -> str:
    tail = _tail(path, root.path)
    return readable(category_of(root, tail.split(os.sep) if tail else []))


def _tail(path: str, top: str) -> str:
    """`path` without `top`, which it lies at or below."""
    return path[len(top) :].lstrip(os.sep)


def _prefix(folder: str, base: str | None) -> str:
    """What stands before the names of the entries of `folder`."""
    text = shown(folder, base)
    if text == ".":
        return ""
    return text if text.endswith("/") else text + "/"


def _order(joined: str, names: Sequence[str]) -> Sequence[int]:
    """Indices of the rows in the order in which their shown names sort."""
    if is_utf8(joined):
        return range(len(names))
    return sorted(range(len(names)), key=lambda index: _name_key(names[index]))


_Key = list[tuple[str, str]]
"""What entries are sorted by: each component as it is shown, then as it is."""


def _name_key(name: str) -> tuple[str, str]:
    return readable(name), name


def _key_below(path: str, top: str) -> _Key:
    return [_name_key(name) for name in _tail(path, top).split(os.sep)]


def _root_key(path: str, base: str | None) -> _Key:
    """An absolute POSIX path begins with an empty component and so comes before relative ones."""
    text = (_tail(path, base) or ".") if base is not None and is_below(path, base) else path
    return [_name_key(name) for name in text.split(os.sep)]


def _slashes(path: str) -> str:
    return path if os.sep == "/" else path.replace(os.sep, "/")


# Reading


def _parse_header(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(_HEADER_END):
        return None
    try:
        header = orjson.loads(line + _END)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(header, dict) or not isinstance(header.get("schema"), int):
        return None
    del header["entries"]
    return header


def _header_of(file: BinaryIO, path: str | os.PathLike[str]) -> dict[str, Any]:
    header = _parse_header(file.readline(_LONGEST_HEADER))
    if header is None:
        raise UnreadableInventoryError(f"{_name(path)} is not an inventory")
    if header["schema"] > SCHEMA:
        raise UnreadableInventoryError(
            f"{_name(path)} was written by a newer version (schema {header['schema']}, "
            f"this version reads up to {SCHEMA})"
        )
    return header


def _parse_entries(file: BinaryIO, path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The entries after line 1. A file without its last line was cut off, and is damaged."""
    number = 1
    for line in file:
        number += 1
        if line == _END:
            if file.read(1):
                break
            return
        try:
            entry = orjson.loads(line[:-2] if line.endswith(b",\n") else line)
        except orjson.JSONDecodeError:
            break
        if not isinstance(entry, dict):
            break
        yield entry
    raise UnreadableInventoryError(f"{_name(path)} is damaged at line {number}")


class _Columns:
    """A listing that grows row by row, in any order."""

    def __init__(self) -> None:
        self.mtime = 0
        self._names: list[str] = []
        self._types: list[str] = []
        self._sizes = array("q")
        self._mtimes = array("q")
        self._targets: list[tuple[str, str]] = []
        self._fingerprints: dict[str, bytes] = {}

    def add(self, name: str, entry: Mapping[str, Any]) -> str:
        """Add a row, and return its type. Raises KeyError, TypeError, ValueError, OverflowError."""
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
    prefix, parent = "", _Columns()
    entry: Mapping[str, Any] = header
    try:
        base = base_of(header)
        for entry in header["roots"]:
            if "mtime" in entry or "mtime_ns" in entry:
                root = columns.setdefault(native(entry, base), _Columns())
                root.mtime = mtime_of(entry)
        for entry in entries:
            text = entry["path"]
            before, _, name = text.rpartition("/")
            path = ""
            if "path_b64" in entry or before != prefix or not prefix:
                path = native(entry, base)
                folder, name = os.path.split(path)
                parent = columns.setdefault(folder, _Columns())
                prefix = "" if "path_b64" in entry else before
            letter = parent.add(name, entry)
            if letter in CONTAINERS and "size" in entry:
                child = columns.setdefault(path or native(entry, base), _Columns())
                child.mtime = mtime_of(entry) if letter == DIRECTORY else 0
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UnreadableInventoryError(
            f"the inventory is damaged at {readable(str(entry.get('path', 'its header')))!r}: "
            f"{type(error).__name__}"
        ) from error
    snapshot: Snapshot = {}
    while columns:
        path = next(iter(columns))
        snapshot[path] = columns.pop(path).directory()
    return snapshot
