"""Rows of the database, and the values that they hold: directories, memory, node packs.

Paths and names are BLOBs, since they may hold bytes that are not UTF-8. The functions that decode
raise ValueError, TypeError or AttributeError if a row contradicts itself, or has a value of another
type: SQLite keeps whatever it is given.
"""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import os
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scanner.core.memory import Gone, Hold, RootRecord, UnreachableFolder, Unsettled
from scanner.core.mount_identity import identity_from
from scanner.core.packs import Pack
from scanner.core.roots import KINDS, SearchedFolder
from scanner.core.serialize import readable
from scanner.core.snapshot import (
    FINGERPRINT_BYTES,
    NO_NAMES,
    TYPE_NAMES,
    Directory,
    Entry,
    Listing,
    narrow_from,
)

Row = tuple[object, ...]

_LETTERS = "".join(TYPE_NAMES).encode("ascii")

_ENCODING = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def directory_row(path: str, directory: Directory) -> Row:
    """The row of one directory."""
    listing = directory.listing
    extra = b""
    if listing.targets or listing.unstatted or directory.ignored or listing.hard_links:
        # NUL cannot be part of a name, so it separates; an empty part separates the four lists.
        extra = b"\0\0".join(
            os.fsencode("\0".join(items))
            for items in (
                [text for pair in listing.targets for text in pair],
                listing.unstatted,
                sorted(directory.ignored),
                listing.hard_links,
            )
        )
    return (
        os.fsencode(path),
        os.fsencode(listing.names),
        listing.types.encode("ascii"),
        listing.sizes.tobytes(),
        listing.mtimes.tobytes(),
        listing.inodes.tobytes(),
        directory.fingerprints,
        directory.mtime,
        *_signed((directory.device, directory.inode)),
        extra,
        directory.ctime,
    )


def directory_from(row: Sequence[Any]) -> Directory:
    """Inverse of `directory_row`, but for the path."""
    _, names, types, sizes, mtimes, inodes, fingerprints, mtime, device, inode, extra, ctime = row
    count = len(types)
    if types.translate(None, _LETTERS):
        raise ValueError("unknown types")
    targets, unstatted, ignored, hard_links = _lists_in(extra) if extra else _NO_LISTS
    listing = Listing(
        names.decode(*_ENCODING),
        sys.intern(types.decode("ascii")),
        narrow_from(sizes, count, "q"),
        array("q", mtimes),
        narrow_from(inodes, count, "Q"),
        tuple(zip(targets[::2], targets[1::2], strict=True)) if targets else (),
        tuple(unstatted),
        tuple(hard_links),
    )
    named = names.count(b"\0") + 1 if names else 0
    lengths = (named, len(listing.sizes), len(listing.mtimes))
    if lengths != (count, count, count) or len(listing.inodes) not in (0, count):
        raise ValueError("columns of unequal length")
    if len(fingerprints) not in (0, count * FINGERPRINT_BYTES):
        raise ValueError("fingerprints of unequal length")
    return Directory(
        listing,
        int(mtime),
        int(device) % 2**64,
        int(inode) % 2**64,
        frozenset(ignored) if ignored else NO_NAMES,
        bytes(fingerprints),
        None if ctime is None else int(ctime),
    )


_NO_LISTS: tuple[Sequence[str], ...] = ((), (), (), ())


def _lists_in(extra: bytes) -> Sequence[Sequence[str]]:
    """The four lists of the column `extra`: what links lead to, and names of three kinds."""
    lists = [os.fsdecode(part).split("\0") if part else [] for part in extra.split(b"\0\0")]
    if len(lists) == 3:
        lists.append([])  # earlier versions did not look for hard links
    return lists


def gone_row(path: str, gone: Gone) -> Row:
    """The row of a file that was reported deleted."""
    entry = gone.entry
    return (
        os.fsencode(path),
        gone.time,
        entry.type,
        entry.size,
        entry.mtime,
        *_signed((entry.inode, entry.device)),
        entry.fingerprint,
    )


def gone_from(row: Sequence[Any]) -> Gone:
    """Inverse of `gone_row`."""
    path, time, letter, size, mtime, inode, device, fingerprint = typed(
        row, bytes, int, str, int, int, int, int, bytes
    )
    if letter not in TYPE_NAMES or len(fingerprint) not in (0, FINGERPRINT_BYTES):
        raise ValueError("not a row of a file")
    inode, device = _unsigned((inode, device))
    return Gone(time, Entry(os.fsdecode(path), letter, size, mtime, inode, device, fingerprint))


def arrived_row(path: str, time: int) -> Row:
    """The row of a file that arrived."""
    return os.fsencode(path), time


def arrived_from(row: Sequence[Any]) -> int:
    """Inverse of `arrived_row`, but for the path."""
    _, time = typed(row, bytes, int)
    return int(time)


def unsettled_row(path: str, seen: Unsettled) -> Row:
    """The row of a file that still changes."""
    return (os.fsencode(path), *seen)


def unsettled_from(row: Sequence[Any]) -> Unsettled:
    """Inverse of `unsettled_row`, but for the path."""
    return Unsettled(*typed(row, bytes, int, int, int)[1:])


def unreachable_row(path: str, folder: UnreachableFolder) -> Row:
    """The row of a folder that answers with an error."""
    return os.fsencode(path), readable(folder.error), folder.since


def unreachable_from(row: Sequence[Any]) -> UnreachableFolder:
    """Inverse of `unreachable_row`, but for the path."""
    return UnreachableFolder(*typed(row, bytes, str, int)[1:])


def hold_row(root: str, hold: Hold) -> Row:
    """The row of a hold."""
    return (
        os.fsencode(root),
        hold.kind,
        hold.since,
        hold.files,
        hold.bytes,
        int(hold.needs_accept),
        paths_blob(hold.paths),
        None if hold.started is None else float(hold.started),
        hold.boot,
    )


def hold_from(row: Sequence[Any]) -> Hold:
    """Inverse of `hold_row`. A row of an older version does not say when the hold began by the
    monotonic clock."""
    root, kind, since, files, bytes_, needs_accept, paths = typed(
        row[:7], bytes, str, int, int, int, int, bytes
    )
    started, boot = (None, None) if None in row[7:] else typed(row[7:], float, str)
    return Hold(
        os.fsdecode(root),
        kind,
        since,
        None if started is None else float(started),
        paths_from(paths),
        files,
        bytes_,
        bool(needs_accept),
        boot or "",
    )


def root_row(id_: str, record: RootRecord) -> Row:
    """The row of a root, or of a mount below one."""
    identity = record.mount_identity
    text = "" if identity is None else identity.as_text()
    return os.fsencode(id_), json.dumps({**vars(record), "mount_identity": text})


def root_from(text: str) -> RootRecord:
    """The record in a row of `root_row`."""
    values: dict[str, Any] = json.loads(text)
    searched = values.pop("searched", [])  # rows of older versions lack it
    _check_fields(values, RootRecord.__annotations__)
    if values["kind"] not in KINDS:
        raise ValueError("not a kind of roots")
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    record = RootRecord(**plain)
    record.mount_identity = identity_from(values.get("mount_identity", ""))
    record.searched = tuple(SearchedFolder(*typed(row, str, int, str)) for row in searched)
    return record


def pack_row(path: str, pack: Pack) -> Row:
    """The row of a node pack."""
    return os.fsencode(path), json.dumps(pack._asdict())


def pack_from(text: str) -> Pack:
    """The pack in a row of `pack_row`."""
    values: dict[str, Any] = json.loads(text)
    _check_fields(values, Pack.__annotations__)
    return Pack(**values)


_JSON_TYPES = {"bool": bool, "int": int}


def _check_fields(values: dict[str, Any], annotations: Mapping[str, Any]) -> None:
    """Raise ValueError or TypeError if a value is not of the type that its annotation names: a
    number, a flag, a list of texts or a text."""
    for name, value in values.items():
        words = str(getattr(annotations[name], "__forward_arg__", annotations[name]))
        if value is None and words.endswith("None"):
            continue
        if words.startswith("tuple"):
            typed(value, *[str] * len(value))
        elif type(value) is not _JSON_TYPES.get(words, str):
            raise ValueError(f"{name} is not of the type {words}")


def typed(row: Sequence[Any], *types: type) -> Sequence[Any]:
    """`row`, whose values have exactly these types; ValueError if they have not."""
    for value, expected in zip(row, types, strict=True):
        if type(value) is not expected:
            raise ValueError(f"expected {expected.__name__}, not {type(value).__name__}")
    return row


def paths_blob(paths: Iterable[str]) -> bytes:
    """Several paths in one column."""
    return os.fsencode("\0".join(sorted(paths)))


def paths_from(blob: bytes) -> frozenset[str]:
    """Inverse of `paths_blob`."""
    return frozenset(os.fsdecode(blob).split("\0")) if blob else frozenset()


def _signed(numbers: Iterable[int]) -> list[int]:
    """SQLite's integers are signed 64 bits, inode and device numbers are not."""
    return [number - 2**64 if number >= 2**63 else number for number in numbers]


def _unsigned(numbers: Iterable[Any]) -> list[int]:
    return [int(number) % 2**64 for number in numbers]
