"""The options of `serve` and `run --serve`."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Annotated, Any, NamedTuple

import typer

from scanner.errors import SettingsError

_PANEL = "Server"

_DEFAULT_PORT = 8199

_DEFAULT_ADDRESS = "127.0.0.1"


def _option(help_: str, metavar: str) -> Any:
    option = typer.Option(metavar=metavar, help=help_, rich_help_panel=_PANEL)
    return Annotated[str | None, option]


SERVING = {
    "port": _option(f"Port of the server (default: {_DEFAULT_PORT}).", "NUMBER"),
    "listen": _option(
        f"Address of the server (default: {_DEFAULT_ADDRESS}, which only this machine reaches). "
        "Any other one needs a token.",
        "ADDRESS",
    ),
    "token_file": _option(
        "File that holds the token, in its first line; or the variable COMFY_INVENTORY_TOKEN. "
        "Default: one is made.",
        "PATH",
    ),
    "allow_host": Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which this server may be called, as that of a proxy. Repeatable.",
            rich_help_panel=_PANEL,
        ),
    ],
    "base_path": _option("The path that a proxy puts before all others, as /inventory.", "PATH"),
}


class ServeOptions(NamedTuple):
    """How a server was asked for."""

    port: int = _DEFAULT_PORT
    listen: str = _DEFAULT_ADDRESS
    token_file: str = ""
    allow_hosts: tuple[str, ...] = ()
    base_path: str = ""
    names_place: bool = False
    """True if an address or a port was named."""


def serve_options(options: MutableMapping[str, Any]) -> ServeOptions:
    """Take the options of a server out of `options`. Raises SettingsError."""
    given: Mapping[str, Any] = {name: options.pop(name, None) for name in SERVING}
    port = given["port"] or str(_DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise SettingsError(f"--port: expected a number from 0 to 65535, not {port!r}.")
    base = (given["base_path"] or "").rstrip("/")
    if base and not (base.startswith("/") and base.isascii() and base.isprintable()):
        raise SettingsError(f"--base-path: expected a path such as /inventory, not {base!r}.")
    return ServeOptions(
        int(port),
        given["listen"] or _DEFAULT_ADDRESS,
        os.path.abspath(os.path.expanduser(given["token_file"])) if given["token_file"] else "",
        tuple(name.lower().rstrip(".") for name in given["allow_host"] or ()),
        base,
        bool(given["port"] or given["listen"]),
    )
