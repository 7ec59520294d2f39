"""What the page shows, and parts of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from scanner import __version__
from scanner.core.serialize import printable
from scanner.errors import OutputError
from scanner.output.history_reader import read_history
from scanner.views.growth import growth_page
from scanner.views.summary import summary
from scanner.web.answers import refused
from scanner.web.files import Reader, View
from scanner.web.hall import Json, book_of, hall_of, reader_of, readers_of, view_of
from scanner.web.threads import in_thread

_Part = Callable[[View], Any]


async def pages(request: Request) -> Response:
    """`/api/v1/pages`."""
    readers = readers_of(request)
    views = [await view_of(reader) for reader in readers]
    accepts = any(reader.source.is_here for reader in readers)

    def make() -> Json:
        machines = _machines(readers, views, lambda view: {"pages": view.pages})
        return {"schema": 1, "version": __version__, "accepts": accepts, "machines": machines}

    return await hall_of(request).answers.json(request, _stamp(views), make, keep=True)


async def entry_sums(request: Request) -> Response:
    """`/api/v1/summary`."""
    readers = readers_of(request)
    views = [await view_of(reader) for reader in readers]

    def make() -> Json:
        return summary(_machines(readers, views, lambda view: {"pages": view.pages}))

    return await hall_of(request).answers.json(request, f"summary {_stamp(views)}", make)


def part(name: str) -> Callable[[Request], Any]:
    """The route of the part `name` of the pages."""

    async def route(request: Request) -> Response:
        readers = readers_of(request)
        views = [await view_of(reader) for reader in readers]

        def make() -> Json:
            found = _machines(readers, views, lambda view: {name: view.pages[name]})
            return {"schema": 1, "machines": found}

        return await hall_of(request).answers.json(request, f"{name} {_stamp(views)}", make)

    return route


async def roots(request: Request) -> Response:
    """`/api/v1/roots`: the roots of the inventories, with what their statuses add."""
    readers = readers_of(request)
    views = [await view_of(reader) for reader in readers]

    def make() -> Json:
        found = _machines(readers, views, lambda view: {"roots": _roots(view)})
        return {"schema": 1, "machines": found}

    return await hall_of(request).answers.json(request, f"roots {_stamp(views)}", make)


def _roots(view: View) -> list[Json]:
    status = view.pages["status"] or {"roots": (), "holds": ()}
    now = {root["id"]: root for root in status["roots"]}
    holds = {hold["id"]: hold for hold in status["holds"]}
    assert view.book is not None
    return [
        {
            **root,
            **now.get(root["id"], {}),
            **({"hold": holds[root["id"]]} if root["id"] in holds else {}),
        }
        for root in view.book.header["roots"]
    ]


async def history(request: Request) -> Response:
    """`/api/v1/history`: how the folders grew, and what scans cost, by day."""
    readers = readers_of(request)
    paths = [reader.source.outputs.history for reader in readers]
    stamp = await in_thread(lambda: " ".join(map(_mark, paths)))

    def make() -> Json:
        found = [
            {"name": reader.source.name, "history": growth_page(read_history(path))}
            for reader, path in zip(readers, paths, strict=True)
        ]
        return {"schema": 1, "machines": found}

    try:
        return await hall_of(request).answers.json(request, f"history {stamp}", make, keep=True)
    except OutputError as error:
        raise refused(503, printable(str(error))) from None


def _mark(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return path  # there is none yet
    return f"{path} {status.st_mtime_ns} {status.st_size} {status.st_ino}"


async def tree(request: Request) -> Response:
    """`/api/v1/tree`."""
    from scanner.views.tree import DEEPEST
    from scanner.views.tree import tree as tree_of
    from scanner.web.hall import number

    reader = reader_of(request, request.query_params.get("machine"))
    depth = number(request, "depth", 1, 0, DEEPEST)
    path = request.query_params.get("path", "")
    book, view = await book_of(reader)
    if book.folder_at(path) is None:
        raise refused(404, "No file lies there.")

    def make() -> Json:
        return {
            "schema": 1,
            "machine": reader.source.name,
            "scan": book.scan,
            **(tree_of(book, path, depth) or {}),
        }

    stamp = f"tree {reader.source.name} {path!r} {depth} {view.version}"
    return await hall_of(request).answers.json(request, stamp, make)


def _machines(readers: Sequence[Reader], views: Sequence[View], part_of: _Part) -> list[Json]:
    machines = []
    for reader, view in zip(readers, views, strict=True):
        machine: Json = {"name": reader.source.name}
        if view.book is None:
            machine["error"] = view.error
        else:
            machine |= {"scan": view.book.scan, **part_of(view)}
        machines.append(machine)
    return machines


def _stamp(views: Sequence[View]) -> str:
    return " ".join(view.stamp for view in views)
