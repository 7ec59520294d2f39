"""The routes of the panel below `/comfy_inventory/`. All answer from memory and ask no disk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import pages
from .library import Library
from .panel import Panel

PREFIX = "/comfy_inventory"

_LARGEST_WORKFLOW = 64 << 20

Page = Callable[[Library], dict[str, Any]]


def add_routes(routes: Any, panel: Panel) -> None:
    """Register all routes on ComfyUI's table of routes."""

    async def answer(page: Page) -> web.Response:
        view = panel.watcher.view
        if view.library is None:
            return web.json_response({"error": view.error or "The inventory is being read."})
        # A large inventory takes some milliseconds: not in the event loop.
        document = await asyncio.to_thread(page, view.library)
        return web.json_response({"error": "", "scan": view.library.scan, **document})

    async def get_state(request: web.Request) -> web.Response:
        since = request.query.get("since", "-1")
        number = int(since) if since.isascii() and since.isdigit() and len(since) < 16 else -1
        return web.json_response(pages.state(panel.watcher.view, number, panel.fast_state()))

    async def get_problems(_: web.Request) -> web.Response:
        return await answer(lambda library: pages.problems(library, panel.watcher.view.status))

    async def get_new(_: web.Request) -> web.Response:
        return await answer(lambda _library: pages.new(panel.watcher.view.new))

    async def get_drives(_: web.Request) -> web.Response:
        return await answer(lambda library: pages.drives(library, panel.watcher.view.status))

    async def get_search(request: web.Request) -> web.Response:
        text = request.query.get("q", "")[:1000]
        return await answer(lambda library: pages.found(library, text))

    async def post_workflow(request: web.Request) -> web.Response:
        document = await _json(request)
        return await answer(lambda library: pages.workflow(library, document))

    async def post_fast_lists(request: web.Request) -> web.Response:
        document = await _json(request)
        wanted = document.get("on") if isinstance(document, dict) else None
        if not isinstance(wanted, bool):
            raise web.HTTPBadRequest(text='{"on": true} or {"on": false} is expected')
        try:
            await asyncio.to_thread(panel.want_fast_lists, wanted)
        except OSError as error:
            return web.json_response({"error": f"The settings cannot be written: {error}."})
        return web.json_response({"error": "", **panel.fast_state()})

    for method, handler in (
        ("GET", get_state),
        ("GET", get_problems),
        ("GET", get_new),
        ("GET", get_drives),
        ("GET", get_search),
        ("POST", post_workflow),
        ("POST", post_fast_lists),
    ):
        name = handler.__name__.partition("_")[2]
        routes.route(method, f"{PREFIX}/{name}")(handler)


async def _json(request: web.Request) -> Any:
    # Pages of other sites can send texts without being asked first, and no JSON.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="application/json is expected")
    if (request.content_length or 0) > _LARGEST_WORKFLOW:
        raise web.HTTPRequestEntityTooLarge(_LARGEST_WORKFLOW, request.content_length or 0)
    data = await request.read()
    try:
        return await asyncio.to_thread(json.loads, data)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="it is no JSON") from None
