"""Listings: the entries of directories at one moment, in columns. Snapshots are made of them.

A listing keeps one string of sorted names and one array each of sizes and mtimes, not an object
per file: an unchanged directory then compares at C speed, and a million files take some 80 MB
where a dictionary of tuples takes 280.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, count
from operator import ne
from typing import NamedTuple

from scanner.core.paths import join


def carried_fingerprints(old: Directory, new: Directory) -> bytes:
    """Fingerprints of `old` for the rows of `new` that are unchanged, by name.

    A row whose inode changed is another file, even of equal size and mtime: its fingerprint is
    forgotten and taken again.
    """
    if not old.fingerprints:
        return b""
    if (
        old.listing.names == new.listing.names
        and old.listing.types == new.listing.types
        and FILE_LINK not in new.listing.types
    ):
        return _carried_in_place(old, new.listing)
    known = {
        row: old.fingerprint(index) for index, row in enumerate(_keys(old.listing, new.listing))
    }
    carried = b"".join(
        known.get(row) or UNKNOWN_FINGERPRINT for row in _keys(new.listing, old.listing)
    )
    return carried if any(carried) else b""


def _carried_in_place(old: Directory, new: Listing) -> bytes:
    """The same where the names and types are equal: only the rows that changed are touched."""
    changed = set(unequal_rows(old.listing, new))
    if len(old.listing.inodes) and len(new.inodes):
        changed.update(unequal_places(old.listing.inodes, new.inodes))
    if not changed:
        return old.fingerprints
    carried = bytearray(old.fingerprints)
    for row in changed:
        carried[row * FINGERPRINT_BYTES : (row + 1) * FINGERPRINT_BYTES] = UNKNOWN_FINGERPRINT
    return bytes(carried) if any(carried) else b""


def _keys(listing: Listing, other: Listing) -> list[Row | tuple[Row, str]]:
    """Rows of `listing`; without inodes where `other` has none. Links to files count by their
    texts: programs remove their links and make them again."""
    if not len(other.inodes):
        listing = replace(listing, inodes=array("I"))
    if FILE_LINK not in listing.types:
        return list(listing.rows())
    texts = dict(listing.targets)
    return [
        (row._replace(inode=0), texts.get(row.name, "")) if row.type == FILE_LINK else row
        for row in listing.rows()
    ]


FILE = "f"

DIRECTORY = "d"

FILE_LINK = "l"

DIRECTORY_LINK = "m"

BROKEN_LINK = "b"

OTHER = "o"

FOREIGN_LINK = "x"
"""A link whose target lies on another mount: only that mount's worker may look at it, so a listing
says no more, and no snapshot keeps it."""

TYPE_NAMES = {
    FILE: "file",
    DIRECTORY: "directory",
    FILE_LINK: "symlink",
    DIRECTORY_LINK: "symlink",
    BROKEN_LINK: "symlink",
    OTHER: "other",
}
"""One letter per entry in a listing's `types`, and the word that readers see for it."""

CONTAINERS = frozenset((DIRECTORY, DIRECTORY_LINK))
"""Types with entries below them: their listings stand in the snapshot under the same path."""

_PART = 32
"""Rows of two columns that are compared at a time."""

FINGERPRINT_BYTES = 16

UNKNOWN_FINGERPRINT = bytes(FINGERPRINT_BYTES)


class Row(NamedTuple):
    """One entry of a listing.

    `size` in bytes and `mtime` in nanoseconds since 1970; both are those of the target for a link
    to a file. Size is 0 for everything but files and links to files; mtime is 0 for directories
    and special files (their own times are no part of what is compared, design rule 7).
    """

    name: str
    type: str
    size: int
    mtime: int
    inode: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of one directory at one moment: parallel columns, sorted by name."""

    names: str = ""
    """The names, sorted by code point and joined by NUL. Bytes that are not UTF-8 are kept as
    surrogate escapes, as `os.fsdecode` gives them."""
    types: str = ""
    sizes: array[int] = field(default_factory=lambda: array("I"))
    """As `narrow` gives them, and so are `inodes`."""
    mtimes: array[int] = field(default_factory=lambda: array("q"))
    inodes: array[int] = field(default_factory=lambda: array("I"))
    """Empty where inodes of this mount are not stable."""
    targets: tuple[tuple[str, str], ...] = ()
    """(name, text of the link) for every link, sorted by name."""
    unstatted: tuple[str, ...] = ()
    """Names that the directory listed but whose stat failed: they prove neither presence of
    anything new nor absence of anything known (design rule 1). They stand in no column, but for
    links that could be read and whose target could not."""
    hard_links: tuple[str, ...] = ()
    """Sorted names of the files that further names lead to, in this directory or another one: empty
    where inodes of this mount are not stable."""
    _bytes: int = field(default=-1, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.types)

    def split_names(self) -> list[str]:
        """The names as a list."""
        return self.names.split("\0") if self.names else []

    def rows(self) -> Iterator[Row]:
        """The entries one by one, sorted by name."""
        inodes: Iterable[int] = self.inodes if len(self.inodes) else (0,) * len(self.types)
        return map(Row, self.split_names(), self.types, self.sizes, self.mtimes, inodes)

    @property
    def bytes(self) -> int:
        """Sum of the sizes, computed once: every walk asks for it."""
        if self._bytes < 0:
            object.__setattr__(self, "_bytes", sum(self.sizes))
        return self._bytes

    def with_rows(
        self, rows: Iterable[Row], targets: Iterable[tuple[str, str]] | None = None
    ) -> Listing:
        """A listing of `rows` with what this one says besides: of links, unless `targets` are
        given, of names without a stat, and of hard links."""
        rows = list(rows)
        names = {row.name for row in rows}
        return listing_of(
            rows,
            targets=self.targets if targets is None else targets,
            unstatted=self.unstatted,
            hard_links=names.intersection(self.hard_links),
        )

    @property
    def has_containers(self) -> bool:
        """True if any entry has entries below it."""
        return DIRECTORY in self.types or DIRECTORY_LINK in self.types

    def containers(self) -> Iterator[int]:
        """Indices of the rows that have entries below them."""
        found: list[int] = []
        for letter in CONTAINERS:
            row = self.types.find(letter)
            while row >= 0:
                found.append(row)
                row = self.types.find(letter, row + 1)
        return iter(sorted(found))

    def named_containers(self) -> Iterator[tuple[str, str]]:
        """(name, type) of the entries that have entries below them, sorted by name."""
        if self.has_containers:
            names = self.split_names()
            for index in self.containers():
                yield names[index], self.types[index]


def listing_of(
    rows: Iterable[Row],
    *,
    targets: Iterable[tuple[str, str]] = (),
    unstatted: Iterable[str] = (),
    hard_links: Iterable[str] = (),
) -> Listing:
    """Columns of `rows`, sorted by name."""
    ordered = sorted(rows)
    if not ordered:
        return Listing(targets=tuple(sorted(targets)), unstatted=tuple(sorted(unstatted)))
    names, types, sizes, mtimes, inodes = zip(*ordered, strict=True)
    return Listing(
        "\0".join(names),
        sys.intern("".join(types)),
        narrow(sizes, "q"),
        array("q", mtimes),
        narrow(inodes if any(inodes) else (), "Q"),
        tuple(sorted(targets)),
        tuple(sorted(unstatted)),
        tuple(sorted(hard_links)),
    )


def narrow(numbers: Sequence[int], wide: str) -> array[int]:
    """A column with four bytes for each number if all fit, else with the eight of type `wide`.
    Columns of equal numbers are equal, whatever their width."""
    try:
        return array("I", numbers)
    except OverflowError:
        return array(wide, numbers)


def narrow_from(blob: bytes, count: int, wide: str) -> array[int]:
    """The column of `count` numbers that has these bytes."""
    return column_from(blob, "I" if len(blob) in (0, 4 * count) else wide)


def column_from(blob: bytes, kind: str) -> array[int]:
    """The column of type `kind` that has these bytes. The slice is a copy without the room to grow
    that `array` leaves where it reads bytes."""
    return array(kind, blob)[:]


_SHARED: dict[int, int] = {}


def shared(device: int) -> int:
    """`device`, as the same object each time: all directories of a mount have the same one."""
    return _SHARED.setdefault(device, device)


NO_NAMES: frozenset[str] = frozenset()
"""Every other empty set takes 216 bytes, and nearly every directory has one."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the snapshot: its last complete listing and what is known of itself."""

    listing: Listing
    mtime: int = 0
    """Its own mtime in nanoseconds, taken before it was listed."""
    device: int = 0
    inode: int = 0
    ignored: frozenset[str] = NO_NAMES
    """Names left out by ignore rules, directories with a trailing slash: each name was matched
    once, when it was first seen."""
    fingerprints: bytes = b""
    """16 bytes for each row of the listing, zeros where unknown; empty where none is known."""
    ctime: int | None = None
    """Its own ctime in nanoseconds, taken with `mtime`: nobody can put it back. None if unknown."""

    def has_same_times(self, mtime: int, ctime: int | None, device: int, inode: int) -> bool:
        """True if these are its own times, and its own identity where inodes are stable. An
        unknown ctime is equal to none."""
        if self.mtime != mtime or self.ctime is None or self.ctime != ctime:
            return False
        return not self.inode or (self.device == device and self.inode == inode)

    def has_times_of(self, other: Directory) -> bool:
        """True if its times and identity are those of `other`, as far as these are known."""
        times = (self.mtime, self.device, self.inode)
        if times != (other.mtime, other.device, other.inode):
            return False
        return None in (self.ctime, other.ctime) or self.ctime == other.ctime

    def all_names(self) -> set[str]:
        """Every name that the listing met, also those without a row."""
        return {
            *self.listing.split_names(),
            *self.listing.unstatted,
            *(name.removesuffix("/") for name in self.ignored),
        }

    def fingerprint(self, index: int) -> bytes:
        """Fingerprint of row `index`; empty where unknown."""
        start = index * FINGERPRINT_BYTES
        value = self.fingerprints[start : start + FINGERPRINT_BYTES]
        return b"" if value == UNKNOWN_FINGERPRINT else value

    def with_fingerprints(self, found: dict[str, bytes]) -> Directory:
        """The same directory with the fingerprints in `found` (by name) set; empty clears."""
        blob = bytearray(self.fingerprints or bytes(FINGERPRINT_BYTES * len(self.listing)))
        for index, name in enumerate(self.listing.split_names()):
            if name in found:
                start = index * FINGERPRINT_BYTES
                blob[start : start + FINGERPRINT_BYTES] = found[name] or UNKNOWN_FINGERPRINT
        return replace(self, fingerprints=bytes(blob) if any(blob) else b"")


class Entry(NamedTuple):
    """One entry of a snapshot by itself, as compare and moves speak of it."""

    path: str
    type: str
    size: int
    mtime: int
    inode: int = 0
    device: int = 0
    fingerprint: bytes = b""


Snapshot = dict[str, Directory]
"""Directories by absolute lexical path: the listings last committed."""


def directories_below(
    snapshot: Mapping[str, Directory], top: str
) -> Iterator[tuple[str, Directory]]:
    """`top` and every directory below it that the snapshot holds, sorted by path components."""
    stack = [top]
    while stack:
        path = stack.pop()
        directory = snapshot.get(path)
        if directory is None:
            continue
        yield path, directory
        below = [join(path, name) for name, _ in directory.listing.named_containers()]
        stack.extend(reversed(below))


def is_link(snapshot: Mapping[str, Directory], path: str) -> bool:
    """True if the folder above lists `path` as a link to a folder."""
    above, name = os.path.split(path)
    holder = snapshot.get(above)
    return holder is not None and (name, DIRECTORY_LINK) in holder.listing.named_containers()


def is_empty(directory: Directory) -> bool:
    """True if the folder lists nothing at all, ignored names included."""
    return not (len(directory.listing) or directory.listing.unstatted or directory.ignored)


def entries_of(path: str, directory: Directory) -> Iterator[Entry]:
    """The entries that stand directly in `directory`, sorted by name. Only files have their
    fingerprint: that of a link is its target's, and proves nothing of the link."""
    for index, row in enumerate(directory.listing.rows()):
        yield Entry(
            join(path, row.name),
            row.type,
            row.size,
            row.mtime,
            row.inode,
            directory.device,
            directory.fingerprint(index) if directory.fingerprints and row.type == FILE else b"",
        )


def entries_at(path: str, directory: Directory, rows: Iterable[int]) -> Iterator[Entry]:
    """The entries of some rows of `directory`, as `entries_of` gives them."""
    listing = directory.listing
    names = listing.split_names()
    for row in rows:
        is_file = listing.types[row] == FILE
        yield Entry(
            join(path, names[row]),
            listing.types[row],
            listing.sizes[row],
            listing.mtimes[row],
            listing.inodes[row] if len(listing.inodes) else 0,
            directory.device,
            directory.fingerprint(row) if directory.fingerprints and is_file else b"",
        )


def unequal_rows(old: Listing, new: Listing) -> list[int]:
    """The rows of two listings of the same names whose type, size or mtime differ."""
    unequal: set[int] = set()
    if old.types != new.types:
        unequal.update(compress(count(), map(ne, old.types, new.types)))
    for was, is_ in ((old.sizes, new.sizes), (old.mtimes, new.mtimes)):
        if was != is_:
            unequal.update(unequal_places(was, is_))
    return sorted(unequal)


def unequal_places(old: array[int], new: array[int]) -> Iterable[int]:
    """The places at which two columns of equal length differ. Of long ones only the parts that do
    become numbers."""
    if len(old) <= _PART:
        return compress(count(), map(ne, old, new))
    return (
        place
        for start in range(0, len(old), _PART)
        if (was := old[start : start + _PART]) != (is_ := new[start : start + _PART])
        for place in compress(count(start), map(ne, was, is_))
    )


def project(
    snapshot: Mapping[str, Directory], tops: Iterable[str]
) -> dict[str, tuple[str, int, int]]:
    """The values that the change list must reproduce (rule 7): path -> (type, size, mtime).

    Size and mtime are 0 for everything but files and links.
    """
    found: dict[str, tuple[str, int, int]] = {}
    for top in tops:
        for path, directory in directories_below(snapshot, top):
            for entry in entries_of(path, directory):
                found[entry.path] = (TYPE_NAMES[entry.type], entry.size, entry.mtime)
    return found
