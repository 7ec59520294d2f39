"""Files of equal size, in columns: a million of them take a few bytes each."""

from __future__ import annotations

import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from itertools import compress, groupby, islice, pairwise, repeat, takewhile
from operator import and_, eq, gt

from scanner.commands.duplicates.real_paths import RealPaths
from scanner.commands.duplicates.sets import Copy
from scanner.core.memory import RootRecord, roots_of
from scanner.core.paths import is_below, join
from scanner.core.roots import KINDS, Root, category_in, owner_of
from scanner.core.snapshot import FILE, FILE_LINK, FINGERPRINT_BYTES, UNKNOWN_FINGERPRINT, Directory

_MOST_NAMES = 64
"""Size of the cache of split name lists; one per folder would outweigh all other data."""

_Rank = tuple[int, bool, list[str]]


class _Files:
    """Files of a size that others have too.

    In columns, since in the worst case that is all of a million: a file is the number of a row.
    """

    def __init__(
        self,
        snapshot: Mapping[str, Directory],
        roots: Sequence[RootRecord],
        least: int,
        skip: Set[str],
    ) -> None:
        self.folders: list[str] = []
        self.directories: list[Directory] = []
        self._folder = array("I")
        self._index = array("I")
        self._sizes = array("q")
        self._inodes = array("Q")
        """0 where unknown."""
        self._fingerprints = bytearray()
        self._links: dict[int, list[int]] = {}
        """Further rows of the same file, by the one that stands for it; of the present group."""
        self._snapshot = snapshot
        self._tops = roots_of(roots)
        self._places = RealPaths(snapshot, roots)
        self._fill(least, skip)
        self._shared = self._shared_places()
        self._names: dict[int, list[str]] = {}
        """Split name lists of the folders that were used last."""

    def _fill(self, least: int, skip: Set[str]) -> None:
        repeated = _repeated_sizes(self._snapshot, least)
        skipped: defaultdict[str, set[str]] = defaultdict(set)
        for path in skip:
            folder, name = os.path.split(path)
            skipped[folder].add(name)
        for folder, directory in self._snapshot.items():
            listing = directory.listing
            if repeated.isdisjoint(listing.sizes) or owner_of(folder, self._tops) is None:
                continue
            wanted = list(map(repeated.__contains__, listing.sizes))
            if listing.types.count(FILE) != len(listing):
                wanted = list(map(and_, wanted, map(FILE.__eq__, listing.types)))
            if folder in skipped:
                left_out = map(skipped[folder].__contains__, listing.split_names())
                wanted = list(map(gt, wanted, left_out))
            self._add(folder, directory, list(compress(range(len(listing)), wanted)))

    def _add(self, folder: str, directory: Directory, rows: list[int]) -> None:
        listing, known = directory.listing, directory.fingerprints
        self._folder.extend(repeat(len(self.folders), len(rows)))
        self._index.extend(rows)
        self._sizes.extend(map(listing.sizes.__getitem__, rows))
        inodes = listing.inodes
        self._inodes.extend(map(inodes.__getitem__, rows) if inodes else repeat(0, len(rows)))
        starts = (row * FINGERPRINT_BYTES for row in rows)
        self._fingerprints += (
            b"".join(known[start : start + FINGERPRINT_BYTES] for start in starts)
            if known
            else bytes(len(rows) * FINGERPRINT_BYTES)
        )
        self.folders.append(folder)
        self.directories.append(directory)

    def _shared_places(self) -> dict[int, str]:
        """Folders that seem to be one and the same, each with where it really is.

        Needed only where inodes do not tell.
        """
        if all(len(directory.listing.inodes) for directory in self.directories):
            return {}
        places = list(map(self._places.place, self.folders))
        counts = Counter(places)
        return {number: place for number, place in enumerate(places) if counts[place] > 1}

    # One row

    def folder(self, row: int) -> str:
        """Absolute path of the folder that lists it."""
        return self.folders[self._folder[row]]

    def path(self, row: int) -> str:
        """Absolute path."""
        return join(self.folder(row), self._name(row))

    def paths(self, rows: Iterable[int]) -> list[str]:
        """Absolute paths."""
        return [self.path(row) for row in rows]

    def mtime(self, row: int) -> int:
        """Nanoseconds since 1970."""
        return self.directories[self._folder[row]].listing.mtimes[self._index[row]]

    def _name(self, row: int) -> str:
        folder = self._folder[row]
        names = self._names.get(folder)
        if names is None:
            if len(self._names) == _MOST_NAMES:
                del self._names[next(iter(self._names))]
            names = self._names[folder] = self.directories[folder].listing.split_names()
        return names[self._index[row]]

    def _fingerprint(self, row: int) -> bytes:
        start = row * FINGERPRINT_BYTES
        return bytes(self._fingerprints[start : start + FINGERPRINT_BYTES])

    # One file

    def rows(self, file: int) -> list[int]:
        """All rows of a file of the present group."""
        return [file, *self._links.get(file, ())]

    def is_of_one_moment(self, file: int) -> bool:
        """True if all paths of a file of the present group were listed with the same mtime."""
        return file not in self._links or len(set(map(self.mtime, self.rows(file)))) == 1

    def _fingerprint_of(self, file: int) -> bytes:
        """The fingerprint of a file by all of its paths; unknown if they contradict each other."""
        if file not in self._links:
            return self._fingerprint(file)
        known = set(map(self._fingerprint, self.rows(file))) - {UNKNOWN_FINGERPRINT}
        if len(known) == 1 and self.is_of_one_moment(file):
            return known.pop()
        return UNKNOWN_FINGERPRINT

    def copy(self, file: int, hashed: bool) -> Copy:
        """The file as a copy in a set."""
        rows = sorted(self.rows(file), key=self._rank)
        folder = self.folder(rows[0])
        root = self._root(folder)
        paths = self.paths(rows)
        links = set(paths[1:])
        if self._file_links:
            size, mtime = self._sizes[file], self.mtime(file)
            for row in rows:
                place = join(self._places.place(self.folder(row)), self._name(row))
                # A link that was listed at another moment than the file says nothing yet.
                links |= self._file_links.get((place, size, mtime), set())
        return Copy(
            paths[0],
            root.id,
            category_in(root, folder),
            self.mtime(file),
            tuple(sorted(links)),
            hashed,
        )

    def rank(self, file: int) -> _Rank:
        """Sort key of files of the present group: the order of rule 11."""
        return min(map(self._rank, self.rows(file)))

    def is_within(self, file: int, tops: Iterable[str]) -> bool:
        """True if a path of a file of the present group is one of `tops` or below one."""
        return any(is_below(path, top) for path in self.paths(self.rows(file)) for top in tops)

    def _root(self, folder: str) -> Root:
        root = owner_of(folder, self._tops)
        assert root is not None
        return root

    def _rank(self, row: int) -> _Rank:
        """Sort key of a row: by kind, then without links, then by path."""
        folder = self.folder(row)
        kind = self._root(folder).kind
        order = KINDS.index(kind) if kind in KINDS else len(KINDS)
        return order, self._places.real(folder) != folder, self.path(row).split(os.sep)

    @cached_property
    def _file_links(self) -> dict[tuple[str, int, int], set[str]]:
        """Links to files, by where the file is, its size and its mtime."""
        found: defaultdict[tuple[str, int, int], set[str]] = defaultdict(set)
        for folder, directory in self._snapshot.items():
            if FILE_LINK not in directory.listing.types or not owner_of(folder, self._tops):
                continue
            for row in directory.listing.rows():
                if row.type == FILE_LINK:
                    path = join(folder, row.name)
                    above, name = os.path.split(self._places.real(path))
                    place = join(self._places.place(above), name)
                    found[place, row.size, row.mtime].add(path)
        return dict(found)

    # Groups

    def of_equal_size(self) -> Iterator[tuple[int, list[int]]]:
        """(size, files) for each size that two files have at least, largest first.

        What is asked about files goes for the group that came last.
        """
        size_of = self._sizes.__getitem__
        order = array("I", sorted(range(len(self._sizes)), key=size_of, reverse=True))
        for size, rows in groupby(order, key=size_of):
            files = self._distinct(list(rows))
            if len(files) > 1:
                yield size, files

    def _distinct(self, rows: list[int]) -> list[int]:
        """One row for each file; the others go into `_links`."""
        self._links = {}
        inode_of = self._inodes.__getitem__
        rows.sort(key=inode_of)
        files: list[int] = []
        if not any(map(eq, map(inode_of, rows), map(inode_of, islice(rows, 1, None)))):
            files = rows  # all differ, as they nearly always do
            rows = []
        for inode, group in groupby(rows, key=inode_of):
            same = list(group)
            if not inode or len(same) == 1:
                files += same
                continue
            firsts: dict[int, int] = {}
            for row in same:
                device = self.directories[self._folder[row]].device
                self._keep(firsts.setdefault(device, row), row, files)
        return self._without_aliases(files) if self._shared else files

    def _keep(self, first: int, row: int, files: list[int]) -> None:
        if first == row:
            files.append(row)
        else:
            self._links.setdefault(first, []).append(row)

    def _without_aliases(self, files: list[int]) -> list[int]:
        """The same where only paths tell: a row without an inode is a file that stands at the same
        place under another path. Two inodes are two files whatever their paths."""
        standing: dict[tuple[str, str], int] = {}
        kept: list[int] = []
        for file in sorted(files, key=self._inodes.__getitem__, reverse=True):
            owner = file
            for row in self.rows(file):
                if self._folder[row] in self._shared:
                    key = (self._shared[self._folder[row]], self._name(row))
                    first = standing.setdefault(key, file)
                    if not self._inodes[file]:
                        owner = first
            self._keep(owner, file, kept)
        return kept

    def by_fingerprint(
        self, group: list[int]
    ) -> tuple[list[int], Iterator[tuple[bytes, list[int]]]]:
        """The files that have none, and (fingerprint, files) of the others. Sorts `group`."""
        key = self._fingerprint_of if self._links else self._fingerprint
        group.sort(key=key)
        blind = list(takewhile(lambda file: key(file) == UNKNOWN_FINGERPRINT, group))
        alike = groupby(islice(group, len(blind), None), key=key)
        # One by one: to keep a list for each of a million files takes longer than all the rest.
        return blind, ((known, list(same)) for known, same in alike)


def _repeated_sizes(snapshot: Mapping[str, Directory], least: int) -> set[int]:
    """Sizes that more than one path has. Found by sorting: a table of all would be larger."""
    sizes = array("q")
    for directory in snapshot.values():
        listing = directory.listing
        if listing.types.count(FILE) == len(listing):
            sizes.extend(iter(listing.sizes))  # columns differ in width
        else:
            sizes.extend(compress(listing.sizes, map(FILE.__eq__, listing.types)))
    least = max(1, least)
    return {size for size, other in pairwise(sorted(sizes)) if size == other and size >= least}
