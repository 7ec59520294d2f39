"""Files with the same content, from what scans and `hash` know: no scanned file is touched.

The rule. Files are compared by size, then fingerprint, then content hash; empty files never.

- One file is one copy, under however many paths: hard links (equal device and inode), folders
  reached by several ways, links to the file. The path that design rule 11 would let own it stands
  for it, the others are its `links`.
- Equal content hashes prove equality, different ones difference, whatever else is equal. SHA-256
  has the last word where both hashes are known; of two files that share no algorithm nothing is
  said by their hashes.
- A fingerprint of a file of at most `WHOLE` bytes was taken of all of it: equal ones prove
  equality, unless a content hash contradicts. Those of larger files make it likely.
- So files of one size and fingerprint fall into contents (proven the same) and the rest. Each
  content with two copies is a proven set. The rest make one likely set: together with one copy of
  the content, if one is known; and if several different ones are, those stand in `either`, since
  each of the rest is likely a copy of one of them, and nobody knows of which.
- A file without a fingerprint is compared by its content hash alone, and without that not at all:
  it is counted as `unlooked`. So is a file whose paths were listed with different mtimes, since
  what is known of it is of two moments.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, compress, groupby, islice, pairwise, repeat, takewhile
from operator import and_, eq, gt
from typing import NamedTuple

from scanner.content import SHA256, XXH3
from scanner.errors import DamagedStateError, InventoryError, SettingsError
from scanner.fingerprint import WHOLE
from scanner.growth import growing
from scanner.layout import category_in, tail
from scanner.mounts import MOST_LINKS, Mount, leads_to
from scanner.portable import printable
from scanner.roots import KINDS, Root, owner_of
from scanner.snapshot import (
    FILE,
    FILE_LINK,
    FINGERPRINT_BYTES,
    UNKNOWN_FINGERPRINT,
    Directory,
    Snapshot,
    is_below,
    join,
)
from scanner.state import RootRecord, State

FINGERPRINT = "fingerprint"
READ_WHOLE = "read whole"
"""Evidence besides the names of content hashes: of files read in samples, and of small ones."""

Digests = Mapping[str, bytes]
DigestsOf = Callable[[str, int, int], Digests]
"""Content hashes by algorithm of the file at a path, with a size in bytes and an mtime in
nanoseconds; empty where none is known, or only of another size or mtime."""

_STRONGEST = (SHA256, XXH3)
_NO_DIGESTS: Digests = {}


class Copy(NamedTuple):
    """One file of a set."""

    path: str
    root: str
    """Id of its root."""
    category: str
    mtime: int
    """Nanoseconds since 1970."""
    links: tuple[str, ...] = ()
    """Other paths of the same file, sorted: they take no room."""
    hashed: bool = False
    """Whether a content hash of it is known."""


class DuplicateSet(NamedTuple):
    """Files with the same content, proven or likely."""

    size: int
    """Bytes of each."""
    proven: bool
    evidence: str
    """What says so: `sha256`, `xxh3`, `read whole` or `fingerprint`."""
    digest: str
    """That hash or fingerprint in hex."""
    copies: tuple[Copy, ...]
    """At least two, or one where there is `either`. In the order of design rule 11: the first
    counts as the one that is needed."""
    either: tuple[Copy, ...] = ()
    """One copy of each of several different contents: each of `copies` is likely the same as one
    of them."""

    @property
    def surplus(self) -> tuple[Copy, ...]:
        """The copies that are one too many."""
        return self.copies if self.either else self.copies[1:]

    @property
    def wasted(self) -> int:
        """Bytes that the surplus copies take."""
        return self.size * len(self.surplus)

    @property
    def roots(self) -> list[str]:
        """Ids of the roots that it spans, sorted."""
        return sorted({copy.root for copy in (*self.copies, *self.either)})


class Total(NamedTuple):
    """Sets, the surplus files in them, and their bytes."""

    sets: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Report:
    """What was found."""

    sets: tuple[DuplicateSet, ...]
    """Most wasted bytes first, then by path."""
    unlooked: int = 0
    """Files of a size that others have, which could not be compared with all of those: no
    fingerprint of them was taken yet, or it contradicts itself."""

    @cached_property
    def total(self) -> Total:
        """Of all sets."""
        return _total(self.sets)

    @cached_property
    def proven(self) -> Total:
        """Of the sets that are proven."""
        return _total(found for found in self.sets if found.proven)

    @cached_property
    def likely(self) -> Total:
        """Of the sets that are only likely."""
        return _total(found for found in self.sets if not found.proven)

    @cached_property
    def over_roots(self) -> Total:
        """Of the sets that span several roots."""
        return _total(found for found in self.sets if len(found.roots) > 1)

    @cached_property
    def unhashed(self) -> int:
        """Files whose equality is only likely as long as no content hash of them is known."""
        copies = (copy for found in self.sets if not found.proven for copy in found.copies)
        return sum(not copy.hashed for copy in copies)

    @cached_property
    def by_category(self) -> dict[str, Total]:
        """Surplus files counted where they stand; these add up to `total` but for `sets`."""
        return _totals_by(self.sets, lambda copy: copy.category)

    @cached_property
    def by_root(self) -> dict[str, Total]:
        """The same by id of the root."""
        return _totals_by(self.sets, lambda copy: copy.root)

    @cached_property
    def by_pair(self) -> dict[tuple[str, str], Total]:
        """What stands in both of two roots: sets, and files and bytes as if each stood there once.

        A set that spans three roots counts in three pairs.
        """
        found: defaultdict[tuple[str, str], Total] = defaultdict(Total)
        for duplicate in self.sets:
            for pair in combinations(duplicate.roots, 2):
                sets, files, bytes_ = found[pair]
                found[pair] = Total(sets + 1, files + 1, bytes_ + duplicate.size)
        return dict(found)


def _total(sets: Iterable[DuplicateSet]) -> Total:
    total = Total()
    for found in sets:
        files = len(found.surplus)
        total = Total(total.sets + 1, total.files + files, total.bytes + found.wasted)
    return total


def _totals_by(sets: Iterable[DuplicateSet], place_of: Callable[[Copy], str]) -> dict[str, Total]:
    totals: defaultdict[str, Total] = defaultdict(Total)
    for found in sets:
        for place, files in Counter(map(place_of, found.surplus)).items():
            known = totals[place]
            totals[place] = Total(
                known.sets + 1, known.files + files, known.bytes + files * found.size
            )
    return dict(totals)


# Choosing among sets

SORTS: Mapping[str, Callable[[DuplicateSet], int]] = {
    "wasted": lambda found: found.wasted,
    "count": lambda found: len(found.copies),
    "size": lambda found: found.size,
}
"""What sets can be sorted by, largest first."""


@dataclass(frozen=True)
class Choice:
    """Which sets are wanted. Of one that is, every copy is told, wherever it stands."""

    within: tuple[str, ...] = ()
    """A path of a copy must be one of these or lie below one; any will do where there are none."""
    roots: frozenset[str] = frozenset()
    """A copy must stand in a root with one of these ids; any will do where there are none."""
    categories: frozenset[str] = frozenset()
    """The same for its category."""
    only_proven: bool = False
    """Whether likely sets are left out."""

    def takes(self, found: DuplicateSet) -> bool:
        """Whether `found` is wanted."""
        copies = (*found.copies, *found.either)
        return (
            (found.proven or not self.only_proven)
            and (not self.roots or any(copy.root in self.roots for copy in copies))
            and (not self.categories or any(copy.category in self.categories for copy in copies))
            and (not self.within or any(map(self._is_within, copies)))
        )

    def _is_within(self, copy: Copy) -> bool:
        return any(is_below(path, top) for path in (copy.path, *copy.links) for top in self.within)


def choice_of(
    records: Iterable[RootRecord],
    *,
    paths: Iterable[str] = (),
    roots: Iterable[str] = (),
    categories: Iterable[str] = (),
    only_proven: bool = False,
) -> Choice:
    """What a user asked for: absolute paths, and roots by id, kind or absolute path.

    Raises SettingsError for a place that was not scanned: that nothing is found there would else
    be taken for good news.
    """
    known = _roots_of(records)
    within = tuple(paths)
    for path in within:
        if not any(is_below(path, root.path) or is_below(root.path, path) for root in known):
            raise SettingsError(f"{printable(path)} lies in none of the folders that were scanned.")
    ids: set[str] = set()
    for text in roots:
        named = {root.id for root in known if text in (root.id, root.kind, root.path)}
        if not named:
            there = ", ".join(printable(root.id) for root in known)
            raise SettingsError(f"--root: expected one of {there}, not {printable(text)!r}.")
        ids |= named
    return Choice(within, frozenset(ids), frozenset(categories), only_proven)


def chosen(report: Report, choice: Choice, sort: str = "wasted") -> Report:
    """The sets of `report` that `choice` takes, sorted by one of `SORTS`."""
    sets = sorted(filter(choice.takes, report.sets), key=SORTS[sort], reverse=True)
    return replace(report, sets=tuple(sets))


# Reading the state


class Scanned(NamedTuple):
    """What the state knows, all of one moment."""

    snapshot: Snapshot
    roots: tuple[RootRecord, ...]
    """Roots, and the mounts below them."""
    unsettled: frozenset[str]
    """Files that have grown since they were last reported."""


_READS = 3
"""Times that the state is read before a scanner that keeps beginning and ending is given up on."""


def load(path: str, mounts: Iterable[Mount] = ()) -> Scanned:
    """Read the state at `path`, also while a scanner holds it; nothing is written.

    Where a root is a link itself, no listing says where to: that is found out by the mount table
    `mounts`, and only as far as local disks lead. Raises InventoryError.
    """
    if not os.path.isfile(path):
        raise InventoryError(f"No scan has written {printable(path)} yet.")
    for _ in range(_READS):
        before = _marks(path)
        try:
            scanned = _read(path, list(mounts))
        except DamagedStateError as error:
            if before != _marks(path):
                continue
            raise InventoryError(
                f"The state cannot be read ({printable(str(error))}); "
                "where it is damaged, the next scan rebuilds it."
            ) from None
        # A log says what is whole. Without one the file was read as one that nobody writes, and
        # that must have stayed true.
        if before.has_log or before == _marks(path):
            return scanned
    raise InventoryError(f"The state {printable(path)} changes too often to be read: try again.")


class _Marks(NamedTuple):
    has_log: bool
    size: int
    mtime: int


def _marks(path: str) -> _Marks:
    try:
        found = os.stat(path)
    except OSError:
        return _Marks(False, -1, -1)
    return _Marks(os.path.exists(path + "-wal"), found.st_size, found.st_mtime_ns)


def _read(path: str, mounts: Sequence[Mount]) -> Scanned:
    state = State.open_readonly(path)
    try:
        snapshot, memory = state.load_snapshot(), state.load_memory()
    finally:
        state.close()
    if not any(record.walked for record in memory.roots.values()):
        raise InventoryError(f"No scan has ended yet that was to be kept in {printable(path)}.")
    roots = [
        record
        if record.is_inner or not mounts
        else replace(record, target=_target(record.path, mounts))
        for record in memory.roots.values()
    ]
    return Scanned(snapshot, tuple(roots), frozenset(growing(memory.unsettled, snapshot)))


def _target(path: str, mounts: Sequence[Mount]) -> str:
    target = leads_to(path, mounts)
    return "" if target == path else target


# Finding


def find_duplicates(
    snapshot: Mapping[str, Directory],
    roots: Sequence[RootRecord],
    digests_of: DigestsOf,
    *,
    least: int = 1,
    within: Sequence[str] = (),
    skip: Set[str] = frozenset(),
    hashed: Container[str] | None = None,
) -> Report:
    """All sets of files of at least `least` bytes with a path at or below one of `within`, if any.

    `roots` are the records of the state, inner places among them. Files in `skip` are left out.
    Pure but for `digests_of`, which is asked only about files that another may equal, and where
    `hashed` is given, only about those in a folder that it contains.
    """
    files = _Files(snapshot, roots, least, skip)
    finder = _Finder(files, digests_of, hashed)
    choice = Choice(tuple(within))
    sets: list[DuplicateSet] = []
    for size, group in files.of_equal_size():
        if within and not any(files.is_within(file, within) for file in group):
            continue
        sets += filter(choice.takes, finder.find(size, group))
    sets.sort(key=lambda found: (-found.wasted, found.copies[0].path))
    return Report(tuple(sets), finder.unlooked)


def candidates(
    snapshot: Mapping[str, Directory],
    roots: Sequence[RootRecord],
    *,
    least: int = 1,
    skip: Set[str] = frozenset(),
) -> Iterator[tuple[int, list[str]]]:
    """Files that may have a copy and of which only a content hash would tell, largest first:
    (size, one path of each).

    Different fingerprints have told already, and so have equal ones of files that were read whole.
    A file without one may equal any of its size.
    """
    files = _Files(snapshot, roots, least, skip)
    for size, group in files.of_equal_size():
        blind, alike = files.by_fingerprint(group)
        if blind:
            yield size, files.paths(group)
        elif size > WHOLE:
            for _, same in alike:
                if len(same) > 1:
                    yield size, files.paths(same)


def _roots_of(records: Iterable[RootRecord]) -> list[Root]:
    return [
        Root(record.kind, record.path, record.category) for record in records if not record.is_inner
    ]


_MOST_NAMES = 64
"""Folders whose names are kept apart: those of all would be larger than everything else."""

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
        self._tops = _roots_of(roots)
        self._places = _Places(snapshot, roots)
        self._fill(least, skip)
        self._shared = self._shared_places()
        self._names: dict[int, list[str]] = {}
        """Of the folders that were asked about last."""

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
        """Whether all paths of a file of the present group were listed with the same mtime."""
        return file not in self._links or len(set(map(self.mtime, self.rows(file)))) == 1

    def _fingerprint_of(self, file: int) -> bytes:
        """As `_fingerprint`, but of all paths of a file: unknown where these contradict."""
        if file not in self._links:
            return self._fingerprint(file)
        known = set(map(self._fingerprint, self.rows(file))) - {UNKNOWN_FINGERPRINT}
        if len(known) == 1 and self.is_of_one_moment(file):
            return known.pop()
        return UNKNOWN_FINGERPRINT

    def copy(self, file: int, hashed: bool) -> Copy:
        """As it stands in a set."""
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
        """What sorts files of the present group in the order of design rule 11."""
        return min(map(self._rank, self.rows(file)))

    def is_within(self, file: int, tops: Iterable[str]) -> bool:
        """Whether a path of a file of the present group is one of `tops` or below one."""
        return any(is_below(path, top) for path in self.paths(self.rows(file)) for top in tops)

    def _root(self, folder: str) -> Root:
        root = owner_of(folder, self._tops)
        assert root is not None
        return root

    def _rank(self, row: int) -> _Rank:
        """By kind, then without links, then by path."""
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
            sizes.extend(listing.sizes)
        else:
            sizes.extend(compress(listing.sizes, map(FILE.__eq__, listing.types)))
    least = max(1, least)
    return {size for size, other in pairwise(sorted(sizes)) if size == other and size >= least}


class _Places:
    """Where paths really lead, by the words of links alone.

    On a mount without stable inodes nothing else tells that two paths are one file. To take one
    file for two would be the worst mistake here: who then deletes one copy has deleted both.
    """

    def __init__(self, snapshot: Mapping[str, Directory], roots: Iterable[RootRecord]) -> None:
        self._links = {
            join(folder, name): text
            for folder, directory in snapshot.items()
            for name, text in directory.listing.targets
        }
        self._links.update({record.path: record.target for record in roots if record.target})
        self._mounts = {
            record.mount_point: record.mount_identity
            for record in roots
            if record.mount_point and _names_its_source(record.mount_identity)
        }
        self._real: dict[str, str] = {}
        self._depth = 0

    def place(self, folder: str) -> str:
        """The same text for all paths of a folder: where it is within the source of its mount,
        which may be mounted twice, or its real path."""
        real = self.real(folder)
        points = [point for point in self._mounts if is_below(real, point)]
        if not points:
            return real
        point = max(points, key=len)
        # The identity of a mount ends with the path within its source.
        top, below = self._mounts[point].rstrip("/"), tail(real, point)
        return join(top, below) if below else top

    def real(self, path: str) -> str:
        """`path` with every link on the way followed."""
        below: list[tuple[str, str]] = []
        while (found := self._real.get(path)) is None:
            above, name = os.path.split(path)
            if not name:
                found = path
                break
            below.append((path, name))
            path = above
        for path, name in reversed(below):
            whole = join(found, name)
            found = path if whole == path else whole
            if path in self._links:
                found = self._follow(os.path.dirname(found), self._links[path], found)
            self._real[path] = found
        return found

    def _follow(self, folder: str, text: str, link: str) -> str:
        if self._depth > MOST_LINKS:  # a circle
            return link
        if os.sep == "\\":
            text = text.removeprefix("\\\\?\\")  # as junctions have it
        drive, below = os.path.splitdrive(text)
        found = drive + os.sep if os.path.isabs(text) else folder
        self._depth += 1
        for part in below.split(os.sep):
            if part == os.pardir:
                found = os.path.dirname(found)
            elif part not in ("", os.curdir):
                found = self.real(join(found, part))
        self._depth -= 1
        return found


def _names_its_source(identity: str) -> bool:
    """Whether a mount's identity tells it from others: `tmpfs tmpfs /` does not."""
    source = identity.partition(" ")[2].rpartition(" /")[0]
    return any(mark in source for mark in "/\\:=")


# Comparing


@dataclass
class _Content:
    """Files that content hashes prove to be the same."""

    digests: dict[str, bytes] = field(default_factory=dict)
    files: list[int] = field(default_factory=list)

    def add(self, file: int, digests: Digests) -> None:
        self.files.append(file)
        for name, digest in digests.items():
            self.digests.setdefault(name, digest)


class _Finder:
    """Makes sets of files of one size."""

    def __init__(self, files: _Files, digests_of: DigestsOf, hashed: Container[str] | None) -> None:
        self._files = files
        self._digests_of = digests_of
        self._hashed = hashed
        self._known: dict[int, Digests] = {}
        """Of the files of the present group that were asked about."""
        self.unlooked = 0

    def find(self, size: int, group: list[int]) -> Iterator[DuplicateSet]:
        """The sets among all files of `size` bytes."""
        self._known = {}
        blind, alike = self._files.by_fingerprint(group)
        if blind:
            alike = self._with_blind(size, blind, alike)
        for fingerprint, same in alike:
            if len(same) > 1:
                yield from self._judge(size, fingerprint, same)

    def _digests(self, size: int, file: int) -> Digests:
        known = self._known.get(file)
        if known is not None or not self._files.is_of_one_moment(file):
            return known or _NO_DIGESTS
        found: dict[str, bytes] = {}
        for row in self._files.rows(file):
            if self._hashed is None or self._files.folder(row) in self._hashed:
                path, mtime = self._files.path(row), self._files.mtime(row)
                found = {**self._digests_of(path, size, mtime), **found}
        if found:  # of a million files that nobody hashed nothing is to be remembered
            self._known[file] = {name: found[name] for name in _STRONGEST if name in found}
        return self._known.get(file, _NO_DIGESTS)

    def _with_blind(
        self, size: int, blind: Sequence[int], alike: Iterator[tuple[bytes, list[int]]]
    ) -> Iterator[tuple[bytes, list[int]]]:
        """`alike` with the files without a fingerprint put where their content hashes say, and
        those that fit nowhere under an empty one."""
        hashed = [file for file in blind if self._digests(size, file)]
        self.unlooked += len(blind) - len(hashed)
        if not hashed:
            return alike
        joined = dict(alike)
        fingerprints: defaultdict[tuple[str, bytes], set[bytes]] = defaultdict(set)
        common = set(_STRONGEST)
        for fingerprint, same in joined.items():
            for file in same:
                digests = self._digests(size, file)
                common &= digests.keys()
                for item in digests.items():
                    fingerprints[item].add(fingerprint)
        joined[b""] = []
        for file in hashed:
            digests = self._digests(size, file)
            common &= digests.keys()
            fitting = set().union(*(fingerprints[item] for item in digests.items()))
            joined[fitting.pop() if len(fitting) == 1 else b""].append(file)
        if not common:  # some two of them say nothing of each other
            self.unlooked += len(joined[b""])
        return iter(joined.items())

    def _judge(self, size: int, fingerprint: bytes, same: Sequence[int]) -> Iterator[DuplicateSet]:
        """The sets among files of one size and fingerprint, which is empty for those that have
        none and are known by their content hashes alone."""
        contents, rest = self._contents(size, same)
        # Contents differ where they have an algorithm in common, else they would be one.
        known = {name: [c for c in contents if name in c.digests] for name in _STRONGEST}
        different = max(known.values(), key=len)
        if fingerprint and size <= WHOLE and len(different) < 2 and (rest or len(contents) > 1):
            copies = self._copies(size, same)
            yield DuplicateSet(size, True, READ_WHOLE, fingerprint.hex(), copies)
            return
        for content in contents:
            if len(content.files) > 1:
                yield self._proven(size, content)
        if not fingerprint:
            return
        either = [self._first(content) for content in different]
        rest += [self._first(c) for c in contents if not any(c is other for other in different)]
        if not rest:
            return
        if len(either) < 2:
            rest, either = rest + either, []
        if either or len(rest) > 1:
            copies, others = self._copies(size, rest), self._copies(size, either)
            yield DuplicateSet(size, False, FINGERPRINT, fingerprint.hex(), copies, others)

    def _contents(self, size: int, same: Sequence[int]) -> tuple[list[_Content], list[int]]:
        """What content hashes prove, and the files of which they prove nothing."""
        strong: defaultdict[bytes, _Content] = defaultdict(_Content)
        rest: list[int] = []
        for file in same:
            digests = self._digests(size, file)
            if SHA256 in digests:
                strong[digests[SHA256]].add(file, digests)
        contents = list(strong.values())
        weak: defaultdict[bytes, list[_Content]] = defaultdict(list)
        for content in contents:
            if XXH3 in content.digests:
                weak[content.digests[XXH3]].append(content)
        for file in same:
            digests = self._digests(size, file)
            if SHA256 in digests:
                continue
            if XXH3 not in digests:
                rest.append(file)
                continue
            twins = weak[digests[XXH3]]
            if not twins:
                twins.append(_Content())
                contents.append(twins[0])
            if len(twins) == 1:
                twins[0].add(file, digests)
            else:
                rest.append(file)  # xxh3 is not safe from collisions made on purpose
        return contents, rest

    def _proven(self, size: int, content: _Content) -> DuplicateSet:
        """`content` as a set, with the strongest hash that all of its files have."""
        common = [
            name
            for name in _STRONGEST
            if all(name in self._digests(size, file) for file in content.files)
        ]
        # Where none is, xxh3 joined those that have it to those that have both.
        evidence = common[0] if common else XXH3
        copies = self._copies(size, content.files)
        return DuplicateSet(size, True, evidence, content.digests[evidence].hex(), copies)

    def _first(self, content: _Content) -> int:
        return min(content.files, key=self._files.rank)

    def _copies(self, size: int, files: Iterable[int]) -> tuple[Copy, ...]:
        ordered = sorted(files, key=self._files.rank)
        return tuple(self._files.copy(file, bool(self._digests(size, file))) for file in ordered)
