"""What has happened: lines of the change list, and the stream of events."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from scanner.output.status_file import read_status
from scanner.views.feed import MOST, feed
from scanner.web.answers import error_response, one_time_json, refused
from scanner.web.hall import Json, hall_of, number, reader_of
from scanner.web.streams import Hub, TooManyStreamsError, marks_of
from scanner.web.threads import in_thread

LONGEST = 55
"""Seconds that a request may wait: proxies cut off after a minute."""


async def changes(request: Request) -> Response:
    """`/api/v1/changes`."""
    reader = reader_of(request, request.query_params.get("machine"))
    limit = number(request, "limit", 1000, 1, MOST)
    wait = number(request, "wait", 0, 0, LONGEST)
    since = number(request, "since", -1, 0, 1 << 60)
    outputs = reader.source.outputs

    def look(after: int) -> Json:
        last = (read_status(outputs.status) or {}).get("scan", 0)
        begin = last if after < 0 else after
        return {"since": begin, **feed(outputs.journal, begin, limit, last)}

    found = await in_thread(look, since)
    deadline = time.monotonic() + wait
    if wait and not found["changes"]:
        hub = hall_of(request).hub
        try:
            with hub.listening():
                while not found["changes"] and (left := deadline - time.monotonic()) > 0:
                    if not await hub.wait(min(left, hub.pace)) and hub.is_closed:
                        break
                    found = await in_thread(look, found["since"])
        except TooManyStreamsError:
            raise refused(503, "Too many wait already: ask again later.") from None
    return one_time_json({"schema": 1, "machine": reader.source.name, **found})


async def events(request: Request) -> Response:
    """`/api/v1/events`."""
    hub = hall_of(request).hub
    known = marks_of(request.headers.get("last-event-id", ""))
    return _Events(hub, known)


class _Events(Response):
    """The stream for one listener."""

    def __init__(self, hub: Hub, known: Mapping[str, int]) -> None:
        super().__init__()
        self._hub = hub
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        try:
            with self._hub.listening():
                chunks = self._hub.stream(self._known)
                stream = StreamingResponse(chunks, 200, headers, "text/event-stream")
                await stream(scope, receive, send)
        except TooManyStreamsError:
            await error_response(503, "Too many listen already: ask again later.")(
                scope, receive, send
            )
