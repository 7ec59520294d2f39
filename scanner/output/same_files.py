"""Names that lead to the same file: links to files, and hard links (rule 11). Pure.

A file counts once in totals, whatever leads to it. Links are followed by their texts, through the
links that the snapshot knows; hard links have equal device and inode.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Protocol

from scanner.core.link_ends import LinkEnds
from scanner.core.paths import join
from scanner.core.snapshot import FILE, FILE_LINK, Directory, Listing


class Folder(Protocol):
    """A folder of the inventory. Links below it are looked at where its owner stands."""

    path: str
    directory: Directory
    alias_of: str

    @property
    def parent(self) -> Folder | None:
        """The folder that contains it; None at the top."""
        ...


class Name(NamedTuple):
    """A row of a folder that leads to a file which may have other names."""

    folder: int
    """Index of the folder, in the order of the file."""
    name: str
    size: int
    is_link: bool


@dataclass(slots=True)
class SameFiles:
    """The result of `find_same_files`."""

    groups: list[list[Name]] = field(default_factory=list)
    """The names of each file that has several, in the order of the file."""
    folders: set[str] = field(default_factory=set)
    """Paths of all folders on which the result depends: those that list links or hard links, and
    those that links lead to."""


def lists_other_names(listing: Listing) -> bool:
    """True if it lists names of files that have, or may have, other names."""
    return bool(listing.hard_links) or FILE_LINK in listing.types


_Key = tuple[str, int, int] | tuple[str, str]


def find_same_files(folders: Sequence[Folder]) -> SameFiles:
    """All files of `folders` (in the order of the file) that have several names."""
    result = SameFiles()
    special = [
        index for index, folder in enumerate(folders) if lists_other_names(folder.directory.listing)
    ]
    if not special:
        return result
    by_path = {folder.path: index for index, folder in enumerate(folders)}
    ends = LinkEnds({folder.path: folder.directory for folder in folders})
    files: defaultdict[_Key, dict[tuple[int, str], Name]] = defaultdict(dict)
    named = _Named(folders)

    def add(key: _Key, index: int, name: str) -> None:
        found = named.file(index, name)
        if found is not None:
            files[key][index, name] = found

    def key_of(index: int, name: str) -> _Key:
        folder = folders[index]
        if name in folder.directory.listing.hard_links:
            inode = named.inode(index, name)
            if inode:
                return "inode", folder.directory.device, inode
        return "path", join(folder.alias_of or folder.path, name)

    for index in special:
        folder = folders[index]
        result.folders.add(folder.path)
        for name in folder.directory.listing.hard_links:
            add(key_of(index, name), index, name)
        targets = dict(folder.directory.listing.targets)
        for name in named.links(index):
            end = ends.end(folder.alias_of or folder.path, targets.get(name, ""))
            above, last = os.path.split(end)
            result.folders.add(above)
            target = by_path.get(above)
            if target is not None and named.file(target, last) is not None:
                key = key_of(target, last)
                add(key, target, last)
            else:
                key = ("path", end)
            add(key, index, name)
    _add_aliases(files, folders, by_path, add)
    for names in files.values():
        if len(names) > 1:
            result.groups.append([names[key] for key in sorted(names)])
    return result


def _add_aliases(
    files: Mapping[_Key, Mapping[tuple[int, str], Name]],
    folders: Sequence[Folder],
    by_path: Mapping[str, int],
    add: _Add,
) -> None:
    """Add the names that further paths to the same folders give to the same files."""
    twins: defaultdict[int, list[int]] = defaultdict(list)
    for index, folder in enumerate(folders):
        owner = by_path.get(folder.alias_of) if folder.alias_of else None
        if owner is not None:
            twins[owner] += [owner] if not twins[owner] else []
            twins[owner].append(index)
    twin_of = {index: group for group in twins.values() for index in group}
    for key, names in list(files.items()):
        for index, name in list(names):
            for twin in twin_of.get(index, ()):
                add(key, twin, name)


class _Add(Protocol):
    def __call__(self, key: _Key, index: int, name: str) -> None: ...


class _Named:
    """The rows of folders by name, put in order once for each folder that is asked for."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        self._folders = folders
        self._rows: dict[int, dict[str, int]] = {}

    def _row(self, index: int, name: str) -> int | None:
        if index not in self._rows:
            names = self._folders[index].directory.listing.split_names()
            self._rows[index] = {name: row for row, name in enumerate(names)}
        return self._rows[index].get(name)

    def file(self, index: int, name: str) -> Name | None:
        """The file or link to one with `name`; None if there is none."""
        row, listing = self._row(index, name), self._folders[index].directory.listing
        if row is None or listing.types[row] not in (FILE, FILE_LINK):
            return None
        return Name(index, name, listing.sizes[row], listing.types[row] == FILE_LINK)

    def inode(self, index: int, name: str) -> int:
        """The inode of a file; 0 if it is not known."""
        row, inodes = self._row(index, name), self._folders[index].directory.listing.inodes
        return inodes[row] if row is not None and row < len(inodes) else 0

    def links(self, index: int) -> Iterable[str]:
        """The names of the links to files."""
        listing = self._folders[index].directory.listing
        if FILE_LINK in listing.types:
            for name, letter in zip(listing.split_names(), listing.types, strict=True):
                if letter == FILE_LINK:
                    yield name


def doubled_bytes(same: SameFiles, folders: Mapping[str, Folder]) -> dict[str, int]:
    """The bytes that the sum of the sizes below a folder counts again, by the path of the folder
    that is the lowest one to hold both names. `folders` are in the order of the file.

    In that order the names below one folder stand next to each other. Each name but the first of a
    folder then has a neighbour before it whose lowest common folder is that folder or one below.
    """
    ordered = list(folders.values())
    doubled: defaultdict[str, int] = defaultdict(int)
    grouped: defaultdict[str, set[str]] = defaultdict(set)
    for group in same.groups:
        for before, name in pairwise(group):
            above = _lowest_above(ordered[before.folder], ordered[name.folder])
            if above is not None:
                doubled[above.path] += name.size
        for name in group:
            grouped[ordered[name.folder].path].add(name.name)
    for twins in _twins(ordered):
        for first, second in pairwise(twins):
            above = _lowest_above(first, second)
            if above is not None:
                doubled[above.path] += _shared_bytes(second, first, grouped[second.path])
    return dict(doubled)


def _twins(ordered: Iterable[Folder]) -> Iterator[list[Folder]]:
    """The paths to each folder that has several, in the order of the file."""
    twins: defaultdict[str, list[Folder]] = defaultdict(list)
    aliases = {folder.alias_of for folder in ordered if folder.alias_of}
    for folder in ordered if aliases else ():
        owner = folder.alias_of or folder.path
        if owner in aliases:
            twins[owner].append(folder)
    return iter(twins.values())


def _shared_bytes(folder: Folder, before: Folder, grouped: AbstractSet[str]) -> int:
    """The size of what `folder` lists, and the path `before` it to the same folder as well, without
    the names in `grouped`. The two were listed at different times."""
    listing = folder.directory.listing
    if listing == before.directory.listing and not grouped:
        return listing.bytes
    names = set(before.directory.listing.split_names()).difference(grouped)
    return sum(row.size for row in listing.rows() if row.name in names)


def _lowest_above(first: Folder, second: Folder) -> Folder | None:
    """The lowest folder that holds both; None if there is none."""
    above: set[int] = set()
    folder: Folder | None = first
    while folder is not None:
        above.add(id(folder))
        folder = folder.parent
    folder = second
    while folder is not None and id(folder) not in above:
        folder = folder.parent
    return folder
