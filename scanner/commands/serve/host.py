"""Starts a server for inventories, and ends it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from scanner.commands.serve.secret import VARIABLE, Secret, read_secret
from scanner.console.serving import ServeOptions
from scanner.console.steps import _known_outputs, _outputs
from scanner.core.serialize import printable
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded
    from scanner.web.access import Access
    from scanner.web.server import Server

NEEDS_EXTRA = "The server needs Starlette and uvicorn: pip install 'comfy-inventory[web]'."

_LOOK = 0.5
"""Seconds between looks whether a signal has come: on Windows a wait is not interrupted by one."""


class Running(NamedTuple):
    """A server that answers."""

    server: Server
    address: str
    """Of the page, with a slash at its end."""
    secret: Secret

    @property
    def link(self) -> str:
        """The address with the token in it. The part after # is never sent to a server."""
        return self.address if self.secret.is_chosen else f"{self.address}#token={self.token}"

    @property
    def token(self) -> str:
        return self.secret.token


def outputs_at(paths: Sequence[str], loaded: Loaded) -> list[Outputs]:
    """The files of the inventories at `paths`; without, those of the settings. Raises
    SettingsError for a path at which there is none."""
    if not paths:
        return [_known_outputs(loaded)]
    found: dict[str, Outputs] = {}
    for path in paths:
        settings = replace(loaded.settings, output=Path(os.path.expanduser(path)))
        outputs = _outputs(replace(loaded, settings=settings))
        if not os.path.exists(outputs.inventory):
            raise SettingsError(f"There is no inventory at {printable(outputs.inventory)}.")
        found[outputs.inventory] = outputs
    return list(found.values())


def start_server(
    outputs: Sequence[Outputs], wanted: ServeOptions, environ: MutableMapping[str, str]
) -> Running:
    """A server that answers from now on. Raises SettingsError where it may not or cannot."""
    try:
        from scanner.web.app import App
        from scanner.web.server import Server, inherited, listen_on
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("starlette", "uvicorn", "h11", "anyio"):
            raise SettingsError(NEEDS_EXTRA) from None
        raise
    from scanner.commands.serve.services import services
    from scanner.web.sources import named

    secret = read_secret(wanted.token_file, environ)
    sockets = inherited(environ)
    if sockets and wanted.names_place:
        raise SettingsError("--port and --listen: the system has opened the socket already.")
    if not sockets:
        _refuse_open_door([wanted.listen], secret)
        sockets = listen_on(wanted.listen, wanted.port)
    addresses = [_address_of(each) for each in sockets]
    _refuse_open_door(addresses, secret)
    access = access_of(addresses, secret.token, wanted)
    server = Server(App(named(outputs), services(), access, base=wanted.base_path), sockets)
    server.start()
    return Running(server, _link(sockets[0], wanted), secret)


def _refuse_open_door(addresses: Sequence[str], secret: Secret) -> None:
    from scanner.web.access import is_loopback

    outside = [address for address in addresses if not is_loopback(address)]
    if outside and not secret.is_chosen:
        raise SettingsError(
            f"--listen: others can reach {outside[0]}, so a token is needed: name a file that "
            f"holds one with --token-file, or set {VARIABLE}."
        )


def access_of(addresses: Sequence[str], token: str, wanted: ServeOptions) -> Access:
    """The rules of a server that listens on these addresses."""
    from scanner.web.access import LOCAL_NAMES, Access, is_loopback

    is_local = all(map(is_loopback, addresses))
    hosts = {*LOCAL_NAMES, *wanted.allow_hosts}
    if not is_local:
        name = socket.gethostname().lower()
        hosts |= {name, f"{name}.local", *addresses, wanted.listen.lower()}
    return Access(token, not is_local, frozenset(hosts), any_address=not is_local)


def _address_of(made: socket.socket) -> str:
    if made.family not in (socket.AF_INET, socket.AF_INET6):
        return "localhost"  # a socket of this machine; its mode says who may use it
    address: str = made.getsockname()[0]
    return address


def _link(made: socket.socket, wanted: ServeOptions) -> str:
    if made.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{made.getsockname()}"
    address, port = made.getsockname()[:2]
    if address in ("0.0.0.0", "::"):
        address = socket.gethostname()
    name = f"[{address}]" if ":" in address else address
    return f"http://{name}:{port}{wanted.base_path}/"


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=stop.set, daemon=True).start()

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def serve_until_stopped(running: Running, stop: threading.Event) -> bool:
    """Wait for `stop`, then end the server. False if it has ended by itself."""
    while not stop.wait(_LOOK):
        if running.server.wait(0):
            return False
    running.server.stop()
    return True
