"""The names that ComfyUI's loaders have for the entries of a folder, as text of their lines."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

import orjson

from scanner.core.model_names import (
    DIFFUSERS,
    EXCLUDED_FOLDER,
    MODEL_INDEX,
    endings_of,
    is_listed,
)
from scanner.core.paths import join, tail
from scanner.core.roots import Root, category_of
from scanner.core.serialize import is_utf8, path_fields, text_fields, with_slashes
from scanner.core.snapshot import CONTAINERS, FILE, FILE_LINK, Listing, Snapshot

FILES = (FILE, FILE_LINK)

_SPECIAL = (DIFFUSERS, "classifiers")
"""Categories whose models are told by more than the ends of their names."""


def category_parts(root: Root, path: str) -> tuple[str, str] | None:
    """The category of a directory, and its path below the folder of the category.

    None where no loader looks.
    """
    below = tail(path, root.path)
    if root.category:
        category = root.category
    else:
        first, _, below = below.partition(os.sep)
        category = category_of(root, (first,)) if first else ""
    if not category or (EXCLUDED_FOLDER in below and EXCLUDED_FOLDER in below.split(os.sep)):
        return None
    return category, below


def is_model(category: str, folder: str, name: str, letter: str, snapshot: Snapshot) -> bool:
    """True if a loader of `category` lists the entry `name` of `folder`. `letter` is its type."""
    if category != DIFFUSERS:
        return letter in FILES and is_listed(category, name)
    directory = snapshot.get(join(folder, name)) if letter in CONTAINERS else None
    return directory is not None and MODEL_INDEX in directory.listing.split_names()


class LoaderNames:
    """The names of the entries of one folder."""

    def __init__(self, root: Root, path: str, snapshot: Snapshot, base: str | None) -> None:
        """`base` is the folder that displayed paths are relative to."""
        self._path = path
        self._snapshot = snapshot
        self._base = base
        self._place = category_parts(root, path)

    def texts(
        self, listing: Listing, shadows: Mapping[str, str], *, has_plain_names: bool
    ) -> list[str] | None:
        """The fields of each row as they follow others in its line; None if no row has any.

        `has_plain_names` says that the names stand in JSON as they are. `shadows` are paths of the
        files that are loaded instead of some of them.
        """
        if self._place is None:
            return None
        category, below = self._place
        names = listing.split_names()
        # The names are sorted: this is a tenth of the cost of a search in the text of all.
        hidden = bisect_left(names, ".")
        has_dots = hidden < len(names) and names[hidden].startswith(".")
        is_simple = category not in _SPECIAL and not has_dots and has_plain_names
        if shadows or not is_simple or not is_utf8(below):
            rows = zip(names, listing.types, strict=True)
            return list(self._each(category, below, rows, shadows))
        prefix = orjson.dumps({"name": with_slashes(below) + "/" * bool(below)}).decode()
        before, endings = f",{prefix[1:-2]}", endings_of(category)
        if endings is None:
            rows = zip(names, listing.types, strict=True)
            return [f'{before}{name}"' if letter in FILES else "" for name, letter in rows]
        # Nearly all models come here. This takes a fifth of the time of the others.
        lowered = listing.names.lower()
        lows = names if lowered == listing.names else lowered.split("\0")
        return [
            f'{before}{name}"' if low.endswith(endings) and letter in FILES else ""
            for name, low, letter in zip(names, lows, listing.types, strict=True)
        ]

    def text(self, name: str, letter: str) -> str:
        """The field of an entry that no other file shadows; empty if it has no name."""
        if self._place is None:
            return ""
        category, below = self._place
        return next(self._each(category, below, ((name, letter),), {}))

    def _each(
        self,
        category: str,
        below: str,
        rows: Iterable[tuple[str, str]],
        shadows: Mapping[str, str],
    ) -> Iterator[str]:
        for name, letter in rows:
            if not is_model(category, self._path, name, letter, self._snapshot):
                yield ""
                continue
            text = join(below, name) if below else name
            fields = text_fields(with_slashes(text), "name")
            if name in shadows:
                fields |= path_fields(shadows[name], self._base, "shadowed_by")
            yield "," + orjson.dumps(fields).decode()[1:-1]
