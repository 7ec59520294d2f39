"""The application: which path leads to which route, behind the guard."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from scanner.core.serialize import printable
from scanner.core.times import Zone
from scanner.errors import InventoryError
from scanner.web.access import Access, Tokens
from scanner.web.answers import Answers, error_response
from scanner.web.files import Reader
from scanner.web.guard import Guard
from scanner.web.hall import Hall
from scanner.web.routes import about, actions, entries, happenings, pages
from scanner.web.sources import Services, Source
from scanner.web.streams import Hub

log = logging.getLogger(__name__)

API = "/api/v1"

ROUTES = [
    Route("/", about.index),
    Route("/assets/{name}", about.asset),
    Route("/healthz", about.healthz),
    Route("/metrics", about.metrics),
    Route(f"{API}/openapi.json", about.openapi),
    Route(f"{API}/pages", pages.pages),
    Route(f"{API}/summary", pages.entry_sums),
    Route(f"{API}/duplicates", pages.part("duplicates")),
    Route(f"{API}/duplicates/script", actions.script),
    Route(f"{API}/unused", actions.unused),
    Route(f"{API}/problems", pages.part("problems")),
    Route(f"{API}/packs", pages.part("packs")),
    Route(f"{API}/roots", pages.roots),
    Route(f"{API}/history", pages.history),
    Route(f"{API}/tree", pages.tree),
    Route(f"{API}/entries", entries.entries),
    Route(f"{API}/entry", entries.entry),
    Route(f"{API}/changes", happenings.changes),
    Route(f"{API}/events", happenings.events),
    Route(f"{API}/workflow", actions.workflow, methods=["POST"]),
    Route(f"{API}/accept", actions.accept, methods=["POST"]),
    Route(f"{API}/session", actions.session, methods=["POST", "DELETE"]),
]


class App:
    """The application, with the guard before it. It has to run in the loop of one thread."""

    def __init__(
        self,
        sources: Sequence[Source],
        services: Services,
        access: Access,
        *,
        base: str = "",
        zone: Zone = None,
    ) -> None:
        tokens = Tokens(access.token)
        inner = Starlette(
            routes=ROUTES,
            exception_handlers={
                HTTPException: _refused,
                InventoryError: _unreadable,
                Exception: _failed,
            },
        )
        inner.router.redirect_slashes = False
        self.hub = Hub(sources)
        readers = [Reader(source, zone) for source in sources]
        inner.state.hall = Hall(readers, services, tokens, self.hub, Answers(), base)
        inner.state.assets = about.read_assets()
        inner.state.searches = entries.Searches()
        self._guard = Guard(inner, access, tokens, base)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._guard(scope, receive, send)
        except Exception:  # answered and logged by `_failed`, after which Starlette raises it anew
            log.debug("A request has failed", exc_info=True)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = error_response(error.status_code, str(error.detail))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _unreadable(request: Request, error: Exception) -> Response:
    return error_response(503, printable(str(error)))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("A request for %s failed", printable(request.url.path), exc_info=error)
    return error_response(500, "This is a bug; please report what the log says.")
