"""The file behind an entry: where links lead to, and which entries lead to the same file.

A file is read once, at one path, whatever leads to it (rule 11): links are read where they end,
through the worker of that mount, and hard links at the first of their paths.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

from scanner.core.link_ends import MOST_LINKS, LinkEnds
from scanner.core.paths import join
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, FILE_LINK, Directory, Row
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.service.reading import Source
from scanner.walk.fingerprints import PATIENCE

READABLE = frozenset((FILE, FILE_LINK))
"""Types of entries that have content."""


class Found(NamedTuple):
    """An entry, and its fingerprint; empty if that is not known."""

    row: Row
    fingerprint: bytes


class RealFiles:
    """The files behind the entries of the snapshot. Only the thread of its reader uses it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.begin()

    def begin(self) -> None:
        """Start a run: the snapshot may have changed since the last one."""
        self._snapshot = self._source.store.snapshot
        self._ends = LinkEnds(self._snapshot)
        self._mounts = self._source.files.mounts()
        self._hard_links: tuple[str, frozenset[str]] = ("", frozenset())
        self._first: dict[tuple[int, int], str] | None = None
        self._names: dict[str, list[str]] | None = None

    def paths(self, entries: Iterable[str]) -> dict[str, str]:
        """The path at which the content of each of `entries` is read; for nearly all their own."""
        names: defaultdict[str, list[str]] = defaultdict(list)
        for path in entries:
            folder, name = os.path.split(path)
            names[folder].append(name)
        found: dict[str, str] = {}
        for folder, wanted in names.items():
            directory = self._snapshot.get(folder)
            end = self._ends.end(folder, "")
            found.update((path, path) for path in (join(folder, name) for name in wanted))
            if directory is None or (end == folder and not _has_other_names(directory)):
                continue
            rows = {row.name: row for row in directory.listing.rows()}
            for name in wanted:
                if name in rows:
                    found[join(folder, name)] = self._path(folder, end, directory, rows[name])
        return found

    def _path(self, folder: str, end: str, directory: Directory, row: Row) -> str:
        """The path at which a row of `folder` is read, which lies at `end`."""
        own = join(folder, row.name)
        if row.type == FILE_LINK:
            return self._first_name(self._follow(own))
        if row.name in self._hard_links_in(folder, directory):
            return self._first_name(own)
        if end == folder:
            return own
        real = self.listed(join(end, row.name))
        is_same = real is not None and (real.size, real.mtime) == (row.size, row.mtime)
        return join(end, row.name) if is_same else own

    def listed(self, path: str) -> Row | None:
        """The row of the file at `path`, which is no link; None if none is listed."""
        folder, name = os.path.split(path)
        row = _row_of(self._snapshot.get(folder), name)
        return row if row is not None and row.type == FILE else None

    def entry(self, path: str) -> Found | None:
        """The row and the fingerprint of the entry at `path`; None if it is not listed."""
        folder, name = os.path.split(path)
        directory = self._snapshot.get(folder)
        row, index = _row_of(directory, name), _index_of(directory, name)
        if directory is None or row is None or index is None:
            return None
        return Found(row, directory.fingerprint(index))

    def others(self, real: str) -> list[str]:
        """All entries that are read at the path `real`, without those below links to folders."""
        if self._names is None:
            names: defaultdict[str, list[str]] = defaultdict(list)
            for folder, directory in list(self._snapshot.items()):
                for row in _rows_with_other_names(directory):
                    path = self._path(folder, folder, directory, row)
                    names[path].append(join(folder, row.name))
            self._names = dict(names)
        found = self._names.get(real, [])
        return found if real in found or self.listed(real) is None else [real, *found]

    def fingerprint(self, real: str, size: int, mtime: int) -> bytes:
        """The fingerprint of the file at `real` if an entry that leads there has it, or nothing."""
        for path in self.others(real):
            folder, name = os.path.split(path)
            directory = self._snapshot.get(folder)
            index = _index_of(directory, name)
            if directory is None or index is None:
                continue
            listing, fingerprint = directory.listing, directory.fingerprint(index)
            if fingerprint and (listing.sizes[index], listing.mtimes[index]) == (size, mtime):
                return fingerprint
        return b""

    def _follow(self, path: str) -> str:
        """The path without links that `path` leads to, also through links that are not listed.
        Links on mounts that may hang are followed by what their listings say."""
        for _ in range(MOST_LINKS):
            listed = self._ends.end(*os.path.split(path))
            path = locate(listed, self._mounts, self._source.files.read_link).path
            if path == listed:
                break
        return path

    def _first_name(self, path: str) -> str:
        """The first path of the file at `path`, if that has hard links."""
        folder, name = os.path.split(path)
        directory = self._snapshot.get(folder)
        if directory is None or name not in self._hard_links_in(folder, directory):
            return path
        row = _row_of(directory, name)
        if self._first is None:
            self._first = {}
            for above, other in sorted(self._snapshot.items(), key=itemgetter(0)):
                if other.listing.hard_links:
                    for twin in _rows_with_other_names(other):
                        if twin.type == FILE and twin.inode:
                            key = other.device, twin.inode
                            self._first.setdefault(key, join(above, twin.name))
        return path if row is None else self._first.get((directory.device, row.inode), path)

    def _hard_links_in(self, folder: str, directory: Directory) -> frozenset[str]:
        if not directory.listing.hard_links:
            return frozenset()
        if self._hard_links[0] != folder:
            self._hard_links = folder, frozenset(directory.listing.hard_links)
        return self._hard_links[1]


def _index_of(directory: Directory | None, name: str) -> int | None:
    names = [] if directory is None else directory.listing.split_names()
    index = bisect_left(names, name)
    return index if index < len(names) and names[index] == name else None


def _row_of(directory: Directory | None, name: str) -> Row | None:
    index = _index_of(directory, name)
    if directory is None or index is None:
        return None
    listing = directory.listing
    inode = listing.inodes[index] if len(listing.inodes) else 0
    return Row(name, listing.types[index], listing.sizes[index], listing.mtimes[index], inode)


def _rows_with_other_names(directory: Directory) -> Iterator[Row]:
    """The links to files, and the files with hard links."""
    if _has_other_names(directory):
        hard_links = frozenset(directory.listing.hard_links)
        for row in directory.listing.rows():
            if row.type == FILE_LINK or (row.type == FILE and row.name in hard_links):
                yield row


def _has_other_names(directory: Directory) -> bool:
    return bool(directory.listing.hard_links) or FILE_LINK in directory.listing.types


def has_no_content(row: Row) -> bool:
    """True if a row is no file, no link to one, or a link to this program's own files, which are
    listed without size and time (rule 11)."""
    return row.type not in READABLE or (row.type == FILE_LINK and not row.size and not row.mtime)


def identity_of(is_link: bool, real: str, identity: bytes | None) -> bytes | None:
    """`MetadataUpdate.identity` of an entry that is read at `real`, in a file of this identity."""
    return os.fsencode(real) if is_link else identity or None


def patience_for(
    source: Source, own: Callable[[], Collection[Root]] | None
) -> Callable[[Mount], float | None]:
    """Seconds to wait for an answer of a mount: None, for the usual ones, on the mounts of `own`
    zones, or all; little on others, which a lane must not wait for (rule 3)."""
    zones, mounts = source.zones(), source.files.mounts()
    ours = {zones.mount_of(zone, mounts) for zone in (zones.all if own is None else own())}
    return lambda mount: None if mount in ours else PATIENCE
