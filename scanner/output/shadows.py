"""Models that ComfyUI cannot load, because it finds another file of the same name first. Pure.

ComfyUI searches the folders of a category in an order (`Root.searched`). Its loaders list a name
once, whichever folders hold it, and load the first file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from scanner.core.model_names import DIFFUSERS, EXCLUDED_FOLDER
from scanner.core.paths import is_below, join, nearest_above, tail
from scanner.core.roots import (
    OUTPUT_FOLDERS,
    Root,
    SearchedFolder,
    category_of,
    search_order,
)
from scanner.core.snapshot import CONTAINERS, Listing, Snapshot, directories_below
from scanner.output.loader_names import FILES, is_model


class SearchedFolders(NamedTuple):
    """The folders that ComfyUI searches for the models of one category, in its order."""

    category: str
    folders: tuple[str, ...]


OwnerOf = Callable[[str, str, str], str]
"""Gives the path by which an entry is known that may have several. Takes the path of its directory,
its name and its type."""


def searched_folders(roots: Iterable[Root], snapshot: Snapshot) -> list[SearchedFolders]:
    """The categories that have several folders in `snapshot`. `roots` have distinct paths.

    A models root that ComfyUI does not know is taken for one of another ComfyUI.
    """
    roots = list(roots)
    paths = {root.path for root in roots}
    found: defaultdict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for root in roots:
        for folder, category in _category_folders(root, snapshot):
            if folder == root.path or folder not in paths:
                order = search_order(root, folder)
                place = _default_order(root, folder) if order is None else order
                found["" if order is not None else root.path, category].append((place, folder))
    return [
        SearchedFolders(category, tuple(folder for _, folder in sorted(folders)))
        for (_, category), folders in found.items()
        if len(folders) > 1
    ]


def _category_folders(root: Root, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """The folders of `root` that hold a category, each with the category."""
    if root.path not in snapshot:
        return
    names: Iterable[str] = ()
    if root.category:
        yield root.path, root.category
    elif root.kind == "models":
        names = (name for name, _ in snapshot[root.path].listing.named_containers())
    elif root.kind == "output":
        names = sorted(OUTPUT_FOLDERS)
    for name in names:
        folder = join(root.path, name)
        if folder in snapshot:
            yield folder, category_of(root, (name,))


def _default_order(root: Root, folder: str) -> int:
    """The place of a folder in a models root that is ComfyUI's own elsewhere."""
    alone = Root(root.kind, root.path, searched=(SearchedFolder(root.path, 0),))
    return search_order(alone, folder) or 0


class Shadows:
    """The files that are not loaded, by folder and name, each with the path of the one that is."""

    def __init__(self, searched: Sequence[SearchedFolders], roots: Iterable[str]) -> None:
        """`roots` are the paths of all roots: what lies in an inner one has its own category."""
        self.searched = searched
        self.by_folder: dict[str, dict[str, str]] = {}
        self._tops = {top: group for group in searched for top in group.folders}
        self._inner = {
            top: [path for path in roots if path != top and is_below(path, top)]
            for top in self._tops
        }

    @property
    def count(self) -> int:
        """The number of files, and of folders of the category `diffusers`, that are not loaded."""
        return sum(map(len, self.by_folder.values()))

    def find_all(self, snapshot: Snapshot, owner: OwnerOf) -> None:
        """Look at all folders that stand at the same place in several searched folders."""
        for group in self.searched:
            below: set[str] = set()
            for number, top in enumerate(group.folders):
                for path, _ in directories_below(snapshot, top) if number else ():
                    part = tail(path, top)
                    if any(_at(first, part) in snapshot for first in group.folders[:number]):
                        below.add(part)
            for part in below:
                self._look(group, part, snapshot, owner)

    def renew(self, paths: Iterable[str], snapshot: Snapshot, owner: OwnerOf) -> set[str]:
        """Look again after the directories at `paths` changed. Returns the folders in which other
        files are shadowed now than before."""
        changed: set[str] = set()
        looked: set[tuple[str, str]] = set()
        for path in paths if self._tops else ():
            top = nearest_above(path, self._tops)
            if top is None:
                continue
            group, part = self._tops[top], tail(path, top)
            parts = [part, os.path.dirname(part)] if group.category == DIFFUSERS else [part]
            for part in parts:
                if (group.folders[0], part) not in looked:
                    looked.add((group.folders[0], part))
                    changed |= self._look(group, part, snapshot, owner)
        return changed

    def _look(
        self, group: SearchedFolders, part: str, snapshot: Snapshot, owner: OwnerOf
    ) -> set[str]:
        """Compare the folders at the place `part` below the searched ones. Returns those in which
        other files are shadowed now than before."""
        paths = [_at(top, part) for top in group.folders]
        if EXCLUDED_FOLDER in part.split(os.sep):
            return set()
        present = [
            path
            for top, path in zip(group.folders, paths, strict=True)
            if path in snapshot and not any(is_below(path, inner) for inner in self._inner[top])
        ]
        found = _shadowed(group.category, present, snapshot, owner)
        changed = {path for path in paths if self.by_folder.get(path, {}) != found.get(path, {})}
        for path in changed:
            self.by_folder.pop(path, None)
            if path in found:
                self.by_folder[path] = found[path]
        return changed


def _shadowed(
    category: str, paths: Sequence[str], snapshot: Snapshot, owner: OwnerOf
) -> dict[str, dict[str, str]]:
    """The files of directories of one category that an earlier one of `paths` shadows."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    if len(paths) < 2:
        return found
    rows = [_types(snapshot[path].listing) for path in paths]
    for number in range(1, len(paths)):
        path, types = paths[number], rows[number]
        for name in types.keys() & set().union(*rows[:number]):
            if not is_model(category, path, name, types[name], snapshot):
                continue
            for first, others in zip(paths[:number], rows, strict=False):
                # Whatever stands there is loaded, also a folder that is no model.
                if others.get(name) in _LOADED.get(category, FILES):
                    if owner(first, name, others[name]) != owner(path, name, types[name]):
                        found[path][name] = join(first, name)
                    break
    return found


_LOADED: Mapping[str, Collection[str]] = {DIFFUSERS: CONTAINERS}


def _types(listing: Listing) -> dict[str, str]:
    return dict(zip(listing.split_names(), listing.types, strict=True))


def _at(top: str, part: str) -> str:
    return join(top, part) if part else top
