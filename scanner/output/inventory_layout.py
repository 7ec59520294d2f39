"""The order of folders in an inventory, kept between writes so that unchanged parts are copied.

Directories of a snapshot are replaced and never modified. A folder with the same directory object
as before therefore has the same lines.
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import compress
from operator import is_not
from typing import NamedTuple

from scanner.core.paths import is_below, join, tail
from scanner.core.roots import KINDS, Root, category_in
from scanner.core.serialize import is_utf8, readable, shown
from scanner.core.snapshot import (
    CONTAINERS,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    UNKNOWN_FINGERPRINT,
    Directory,
)
from scanner.output.inventory_view import InventoryView
from scanner.output.same_files import (
    SameFiles,
    doubled_bytes,
    find_same_files,
    lists_other_names,
)
from scanner.output.shadows import OwnerOf, SearchedFolders, Shadows, searched_folders

UNWRITTEN = -1

_MOST = 2
"""One line in so many that gets its first fingerprint is enough to write all lines anew."""

_NO_ANNOTATIONS: Mapping[str, object] = {}

_NO_OWNERS: Mapping[str, str] = {}


class Segment(NamedTuple):
    """Lines of one folder that stand next to each other in the previous file."""

    row: int
    """The first row."""
    start: int
    """Byte offset from the end of the header."""
    length: int


class Previous(NamedTuple):
    """A folder as it stands in the previous file."""

    directory: Directory
    segments: list[Segment]
    """Where its own lines are: those of its subfolders come between them."""
    children: Sequence[Folder]


@dataclass(slots=True, eq=False)
class Folder:
    """A directory whose listing is written."""

    path: str
    directory: Directory
    root: int
    """Index of its root in the view."""
    parent: Folder | None
    """The folder that contains it; None at the top."""
    position: int
    """Number of rows of the parent that are written before its own."""
    linked: bool
    """True if its path goes through a link to a directory."""
    category: str
    children: list[Folder] | tuple[()] = ()
    """Subfolders in the order of writing. Most folders have none, and no list of their own."""
    apparent_bytes: int = 0
    """Sum of the sizes of all files and links to files that are listed below it."""
    total_size: int = 0
    """The same, with each file once however many of its names are below this folder."""
    alias_of: str = ""
    """Path of the directory that owns these entries (rule 11, links as ComfyUI follows them)."""
    start: int = 0
    """Byte offset of its text from the start of its parent's text."""
    length: int = UNWRITTEN
    """Bytes of the text of everything below it."""
    source: int = 0
    """Byte offset of its text in the previous file, from the end of the header."""
    previous: Previous | None = None
    """Its earlier lines, until it is written. None if all of them may differ."""
    words: dict[str, int] | None = None
    """Number of its own entries without `alias_of` by status and mark; None if there are none."""

    def add(self, child: Folder) -> None:
        """Append a subfolder."""
        if self.children:
            self.children.append(child)
        else:
            self.children = [child]


@dataclass(slots=True)
class Count:
    """Counts of entries without `alias_of`, and of those with one (`aliases`). `apparent_bytes`
    has the sizes of both."""

    files: int = 0
    directories: int = 0
    others: int = 0
    bytes: int = 0
    aliases: int = 0
    apparent_bytes: int = 0

    def add(self, letters: str, size: int, sign: int = 1) -> None:
        """Count rows of a listing with `size` bytes in total; `sign` -1 subtracts them."""
        files = letters.count(FILE) + letters.count(FILE_LINK)
        directories = letters.count(DIRECTORY) + letters.count(DIRECTORY_LINK)
        self.files += sign * files
        self.directories += sign * directories
        self.others += sign * (len(letters) - files - directories)
        self.bytes += sign * size
        self.apparent_bytes += sign * size

    def add_alias(self, letter: str, size: int) -> None:
        """Count a row that was counted by `add` as an alias."""
        self.add(letter, size, -1)
        self.apparent_bytes += size
        self.aliases += 1


class Layout:
    """The folders of a view in the order of the inventory, and the counts for the header."""

    def __init__(self, view: InventoryView) -> None:
        self.folders: dict[str, Folder] = {}
        self.tops: list[Folder] = []
        self._base = view.base
        self._roots = [root.root for root in view.roots]
        self._set_status(view.status, {})
        self._annotated = _annotated(view)
        self._owners = _owners(view)
        self._inner = _inner(self._owners)
        is_plain = self._add(view, frozenset(), frozenset()) is not None
        if not is_plain:
            _mark_aliases(self.folders, view)
        self._is_plain = is_plain and not self._inner
        self._same = find_same_files(list(self.folders.values()))
        self.owners = _owners_of_names(self._same, list(self.folders.values()), view)
        """Paths of the owners of files that have several names, by folder and name."""
        self._doubled = doubled_bytes(self._same, self.folders)
        _add_up(self.folders.values(), self._doubled)
        self.counts = [Count() for _ in view.roots]
        self.by_category: defaultdict[tuple[int, str], Count] = defaultdict(Count)
        """By the index of the root, and the category in it."""
        _count(self)
        self.shadows = Shadows(_searched(self._owners, view), self._owners)
        self.shadows.find_all(view.snapshot, self._owner_of())

    def _set_status(self, status: Mapping[str, str], before: Mapping[str, str]) -> None:
        self._status = status
        self.with_status: defaultdict[str, set[str]] = defaultdict(set)
        """Names of entries that have a status, or had one in the previous file, by folder."""
        for path in (*status, *before):
            folder, name = os.path.split(path)
            self.with_status[folder].add(name)

    def update(self, view: InventoryView) -> bool:
        """Take over the differences in `view`. Folders that differ are unwritten afterwards.

        Returns False if the differences need a new layout; this one must not be used any more.
        """
        if (
            not self._is_plain
            or self._base != view.base
            or self._roots != [root.root for root in view.roots]
            or self._owners != _owners(view)
        ):
            return False
        listed = self._listed_anew(view)
        if self._may_search_others(listed, view) and self.shadows.searched != _searched(
            self._owners, view
        ):
            return False
        if self._has_new_fingerprints(view, listed):
            return False
        renewed, others = self._renewed(view, listed)
        self._set_status(view.status, self._status)
        self._annotated = _annotated(view)
        old = [self.folders[path] for path in renewed if path in self.folders]
        for folder in old:
            self.count_rows(folder, -1)
        added = self._add(view, renewed, others)
        if added is None or self._may_change_names(listed, added):
            return False
        kept = {id(child) for folder in added for child in folder.children}
        for folder in old:
            for child in folder.children:
                if id(child) not in kept and child.path not in renewed:
                    self._drop(child)
        for folder in old:
            folder.parent = None  # no cycle: they are freed at once
            if self.folders.get(folder.path) is folder:
                del self.folders[folder.path]
        for folder in added:
            self.count_rows(folder)
        _add_up(added, self._doubled)
        return True

    def _owner_of(self) -> OwnerOf:
        shared: dict[str, frozenset[str]] = {}

        def owner(path: str, name: str, letter: str) -> str:
            folder = self.folders.get(path)
            if folder is None:
                return join(path, name)
            if path not in shared:
                shared[path] = shared_names(folder, self.folders)
            return alias_of(folder, name, letter, shared[path], self) or join(path, name)

        return owner

    def _may_search_others(self, listed: Set[str], view: InventoryView) -> bool:
        """True if other folders may hold categories now, or in another order: a root says so or was
        listed anew, or a folder came or went."""
        return not (
            all(
                old.searched == new.root.searched
                for old, new in zip(self._roots, view.roots, strict=True)
            )
            and listed.isdisjoint(self._owners)
            and listed <= self.folders.keys()
            and listed <= view.snapshot.keys()
        )

    def _may_change_names(self, listed: Set[str], added: Iterable[Folder]) -> bool:
        """True if other files may have several names now. `listed` are listed anew."""
        return not self._same.folders.isdisjoint(listed) or any(
            folder.path in listed and lists_other_names(folder.directory.listing)
            for folder in added
        )

    def _listed_anew(self, view: InventoryView) -> set[str]:
        """Paths of the directories that are others than before: changed, new or gone."""
        previous = [folder.directory for folder in self.folders.values()]
        now = map(view.snapshot.get, self.folders)
        differing = set(compress(self.folders, map(is_not, now, previous)))
        return differing | (view.snapshot.keys() - self.folders.keys())

    def _has_new_fingerprints(self, view: InventoryView, listed: Set[str]) -> bool:
        """True if most lines get their first fingerprint: too little stays to be copied, and the
        folders of two files at once would be held."""
        if len(listed) * _MOST < len(self.folders):
            return False
        rows = first = 0
        for path, folder in self.folders.items():
            rows += len(folder.directory.listing)
            now = view.snapshot.get(path)
            if now is not None and now.fingerprints and not folder.directory.fingerprints:
                unknown = now.fingerprints.count(UNKNOWN_FINGERPRINT)
                first += max(0, len(now.listing) - unknown)
        return first * _MOST > rows

    def free(self) -> None:
        """Let go of all folders, which hold each other. The layout must not be used any more."""
        for folder in self.folders.values():
            folder.parent, folder.children = None, ()
        self.folders.clear()
        self.tops.clear()

    def _renewed(self, view: InventoryView, listed: Set[str]) -> tuple[set[str], set[str]]:
        """Folders whose own lines differ: an entry, or the size of a subfolder. And those of them
        in which lines may differ whose rows are the same."""
        differing = set(listed)
        others: set[str] = set()
        if self._status != view.status:
            statuses = dict(self._status).items() ^ dict(view.status).items()
            differing.update(os.path.dirname(path) for path, _ in statuses)
        if self._annotated is not _annotated(view):
            annotated = self._annotated.items() ^ _annotated(view).items()
            others.update(folder for folder, _ in annotated if folder in view.snapshot)
        others |= self.shadows.renew(differing | others, view.snapshot, self._owner_of())
        tops = {folder.path for folder in self.tops}
        renewed: set[str] = set()
        for path in differing | others:
            chain = [path]
            while chain[-1] not in tops and chain[-1] not in renewed:
                above = os.path.dirname(chain[-1])
                if above == chain[-1]:
                    break
                chain.append(above)
            else:
                renewed.update(chain)
        return renewed, others

    @property
    def roots(self) -> Sequence[Root]:
        """The roots, by whose index folders name them."""
        return self._roots

    def counts_of(self, folder: Folder) -> tuple[Count, Count]:
        """The counts that the rows of `folder` belong to: of its root and of its category."""
        return self.counts[folder.root], self.by_category[folder.root, folder.category]

    def count_rows(self, folder: Folder, sign: int = 1) -> None:
        """Count the rows of `folder`; `sign` -1 subtracts them."""
        listing = folder.directory.listing
        for count in self.counts_of(folder):
            count.add(listing.types, listing.bytes, sign)

    def _drop(self, top: Folder) -> None:
        """Remove a folder that is no longer written, and everything below it."""
        below = [top]
        while below:
            folder = below.pop()
            folder.parent = None
            self.count_rows(folder, -1)
            below += folder.children
            if self.folders.get(folder.path) is folder:
                del self.folders[folder.path]

    def _first_steps(self, view: InventoryView) -> list[_Step]:
        tops = sorted(set(self._owners) - self._inner, key=lambda path: _root_key(path, view.base))
        return [
            _Step(path, None, 0, False, tuple(p for p in self._inner if is_below(p, path)))
            for path in reversed(tops)
        ]

    def _add(self, view: InventoryView, renewed: Set[str], others: Set[str]) -> list[Folder] | None:
        """Build the tree again. Previous folders that are not `renewed` stay with all below them.
        Of `others` all lines may differ.

        Returns the new folders, parents first; None if one may be an alias of another.
        """
        stack = self._first_steps(view)
        self.tops = []
        added: list[Folder] | None = []
        # Not kept: it would take 80 bytes for each folder.
        inodes = {f.directory.inode for path, f in self.folders.items() if path not in renewed}
        inodes.discard(0)
        # The paths of a new layout are those of the snapshot: texts of their own take 120 bytes.
        paths = {} if self.folders else dict(zip(view.snapshot, view.snapshot, strict=True))
        while stack:
            step = stack.pop()
            parent = step.parent
            append = self.tops.append if parent is None else parent.add
            previous = self.folders.get(step.path)
            source = previous.start if previous is not None else 0
            source += parent.source if parent is not None else 0
            is_kept = previous is not None and previous.linked == step.linked
            if previous is not None and is_kept and step.path not in renewed:
                previous.source, previous.parent = source, parent
                previous.position = step.position
                append(previous)
                continue
            path = paths.get(step.path, step.path) if previous is None else previous.path
            folder = self._new_folder(path, step, source, view)
            directory = folder.directory
            if previous is not None and step.path not in others:
                folder.previous = self._previous(previous, folder)
            # A link that became a folder, or a folder that became a link, may be an alias as well.
            is_alone = directory.inode not in inodes
            is_clear = is_alone and (previous is None or step.path in renewed)
            if directory.inode:
                inodes.add(directory.inode)
            append(folder)
            if not is_clear:
                added = None
            elif added is not None:
                added.append(folder)
            self.folders[path] = folder
            stack.extend(reversed(_steps_below(folder, step.inner, view)))
        return added

    def _new_folder(self, path: str, step: _Step, source: int, view: InventoryView) -> Folder:
        parent = step.parent
        root = self._owners.get(path, parent.root if parent else 0)
        return Folder(
            path,
            view.snapshot[path],
            root,
            parent,
            step.position,
            step.linked,
            sys.intern(category_in(view.roots[root].root, path)),
            source=source,
        )

    def _previous(self, old: Folder, new: Folder) -> Previous | None:
        """The lines that `new` had in the previous file, if those of equal rows are the same."""
        before, now = old.directory.listing, new.directory.listing
        if (
            old.length == UNWRITTEN
            or (old.root, old.category) != (new.root, new.category)
            # What one file says may show in the line of another.
            or new.path in self._annotated
            or before.targets != now.targets
            or not (is_utf8(new.path) and is_utf8(before.names) and is_utf8(now.names))
        ):
            return None
        segments: list[Segment] = []
        row = offset = 0
        for child in old.children:
            if child.position > row:
                segments.append(Segment(row, new.source + offset, child.start - offset))
            row, offset = child.position, child.start + child.length
        if row < len(before):
            segments.append(Segment(row, new.source + offset, old.length - offset))
        return Previous(old.directory, segments, old.children)


def _annotated(view: InventoryView) -> Mapping[str, object]:
    return view.annotations.folders if view.annotations is not None else _NO_ANNOTATIONS


def _owners(view: InventoryView) -> dict[str, int]:
    """Paths of the roots with a listing, each with the index of the root that owns it."""
    owners: dict[str, int] = {}
    for index in sorted(range(len(view.roots)), key=lambda i: _rank(view.roots[i].root)):
        path = view.roots[index].root.path
        if path in view.snapshot:
            owners.setdefault(path, index)
    return owners


def _searched(owners: Mapping[str, int], view: InventoryView) -> list[SearchedFolders]:
    return searched_folders((view.roots[index].root for index in owners.values()), view.snapshot)


def _inner(owners: Mapping[str, int]) -> set[str]:
    """Roots that lie below other roots."""
    return {path for path in owners if any(p != path and is_below(path, p) for p in owners)}


def _add_up(folders: Iterable[Folder], doubled: Mapping[str, int]) -> None:
    """Set the sizes of `folders`, which are in the order of the file."""
    for folder in reversed(list(folders)):
        apparent = total = folder.directory.listing.bytes
        if folder.children:
            apparent += sum(child.apparent_bytes for child in folder.children)
            total += sum(child.total_size for child in folder.children)
        total -= doubled.get(folder.path, 0)
        folder.apparent_bytes = apparent
        # Nearly all are equal: one number of 32 bytes is held for both.
        folder.total_size = apparent if total == apparent else total


class _Step(NamedTuple):
    path: str
    parent: Folder | None
    position: int
    linked: bool
    inner: tuple[str, ...]
    """Nested roots at or below this path, which are sorted among its entries."""


def _steps_below(folder: Folder, inner: tuple[str, ...], view: InventoryView) -> list[_Step]:
    """The folders whose entries come between the rows of `folder`, in order."""
    listing = folder.directory.listing
    nested = [path for path in inner if path != folder.path]
    steps: list[_Step] = []
    if listing.has_containers:
        names = listing.split_names()
        positions = {index: index for index in listing.containers()}
        if not is_utf8(listing.names):
            ordered = order(listing.names, names)
            positions = {
                position: index for position, index in enumerate(ordered) if index in positions
            }
        for position, index in positions.items():
            letter = listing.types[index]
            path = join(folder.path, names[index])
            if path not in view.snapshot:
                continue  # unreadable, a link loop, or a link that is not followed
            below = tuple(p for p in nested if is_below(p, path)) if nested else ()
            linked = folder.linked or letter == DIRECTORY_LINK
            steps.append(_Step(path, folder, position + 1, linked, below))
    # A nested root is in no listing of the outer root, and folders between the two may be missing
    # there as well.
    apart = [p for p in nested if not any(is_below(p, step.path) for step in steps)]
    if apart:
        keys = sorted([_name_key(name)] for name in listing.split_names())
        for path in apart:
            if any(p != path and is_below(path, p) for p in apart):
                continue
            # A folder between the two with an entry but no listing comes before it.
            position = bisect_left(keys, _key_below(path, folder.path))
            below = tuple(p for p in apart if is_below(p, path))
            steps.append(_Step(path, folder, position, folder.linked, below))
        steps.sort(key=lambda step: _key_below(step.path, folder.path))
    return steps


def _order_of_owners(
    folder: Folder, view: InventoryView, name: str = "", *, is_link: bool = False
) -> tuple[int, int, bool, list[str]]:
    """The sort key by which the first of several paths owns what they lead to (rule 11)."""
    path = join(folder.path, name) if name else folder.path
    rank, links = _rank(view.roots[folder.root].root), folder.linked + is_link
    return rank, links, is_link, shown(path, view.base).split("/")


def _owners_of_names(
    same: SameFiles, folders: Sequence[Folder], view: InventoryView
) -> dict[str, dict[str, str]]:
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for group in same.groups:
        owner = min(
            group,
            key=lambda name: _order_of_owners(
                folders[name.folder], view, name.name, is_link=name.is_link
            ),
        )
        path = join(folders[owner.folder].path, owner.name)
        for name in group:
            if name is not owner:
                found[folders[name.folder].path][name.name] = path
    return dict(found)


def _mark_aliases(folders: Mapping[str, Folder], view: InventoryView) -> None:
    """Set `alias_of` of every folder that another path owns (rule 11)."""

    def rank(folder: Folder) -> tuple[int, int, bool, list[str]]:
        return _order_of_owners(folder, view)

    first: dict[tuple[int, int], Folder] = {}
    several: defaultdict[tuple[int, int], list[Folder]] = defaultdict(list)
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
        # Below an alias with unknown inode numbers, only the path identifies the folder.
        if not folder.directory.inode and folder.parent and folder.parent.alias_of:
            twin_path = join(folder.parent.alias_of, tail(folder.path, folder.parent.path))
            twin = folders.get(twin_path)
            if twin is not None:
                folder.alias_of = twin.alias_of or twin.path


def shared_names(folder: Folder, folders: Mapping[str, Folder]) -> frozenset[str]:
    """Names in an alias that its owner lists as well. Other names are counted with the alias."""
    if not folder.alias_of:
        return frozenset()
    return frozenset(folders[folder.alias_of].directory.listing.split_names())


def _count(layout: Layout) -> None:
    """Count the entries that each root, and each category, lists and owns."""
    for folder in layout.folders.values():
        listing = folder.directory.listing
        layout.count_rows(folder)
        shared = shared_names(folder, layout.folders)
        has_owners = shared or folder.path in layout.owners
        names = listing.split_names() if has_owners or listing.has_containers else []
        # An entry that the owner does not list is an alias only if it is listed elsewhere.
        for index in range(len(names)) if has_owners else listing.containers():
            letter = listing.types[index]
            if alias_of(folder, names[index], letter, shared, layout):
                for count in layout.counts_of(folder):
                    count.add_alias(letter, listing.sizes[index])


def alias_of(folder: Folder, name: str, letter: str, shared: frozenset[str], layout: Layout) -> str:
    """Path of the entry that owns the row `name` of `folder`; empty if it owns itself."""
    if letter in CONTAINERS:
        child = layout.folders.get(join(folder.path, name))
        if child is not None:
            return child.alias_of
    owner = layout.owners.get(folder.path, _NO_OWNERS).get(name)
    if owner is not None:
        return owner
    if name not in shared:
        return ""
    twin_path = join(folder.alias_of, name)
    twin = layout.folders.get(twin_path)  # a folder that is listed there, and closed a loop here
    return twin_path if twin is None else twin.alias_of or twin_path


def _rank(root: Root) -> int:
    return KINDS.index(root.kind) if root.kind in KINDS else len(KINDS)


def order(joined: str, names: Sequence[str]) -> Sequence[int]:
    """Indices of the rows, sorted by displayed name."""
    if is_utf8(joined):
        return range(len(names))
    return sorted(range(len(names)), key=lambda index: _name_key(names[index]))


_Key = list[tuple[str, str]]
"""Sort key of an entry: for each component the displayed text, then the text itself."""


def _name_key(name: str) -> tuple[str, str]:
    return readable(name), name


def _key_below(path: str, top: str) -> _Key:
    return [_name_key(name) for name in tail(path, top).split(os.sep)]


def _root_key(path: str, base: str | None) -> _Key:
    """The sort key of a root. Absolute POSIX paths come first: their first component is empty."""
    text = (tail(path, base) or ".") if base is not None and is_below(path, base) else path
    return [_name_key(name) for name in text.split(os.sep)]
