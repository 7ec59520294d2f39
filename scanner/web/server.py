"""The server: its sockets, and its thread with a loop of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

import uvicorn

from scanner.errors import SettingsError
from scanner.web.app import App
from scanner.web.limits import PatientProtocol

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 512
"""Above this every request is refused: open files of the scanner are not to run out."""

LONGEST_HEADERS = 32 * 1024
"""Bytes of all headers of a request."""

KEEP_ALIVE = 30
"""Seconds that a connection may wait for its next request."""

PATIENCE = 1.7
"""Seconds that the end waits for answers that are under way."""

_FIRST_SOCKET = 3
"""The first descriptor that systemd passes on."""


def listen_on(address: str, port: int) -> list[socket.socket]:
    """Sockets that listen on all addresses that `address` names. Raises SettingsError."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise SettingsError(f"--listen: {address} is no address of this machine.") from None
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, place in dict.fromkeys(found):
        try:
            sockets.append(_listening(socket.socket(family, kind, protocol), family, place))
        except OSError as error:
            for other in sockets:
                other.close()
            raise SettingsError(
                f"--port: {address}:{port} cannot be listened on: {error.strerror or error}. "
                "Is another server running? --port chooses another number."
            ) from None
        if port == 0:
            break  # the next would have another number
    return sockets


def _listening(made: socket.socket, family: int, place: Any) -> socket.socket:
    try:
        if sys.platform != "win32":  # there it lets two programs have the same port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(place)
        made.listen(128)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def inherited(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd passes on (socket activation); none where it does not. The
    variables are removed: no child of ours is meant."""
    count, process = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or process != str(os.getpid()):
        return []
    sockets = []
    for descriptor in range(_FIRST_SOCKET, _FIRST_SOCKET + int(count)):
        os.set_inheritable(descriptor, False)
        made = socket.socket(fileno=descriptor)
        made.setblocking(False)
        sockets.append(made)
    return sockets


class Server:
    """Answers requests in a thread from `start` to `stop`. Whatever happens in it, the rest of the
    program goes on."""

    def __init__(self, app: App, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self._server = _Uvicorn(_config(app), app)
        self._thread = threading.Thread(target=self._work, name="server", daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    @property
    def connections(self) -> Collection[object]:
        """Those that are open now."""
        return self._server.server_state.connections

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it runs in, once it has started."""
        return self._server.loop

    def end(self) -> None:
        """Take no new requests, and end soon. Returns at once."""
        self._server.should_exit = True

    def stop(self) -> None:
        """End, and wait for it: within 2 s, a moment for requests that are under way."""
        self.end()
        self._thread.join(PATIENCE)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended. False if it has not."""
        return self._ended.wait(seconds)

    def _work(self) -> None:
        try:
            self._server.run(self._sockets)
        except BaseException:  # also SystemExit, by which uvicorn ends
            log.exception("The server has ended; scans go on")
        finally:
            self._ended.set()


class _Uvicorn(uvicorn.Server):
    """Ends the streams before it waits for the end of all answers."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.hub.close()
        await super().shutdown(sockets)


def _config(app: App) -> uvicorn.Config:
    # Its lines would say on stderr what every scanner of ports sends.
    logger = logging.getLogger("uvicorn")
    logger.setLevel(logging.CRITICAL)
    options: Mapping[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "lifespan": "off",
        "loop": "asyncio",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": 1,
        "limit_concurrency": MOST_CONNECTIONS,
        "h11_max_incomplete_event_size": LONGEST_HEADERS,
    }
    return uvicorn.Config(app, **options)
