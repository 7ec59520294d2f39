"""Who may ask the server for what: names of hosts, origins, the token. No I/O."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

COOKIE = "comfy_inventory"

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

MOST_WRONG = 10
"""Wrong tokens from one address within `WINDOW`; then none is looked at any more."""

WINDOW = 60.0
"""Seconds."""

_MOST_ADDRESSES = 10_000


class Access(NamedTuple):
    """The rules of one server."""

    token: str
    reading_needs_token: bool
    hosts: frozenset[str]
    """Names in `Host` that are this server, in lower case."""
    any_address: bool
    """True if every numeric address in `Host` is this server: a name that an attacker gives to an
    address never looks like that."""

    def is_host(self, header: str) -> bool:
        """True if a `Host` header names this server."""
        name = host_name(header)
        if name in self.hosts:
            return True
        return self.any_address and _is_address(name)

    def is_own_origin(self, origin: str, host: str) -> bool:
        """True if a page of this `Origin` comes from this server, which was asked as `host`."""
        scheme, separator, place = origin.partition("://")
        if not separator or scheme not in ("http", "https"):
            return False
        return place.lower() == host.lower() or (
            # Behind a proxy, `Host` may be what the proxy calls us.
            host_name(place) in self.hosts - LOCAL_NAMES
        )


def host_name(header: str) -> str:
    """The name in a `Host` header or an origin, without its port; empty if it is malformed."""
    text = header.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        return name if bracket and (not port or port[1:].isdigit()) else ""
    name, _, port = text.partition(":")
    return name.rstrip(".") if not port or port.isdigit() else ""


def is_loopback(address: str) -> bool:
    """True if only this machine can reach an address that is listened on."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Tokens:
    """Says whether a request has the token, and holds off those who guess."""

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._clock = clock
        key = secrets.token_bytes(32)
        self.cookie = hmac.new(key, b"session", sha256).hexdigest()
        """The cookie of a session. Until the server ends it stands for the token."""
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)

    def has_cookie(self, cookies: Mapping[str, str]) -> bool:
        """True if a session was opened."""
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie.encode())

    def is_held_off(self, address: str) -> bool:
        """True if no token from this address is looked at now."""
        times = self._wrong.get(address)
        if not times:
            return False
        while times and times[0] < self._clock() - WINDOW:
            times.popleft()
        return len(times) >= MOST_WRONG

    def is_right(self, authorization: str, address: str) -> bool:
        """True if the header has the token. A wrong one counts."""
        given = given_token(authorization)
        if given is not None and hmac.compare_digest(given, self._token):
            return True
        if len(self._wrong) >= _MOST_ADDRESSES:
            self._wrong.clear()
        self._wrong[address].append(self._clock())
        return False


def given_token(authorization: str) -> bytes | None:
    """The token in an `Authorization` header: `Bearer`, or the password of `Basic`."""
    scheme, _, text = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return text.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(text.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return None
    return None
