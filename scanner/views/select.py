"""Which files of an inventory a request asks for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from scanner.core.wording import folded
from scanner.views.book import Book
from scanner.views.table import chosen


class Filter(NamedTuple):
    """What is asked of a file. Empty tuples and None ask nothing."""

    words: tuple[str, ...] = ()
    """Folded. Each must be in the name, or in the path of the folder."""
    drives: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    """Ids of roots, or their paths."""
    folder: str = ""
    min_size: int | None = None
    max_size: int | None = None
    since: int | None = None
    """Seconds since 1970."""
    models: bool | None = None
    aliases: bool = True


SORTS = ("name", "path", "size", "time", "category", "base", "kind", "status")


def rows_of(book: Book, wanted: Filter) -> Sequence[int]:
    """The rows of the files that fit, in the order of the inventory."""
    files = book.files
    rows: Sequence[int] = range(len(files))
    named = (
        (wanted.drives, book.drives, files.drive),
        (wanted.categories, files.categories.texts, files.category),
        (wanted.bases, files.bases.texts, files.base),
        (wanted.kinds, files.kinds.texts, files.kind),
        (wanted.statuses, files.words.texts, files.word),
        (wanted.roots and _root_ids(book, wanted.roots), files.roots.texts, files.root),
    )
    for asked, texts, column in named:
        if asked:
            fits = {index for index, text in enumerate(texts) if text in asked}
            rows = _where(rows, column, fits.__contains__)
    if wanted.folder:
        rows = _where(rows, files.folder, _below(book, wanted.folder).__contains__)
    if wanted.min_size is not None:
        rows = _where(rows, files.size, wanted.min_size.__le__)
    if wanted.max_size is not None:
        rows = _where(rows, files.size, wanted.max_size.__ge__)
    if wanted.since is not None:
        rows = _where(rows, files.time, wanted.since.__le__)
    if wanted.models is not None:
        rows = _where(rows, files.model, int(wanted.models).__eq__)
    if not wanted.aliases:
        rows = _where(rows, files.alias, (0).__eq__)
    for word in sorted(wanted.words, key=len, reverse=True):
        rows = _with_word(book, rows, word)
    return rows


def _where(rows: Sequence[int], column: Sequence[Any], fits: Callable[[Any], Any]) -> Sequence[int]:
    if len(rows) == len(column):
        return [row for row, value in enumerate(column) if fits(value)]
    return [row for row in rows if fits(column[row])]


def _root_ids(book: Book, asked: Sequence[str]) -> tuple[str, ...]:
    ids = [root["id"] for root in book.header["roots"] if root["path"] in asked]
    return (*asked, *ids)


def _below(book: Book, folder: str) -> set[int]:
    """The folder at this path, and all below it."""
    folders = book.files.folders
    top = book.folder_at(folder)
    if top is None:
        return set()
    found = {top}
    for index in range(top + 1, len(folders.names)):  # parents stand before their children
        if folders.parents[index] in found:
            found.add(index)
    return found


def _with_word(book: Book, rows: Sequence[int], word: str) -> Sequence[int]:
    folder_has = [word in path for path in book.folder_paths]
    above, slash, start = word.rpartition("/")
    ends = [slash != "" and path.endswith(above) for path in book.folder_paths]
    in_name = set(_rows_with(book, word))
    folder, names = book.files.folder, book.files.name
    if not slash:
        return [row for row in rows if folder_has[folder[row]] or row in in_name]
    return [
        row
        for row in rows
        if folder_has[folder[row]] or (ends[folder[row]] and folded(names[row]).startswith(start))
    ]


def _rows_with(book: Book, word: str) -> Iterable[int]:
    """The rows of the files with `word` in their names. One search through all names at once is
    several times as fast as one in each."""
    text, starts = book.folded_names, book.name_starts
    position = text.find(word)
    while position >= 0:
        row = bisect_right(starts, position) - 1
        yield row
        if row + 1 == len(starts):
            return
        position = text.find(word, starts[row + 1])


def sort_keys(book: Book, sort: str, rows: Sequence[int]) -> Iterable[Any]:
    """What the files in `rows` are sorted by; `sort` is one of `SORTS`."""
    files = book.files
    if sort in ("size", "time"):
        return chosen(getattr(files, sort), rows)
    if sort == "name":
        return map(folded, chosen(files.name, rows))
    if sort == "path":
        paths = book.folder_paths
        return ((paths[files.folder[row]], folded(files.name[row])) for row in rows)
    texts, column = {
        "category": (files.categories.texts, files.category),
        "base": (files.bases.texts, files.base),
        "kind": (files.kinds.texts, files.kind),
        "status": (files.words.texts, files.word),
    }[sort]
    return chosen([folded(text) for text in texts], list(chosen(column, rows)))
