"""Files of one or several inventories as one table of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scanner.views.book import Book
from scanner.views.select import Filter, rows_of, sort_keys


class Found(NamedTuple):
    """The files that were asked for, in their order. Where `machines` is empty, all are of the
    first book."""

    machines: Sequence[int]
    rows: Sequence[int]
    bytes: int
    """Of each file once."""


def find(books: Sequence[Book], wanted: Filter, sort: str = "", *, down: bool = False) -> Found:
    """The files that fit, sorted by one of `SORTS`; without, in the order of the inventories."""
    parts = [rows_of(book, wanted) for book in books]
    total = sum(
        sum(book.files.size[row] for row in rows if not book.files.alias[row])
        for book, rows in zip(books, parts, strict=True)
    )
    if len(books) == 1:
        return Found((), _sorted(books[0], parts[0], sort, down), total)
    keyed = [
        (key, machine, row)
        for machine, rows in enumerate(parts)
        for key, row in zip(_keys(books[machine], sort, rows), rows, strict=True)
    ]
    if sort:
        keyed.sort(key=lambda item: item[0], reverse=down)
    return Found([item[1] for item in keyed], [item[2] for item in keyed], total)


def _keys(book: Book, sort: str, rows: Sequence[int]) -> Iterator[Any]:
    return iter(sort_keys(book, sort, rows) if sort else rows)


def _sorted(book: Book, rows: Sequence[int], sort: str, down: bool) -> Sequence[int]:
    if not sort:
        return rows
    keys = dict(zip(rows, sort_keys(book, sort, rows), strict=True))
    return sorted(rows, key=keys.__getitem__, reverse=down)


def table_of(books: Sequence[Book], found: Found) -> dict[str, Any]:
    """The columns, and the lists that the numbers in some of them are indexes of."""
    read = _Reader(books, found)
    merged = {name: _Merged([of(book) for book in books]) for name, of in _NAMES.items()}
    columns: dict[str, list[Any]] = {
        "machine": list(found.machines) or [0] * len(found.rows),
        "row": list(found.rows),
    }
    folders, columns["folder"] = _folders(books, read)
    for name in ("name", "size", "time"):
        columns[name] = read.column(name)
    for column, name in _INDEXED.items():
        columns[column] = read.mapped(column, merged[name].maps)
    for name in ("hash", "loader", "alias", "model"):
        columns[name] = read.column(name)
    return {**{name: each.texts for name, each in merged.items()}, "folders": folders,
            "columns": columns}  # fmt: skip


_NAMES: Mapping[str, Callable[[Book], Sequence[str]]] = {
    "drives": lambda book: book.drives,
    "categories": lambda book: book.files.categories.texts,
    "bases": lambda book: book.files.bases.texts,
    "kinds": lambda book: book.files.kinds.texts,
    "words": lambda book: book.files.words.texts,
}

_INDEXED = {
    "drive": "drives",
    "category": "categories",
    "base": "bases",
    "kind": "kinds",
    "word": "words",
}


class _Reader:
    """Values of the files that were found, in their order."""

    def __init__(self, books: Sequence[Book], found: Found) -> None:
        self._books = books
        self._rows = found.rows
        self._pairs = list(zip(found.machines, found.rows, strict=True)) if found.machines else None

    def column(self, name: str) -> list[Any]:
        columns = [getattr(book.files, name) for book in self._books]
        if self._pairs is None:
            return list(map(columns[0].__getitem__, self._rows))
        return [columns[machine][row] for machine, row in self._pairs]

    def mapped(self, name: str, maps: Sequence[Any]) -> list[Any]:
        """A column of indexes, each through the map of its machine."""
        if self._pairs is None:
            return list(map(maps[0].__getitem__, self.column(name))) if self._rows else []
        columns = [getattr(book.files, name) for book in self._books]
        return [maps[machine][columns[machine][row]] for machine, row in self._pairs]

    def used(self, name: str) -> list[set[int]]:
        """The values that occur in a column, by machine."""
        if self._pairs is None:
            return [set(self.column(name))]
        found: list[set[int]] = [set() for _ in self._books]
        columns = [getattr(book.files, name) for book in self._books]
        for machine, row in self._pairs:
            found[machine].add(columns[machine][row])
        return found


class _Merged:
    """Several lists of texts as one, and where each text of each list is in it."""

    def __init__(self, lists: Sequence[Sequence[str]]) -> None:
        indexes: dict[str, int] = {}
        self.maps = [[indexes.setdefault(text, len(indexes)) for text in texts] for texts in lists]
        self.texts = list(indexes)


def _folders(books: Sequence[Book], read: _Reader) -> tuple[dict[str, Any], list[int]]:
    """The folders of the files and those above, under one that is above all; and the column."""
    parents, names = [0], [""]
    maps: list[dict[int, int]] = []
    for book, used in zip(books, read.used("folder"), strict=False):
        folders, at = book.files.folders, {0: 0}
        needed = set(used)
        for index in range(len(folders.names) - 1, 0, -1):
            if index in needed:
                needed.add(folders.parents[index])
        for index in sorted(needed - {0}):
            at[index] = len(names)
            parents.append(at[folders.parents[index]])
            names.append(folders.names[index])
        maps.append(at)
    return {"parent": parents, "name": names}, read.mapped("folder", maps)
