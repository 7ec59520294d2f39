"""The order in which ComfyUI searches the folders of a category.

ComfyUI loads the first file of a name that it finds. Its folder_paths.add_model_folder_path appends
a folder to the list of its category. With `is_default` it inserts the folder in front, or moves it
there. Its own folders come first in the list. Those in output are appended last (main.py).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scanner.comfyui.extra_model_paths import ExtraPath
from scanner.core.paths import tail
from scanner.core.roots import Root, SearchedFolder, category_folder, category_of, owner_of

OWN = 0

OUTPUT = 1 << 52

_FILE = 1 << 32
"""Numbers for the folders of one file. The numbers of a file do not depend on what other files
name, so that one that is away moves no others."""

_FIRST = 16
"""Above the places of ComfyUI's own folders."""


def with_search_order(
    roots: Iterable[Root],
    own: Mapping[str, int],
    named: Iterable[tuple[str, ExtraPath]],
    files: Sequence[str],
) -> tuple[Root, ...]:
    """`roots` with the folders of them that ComfyUI searches.

    `own` are the paths of the models and output folder of ComfyUI, with their places. `named` are
    the folders that extra_model_paths.yaml names, each with the path of its file, in the order in
    which ComfyUI reads them. `files` are all such files in this order, read or not.
    """
    roots = tuple(roots)
    models = {path: Root("models", path) for path, order in own.items() if order == OWN}
    numbers = {file: number for number, file in reversed(list(enumerate(files)))}
    read: Counter[str] = Counter()
    found: dict[tuple[str, str], SearchedFolder] = {}
    for file, entry in named:
        key = entry.category, entry.path
        place = numbers[file] * _FILE + _FIRST + read[file]
        read[file] += 1
        if entry.is_default:
            found[key] = SearchedFolder(entry.path, -place, file)
        elif key not in found and not _is_own(entry, models):
            found[key] = SearchedFolder(entry.path, place, file)
    searched = {
        root.path: [SearchedFolder(root.path, own[root.path])] if _is_whole(root, own) else []
        for root in roots
    }
    for (category, path), folder in found.items():
        owner = owner_of(path, roots)
        if owner is not None and _category_at(owner, path) == category:
            searched[owner.path].append(folder)
    return tuple(replace(root, searched=tuple(searched[root.path])) for root in roots)


def _is_whole(root: Root, own: Mapping[str, int]) -> bool:
    return root.path in own and not root.category


def _is_own(entry: ExtraPath, models: Mapping[str, Root]) -> bool:
    """True if ComfyUI searches the folder anyway."""
    root = models.get(os.path.dirname(entry.path))
    return root is not None and _category_at(root, entry.path) == entry.category


def _category_at(root: Root, path: str) -> str:
    """The category whose folder is `path` itself; empty if there is none."""
    if category_folder(root, path) != path:
        return ""
    below = tail(path, root.path)
    return category_of(root, below.split(os.sep) if below else ())
