"""The table of files, and one file of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from scanner.core.wording import folded
from scanner.output.inventory_reader import OpenInventory
from scanner.views.book import Book
from scanner.views.entries import Found, find, table_of
from scanner.views.select import SORTS, Filter
from scanner.web.answers import one_time_json, refused
from scanner.web.hall import (
    Json,
    book_of,
    hall_of,
    number,
    reader_of,
    readers_of,
    whole_number,
)
from scanner.web.threads import in_thread

MOST_ROWS = 300_000
"""Rows of one answer. A browser holds as many, and filters them in no time."""

_MOST_WORDS = 16

_KEPT = 4
"""Searches whose results are kept for their next pages."""

_PARAMETERS = frozenset(
    ("q", "machine", "drive", "category", "base", "kind", "status", "root", "folder", "min_size",
     "max_size", "since", "models", "aliases", "sort", "limit", "cursor")
)  # fmt: skip


class _Request(NamedTuple):
    wanted: Filter
    sort: str
    down: bool


class Searches:
    """The last results, for those who turn pages."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, Found] = OrderedDict()

    def find(self, books: list[Book], asked: _Request) -> Found:
        """The files that were asked for. Blocks."""
        key = (tuple(id(book) for book in books), tuple(book.version for book in books), asked)
        found = self._kept.get(key)
        if found is None:
            found = find(books, asked.wanted, asked.sort, down=asked.down)
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)), None)
        return found


async def entries(request: Request) -> Response:
    """`/api/v1/entries`."""
    for name in request.query_params:
        if name not in _PARAMETERS:
            raise refused(400, f"There is no parameter {name[:40]!r}.")
    asked = _asked(request)
    limit = number(request, "limit", MOST_ROWS, 1, MOST_ROWS)
    readers = readers_of(request)
    seen = [await book_of(reader) for reader in readers]
    books = [book for book, _ in seen]
    version = " ".join(book.version for book in books)
    start = _start(request.query_params.get("cursor"), version)
    searches: Searches = request.app.state.searches

    def make() -> Json:
        found = searches.find(books, asked)
        stop = start + limit
        page = Found(found.machines[start:stop], found.rows[start:stop], found.bytes)
        return {
            "schema": 1,
            "machines": [reader.source.name for reader in readers],
            "scans": [book.scan for book in books],
            "total": len(found.rows),
            "bytes": found.bytes,
            "cursor": _cursor(stop, version) if stop < len(found.rows) else None,
            **table_of(books, page),
        }

    stamp = f"entries {asked} {limit} {start} {[r.source.name for r in readers]} {version}"
    is_whole = set(request.query_params) <= {"machine"}  # as the page asks
    return await hall_of(request).answers.json(request, stamp, make, keep=is_whole)


def _asked(request: Request) -> _Request:
    query = request.query_params
    words = tuple(dict.fromkeys(folded(query.get("q", "")).split()))
    if len(words) > _MOST_WORDS:
        raise refused(400, f"q: expected at most {_MOST_WORDS} words.")
    sort = query.get("sort", "")
    if sort and sort.removeprefix("-") not in SORTS:
        raise refused(400, f"sort: expected one of {', '.join(SORTS)}, with - before it or not.")
    wanted = Filter(
        words,
        drives=tuple(query.getlist("drive")),
        categories=tuple(query.getlist("category")),
        bases=tuple(query.getlist("base")),
        kinds=tuple(query.getlist("kind")),
        statuses=tuple(query.getlist("status")),
        roots=tuple(query.getlist("root")),
        folder=query.get("folder", ""),
        min_size=_number_or_none(request, "min_size"),
        max_size=_number_or_none(request, "max_size"),
        since=_number_or_none(request, "since"),
        models=_flag(request, "models"),
        aliases=_flag(request, "aliases") is not False,
    )
    return _Request(wanted, sort.removeprefix("-"), sort.startswith("-"))


def _number_or_none(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    value = whole_number(text)
    if value is None:
        raise refused(400, f"{name}: expected a number.")
    return value


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in (None, "0", "1"):
        raise refused(400, f"{name}: expected 0 or 1.")
    return None if text is None else text == "1"


def _cursor(position: int, version: str) -> str:
    return f"{position}-{_sign(version)}"


def _sign(version: str) -> str:
    from hashlib import sha256

    return sha256(version.encode()).hexdigest()[:12]


def _start(cursor: str | None, version: str) -> int:
    if cursor is None:
        return 0
    digits, _, sign = cursor.partition("-")
    position = whole_number(digits)
    if position is None or position < 0:
        raise refused(400, "cursor: expected the cursor of an answer.")
    if sign != _sign(version):
        raise refused(410, "The inventory has changed: begin without a cursor.")
    return position


async def entry(request: Request) -> Response:
    """`/api/v1/entry`: all that is known of one file."""
    reader = reader_of(request, request.query_params.get("machine"))
    row = number(request, "row", -1, 0, 1 << 40)
    scan = number(request, "scan", -1, 0, 1 << 60)
    if row < 0:
        raise refused(400, "row: expected the number of a row.")
    book, _ = await book_of(reader)
    if scan not in (-1, book.scan):
        raise refused(409, "The inventory has been replaced: fetch the table anew.")
    if row >= len(book.files):
        raise refused(404, "There is no such row.")
    found = await in_thread(_entry_at, reader.source.outputs.inventory, book, row)
    if found is None:
        raise refused(409, "The inventory has been replaced: fetch the table anew.")
    return one_time_json(
        {"schema": 1, "machine": reader.source.name, "scan": book.scan, "entry": found}
    )


def _entry_at(path: str, book: Book, row: int) -> Json | None:
    """The file in row `row` of the inventory; None if it is another inventory now."""
    with OpenInventory(path) as inventory:
        header = inventory.header
        if (header["scan"], header["generated"]) != (book.scan, book.header["generated"]):
            return None
        return inventory.entry_at(book.files.place[row])
