"""The middleware that every request passes: who asks, from where, how much; and the headers that
every answer has."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scanner.web.access import Access, Tokens
from scanner.web.answers import error_response, refused

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Everything comes from this server, no script stands in the page, and no text becomes markup."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "vary": "Accept-Encoding, Authorization, Cookie, Origin",
}

LARGEST_WORKFLOW = 64 * 1024 * 1024

LARGEST_BODY = 64 * 1024

_OPEN = ("/healthz",)
"""Paths that need no token wherever the server listens."""

_SAFE = ("GET", "HEAD")


class Guard:
    """Refuses what must not reach the application. `base` is the path that a proxy puts before
    all others; with and without it a request is the same."""

    def __init__(self, app: ASGIApp, access: Access, tokens: Tokens, base: str = "") -> None:
        self._app = app
        self._access = access
        self._tokens = tokens
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope = self._without_base(scope)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    found[name] = value
                found.setdefault("cache-control", "no-cache")
                message["headers"] = found.raw
            await send(message)

        if refusal is not None:
            # The rest of a body is not read; the connection cannot go on.
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send_with_headers)
            return
        most = LARGEST_WORKFLOW if scope["path"] == "/api/v1/workflow" else LARGEST_BODY
        await self._app(scope, _limited(receive, most), send_with_headers)

    def _without_base(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        if self._base and (path == self._base or path.startswith(f"{self._base}/")):
            return {**scope, "path": path[len(self._base) :] or "/"}
        return scope

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that may not be; None for one that may."""
        host, path, is_safe = headers.get("host", ""), scope["path"], scope["method"] in _SAFE
        if len(headers.getlist("host")) != 1 or not self._access.is_host(host):
            return error_response(
                403,
                "This server is not known by that name: --allow-host NAME allows a name.",
            )
        origin = headers.get("origin")
        if origin is not None and not self._access.is_own_origin(origin, host):
            return error_response(403, "A page of another site may not ask here.")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path != "/":
            return error_response(403, "A page of another site may not ask here.")
        if not is_safe and headers.get("sec-fetch-mode") == "navigate":
            return error_response(403, "A form may not be sent here.")
        length = headers.get("content-length", "0")
        most = LARGEST_WORKFLOW if path == "/api/v1/workflow" else LARGEST_BODY
        if not length.isdigit() or int(length) > most:
            return error_response(413, _too_large(most))
        return self._without_token(scope, headers, is_safe=is_safe)

    def _without_token(self, scope: Scope, headers: Headers, *, is_safe: bool) -> Response | None:
        path: str = scope["path"]
        # Requests that only ask are answered here without a token where reading is free.
        writes = path in ("/api/v1/accept", "/api/v1/session")
        is_data = path.startswith("/api/") or path == "/metrics"
        if path in _OPEN or not is_data:
            return None
        if not writes and not self._access.reading_needs_token:
            return None
        if path != "/api/v1/session" and self._tokens.has_cookie(_cookies(headers)):
            return None
        client = scope.get("client") or ("", 0)
        authorization = headers.get("authorization", "")
        if path == "/api/v1/session" and scope["method"] == "DELETE":
            return None
        if not authorization:
            return error_response(401, "This needs the token of the server.")
        if self._tokens.is_held_off(client[0]):
            return error_response(429, "Too many wrong tokens: wait a minute.")
        if self._tokens.is_right(authorization, client[0]):
            return None
        return error_response(401, "This is not the token of the server.")


def _too_large(most: int) -> str:
    return f"The body is larger than {most >> 10:,} KiB."


def _limited(receive: Receive, most: int) -> Receive:
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise refused(413, _too_large(most))
        return message

    return receive_some


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {key: each.value for key, each in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
