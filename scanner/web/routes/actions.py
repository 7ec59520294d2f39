"""What commands answer: workflows to look at, holds to accept, the script to download, and models
that nothing names. And sessions."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from scanner.core.serialize import printable
from scanner.errors import InventoryError, SettingsError
from scanner.web.access import COOKIE
from scanner.web.answers import one_time_json, refused
from scanner.web.hall import Json, hall_of, number, reader_of, view_of
from scanner.web.threads import in_thread

_Value = TypeVar("_Value")

ACCEPT_PATIENCE = 10.0
"""Seconds that an answer about an acceptance may take."""

MOST_UNUSED = 5000
"""Models without a trace in one answer, unless it is asked for more."""

_SCRIPT = frozenset(("machine", "step", "keep", "shell"))


async def workflow(request: Request) -> Response:
    """`POST /api/v1/workflow`."""
    reader = reader_of(request, request.query_params.get("machine"))
    name = request.query_params.get("filename", "workflow")[:255]
    body = await request.body()
    if not body:
        raise refused(400, "The body is empty: expected a workflow, or a file that holds one.")
    service = hall_of(request).services.workflow
    return one_time_json(await _served(in_thread(service, reader.source, body, name)))


async def accept(request: Request) -> Response:
    """`POST /api/v1/accept`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise refused(415, "Expected JSON, of the type application/json.")
    try:
        wish = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise refused(400, "The body is no JSON.") from None
    if not isinstance(wish, dict):
        raise refused(400, "Expected an object with machine and place.")
    place, machine = wish.get("place"), wish.get("machine")
    if not isinstance(place, str) or not place or not isinstance(machine, str | None):
        raise refused(400, "Expected an object with machine and place.")
    reader = reader_of(request, machine)
    if not reader.source.is_here:
        raise refused(403, "Its scanner is on another machine: accept it there.")
    service = hall_of(request).services.accept
    answers = await _served(in_thread(service, reader.source, place, ACCEPT_PATIENCE), 409)
    return one_time_json({"schema": 1, "accepted": answers})


async def script(request: Request) -> Response:
    """`/api/v1/duplicates/script`."""
    query = request.query_params
    for name in query:
        if name not in _SCRIPT:
            raise refused(400, f"There is no parameter {name[:40]!r}.")
    reader = reader_of(request, query.get("machine"))
    wanted = {key: value for key, value in query.items() if key != "machine"}
    service = hall_of(request).services.script
    name, content = await _served(in_thread(service, reader.source, wanted))
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type="text/plain; charset=utf-8")


async def unused(request: Request) -> Response:
    """`/api/v1/unused`."""
    reader = reader_of(request, request.query_params.get("machine"))
    most = number(request, "limit", MOST_UNUSED, 1, 100_000)
    hall, view = hall_of(request), await view_of(reader)
    stamp = f"unused {reader.source.name} {most} {view.stamp}"

    def make() -> Json:
        return {"schema": 1, **hall.services.unused(reader.source, most)}

    return await _served(hall.answers.json(request, stamp, make, keep=True))


async def _served(work: Awaitable[_Value], status: int = 400) -> _Value:
    """The result of a service. Its errors become answers."""
    try:
        return await work
    except SettingsError as error:
        raise refused(status, printable(str(error))) from None
    except InventoryError as error:
        raise refused(409, printable(str(error))) from None


async def session(request: Request) -> Response:
    """`/api/v1/session`: the guard has seen the token."""
    hall = hall_of(request)
    response = Response(status_code=204)
    if request.method == "DELETE":
        response.delete_cookie(COOKIE, path=hall.base or "/", httponly=True, samesite="strict")
    else:
        response.set_cookie(
            COOKIE, hall.tokens.cookie, path=hall.base or "/", httponly=True, samesite="strict"
        )
    return response
