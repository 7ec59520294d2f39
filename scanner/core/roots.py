"""The folders to scan: what a root is, which one owns a path, what ComfyUI calls its folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.core.paths import is_below, join, tail
from scanner.core.serialize import readable

LEGACY_CATEGORIES = {"unet": "diffusion_models", "clip": "text_encoders"}
"""Old category names and today's, as ComfyUI's folder_paths.map_legacy has them."""


def category_in(root: Root, path: str) -> str:
    """The category of a folder of `root`, as readers see it."""
    below = tail(path, root.path)
    return readable(category_of(root, below.split(os.sep) if below else []))


MAX_PATHS = 64
"""Paths to one folder that are entered, if the settings say nothing (rule 11)."""

KINDS = ("models", "custom_nodes", "input", "output", "workflows", "downloads", "extra")
"""Kinds of roots, in the order in which they own a directory that several of them reach."""

COMPLETE = frozenset(("online", "absent"))
"""States of roots in which nothing that should be there is out of reach."""

FOLDER_CATEGORIES = LEGACY_CATEGORIES | {"t2i_adapter": "controlnet"}
"""Folders of a models root that belong to a category of another name (ComfyUI's folder_paths)."""

OUTPUT_FOLDERS = frozenset(("checkpoints", "clip", "vae", "diffusion_models", "loras"))
"""Folders of output that ComfyUI's main.py registers as model folders as well."""

_SECOND_FOLDERS = frozenset(("diffusion_models", "clip", "t2i_adapter"))
"""Folders of a models root that ComfyUI searches after another one of the same category
(folder_paths.py: unet comes before diffusion_models)."""


class SearchedFolder(NamedTuple):
    """A folder in which ComfyUI searches models. `order` sorts the folders of one category.

    The path of a models or output root itself stands for all folders in it that ComfyUI knows.
    `named_by` is the path of the file that names it; empty for ComfyUI's own folders.
    """

    path: str
    order: int
    named_by: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder to scan.

    `path` is absolute and lexical (links are not resolved). `category` is what ComfyUI calls
    everything below it where the root itself is one category (an entry of
    extra_model_paths.yaml); empty where the category is the first folder name below a models root.
    `named_by` is the path of the file that names it; empty for the settings, None if not known.
    `searched` are the folders of it that ComfyUI searches; none if ComfyUI does not know it.
    `patterns` are gitignore lines of what does not belong to it, whatever the settings say.
    `is_optional`: ComfyUI makes it when it needs it, so that it may never have been there.
    """

    kind: str
    path: str
    category: str = ""
    named_by: str | None = field(default="", compare=False)
    searched: tuple[SearchedFolder, ...] = field(default=(), compare=False)
    patterns: tuple[str, ...] = field(default=(), compare=False)
    is_optional: bool = field(default=False, compare=False)

    @property
    def id(self) -> str:
        """Identity of the root in every file and message: `kind:path`."""
        return f"{self.kind}:{self.path}"


def category_of(root: Root, parts: Sequence[str]) -> str:
    """The name that ComfyUI has for the models in one directory; empty if they have no category.

    `parts` are the names from the root down to the directory, itself included; none for the root.
    A directory's own entry takes its own parts, a file those of the directory that holds it, so
    that a file directly in a models root has no category, and one call serves a whole directory.
    """
    if root.category:
        return root.category
    if not parts:
        return ""
    if root.kind == "models" or (root.kind == "output" and parts[0] in OUTPUT_FOLDERS):
        return FOLDER_CATEGORIES.get(parts[0], parts[0])
    return ""


def category_folder(root: Root, path: str) -> str:
    """The folder of the category that the directory `path` of `root` belongs to. Names of models
    begin below it. Empty if there is no category."""
    if root.category:
        return root.path
    below = tail(path, root.path)
    first = below.split(os.sep, 1)[0]
    return join(root.path, first) if below and category_of(root, (first,)) else ""


def search_order(root: Root, folder: str) -> int | None:
    """The place of `folder`, which holds a category, among the folders of this category.

    None if ComfyUI does not search it.
    """
    orders = {searched.path: searched.order for searched in root.searched}
    if folder in orders or root.path not in orders:
        return orders.get(folder)
    return orders[root.path] + (tail(folder, root.path) in _SECOND_FOLDERS)


def owner_of(path: str, roots: Iterable[Root]) -> Root | None:
    """The root that `path` belongs to: of nested roots the inner one (design rule 11)."""
    owners = (root for root in roots if is_below(path, root.path))
    return max(owners, key=lambda root: len(root.path), default=None)
