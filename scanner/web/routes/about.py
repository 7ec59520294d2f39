"""The page itself, whether the server lives, its metrics, and the description of all that."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from scanner.core.serialize import printable
from scanner.errors import InventoryError
from scanner.web.answers import one_time_json, refused
from scanner.web.hall import hall_of
from scanner.web.openapi import document
from scanner.web.threads import in_thread

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Asset(NamedTuple):
    content: bytes
    type: str
    tag: str


def read_assets() -> dict[str, _Asset]:
    """The files of the page by name. Nothing else is ever read for a path that is asked for."""
    found = {}
    for each in (files("scanner.web") / "bundle").iterdir():
        ending = each.name.rpartition(".")[2]
        if ending in _TYPES:
            content = each.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            found[each.name] = _Asset(content, _TYPES[ending], tag)
    return found


def _asset(request: Request, name: str) -> Response:
    asset: _Asset | None = request.app.state.assets.get(name)
    if asset is None:
        raise refused(404, "There is nothing of that name here.")
    headers = {"etag": asset.tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.type)


async def index(request: Request) -> Response:
    """`/`: the page. Without the slash at its end, its relative addresses would lead elsewhere."""
    base = hall_of(request).base
    if base and request.scope["raw_path"] == base.encode():
        return RedirectResponse(f"{base}/", 308)
    return _asset(request, "index.html")


async def asset(request: Request) -> Response:
    """`/assets/NAME`."""
    return _asset(request, request.path_params["name"])


async def healthz(request: Request) -> Response:
    """`/healthz`."""
    return PlainTextResponse("ok\n")


async def metrics(request: Request) -> Response:
    """`/metrics`."""
    hall = hall_of(request)
    try:
        text = await in_thread(hall.services.metrics, hall.sources)
    except InventoryError as error:
        raise refused(503, printable(str(error))) from None
    return Response(text, media_type=_METRICS_TYPE)


async def openapi(request: Request) -> Response:
    """`/api/v1/openapi.json`."""
    return one_time_json(document(hall_of(request).base))
