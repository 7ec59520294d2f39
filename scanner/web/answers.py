"""Answers as JSON, compressed, and only where something is new."""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scanner.web.threads import in_thread

_LEVEL = 6
"""gzip -6 takes 0.3 s for 100,000 files, -9 twice that for 1 % less."""

_SMALL = 1000
"""Bytes that are not worth compressing."""

_KEPT = 8
"""Answers that are kept for the next who asks: pages, and the table of all files."""


def error_response(status: int, sentence: str) -> Response:
    """An error as JSON."""
    body = orjson.dumps({"error": sentence})
    headers = {"retry-after": "60" if status == 429 else "2"} if status in (429, 503) else None
    return Response(body, status, headers, media_type="application/json")


def refused(status: int, sentence: str) -> HTTPException:
    """The exception that becomes this error."""
    return HTTPException(status, sentence)


class Answers:
    """Makes answers, and keeps the last ones, compressed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def json(
        self, request: Request, stamp: str, make: Callable[[], Any], *, keep: bool = False
    ) -> Response:
        """The answer to `request`: what `make` returns, in a thread. `stamp` names the version of
        what it is made of."""
        tag = f'W/"{hashlib.sha256(stamp.encode("utf-8", "replace")).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "no-cache, private"}
        if _has(request, tag):
            return Response(status_code=304, headers=headers)
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        key = (f"{request.url.path}?{request.url.query}", tag)
        body = self._kept.get(key) if keep else None
        if body is None:
            body = await in_thread(lambda: _packed(make()))
            if keep:
                self._keep(key, body)
        if not is_packed or len(body) < _SMALL:
            body = await in_thread(gzip.decompress, body)
        else:
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type="application/json")

    def _keep(self, key: tuple[str, str], body: bytes) -> None:
        for other in [other for other in self._kept if other[0] == key[0]]:
            del self._kept[other]
        self._kept[key] = body
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def _has(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or tag in (each.strip() for each in known.split(","))


def _packed(value: Any) -> bytes:
    return gzip.compress(orjson.dumps(value), _LEVEL, mtime=0)


def one_time_json(value: Any, status: int = 200) -> Response:
    """An answer that nobody asks for twice."""
    return Response(orjson.dumps(value), status, media_type="application/json")
