"""A server in this process, as `serve` starts it, and those who ask it."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from scanner.commands.serve.host import access_of
from scanner.commands.serve.services import services
from scanner.console.serving import ServeOptions
from scanner.core.times import zone_of
from scanner.output.file_names import Outputs
from scanner.web.app import App
from scanner.web.server import Server, listen_on
from scanner.web.sources import named

TOKEN = "a token of tests"

API = "/api/v1"


@dataclasses.dataclass
class Served:
    """A server that answers, and a client of it."""

    app: App
    server: Server
    client: httpx.Client
    port: int

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.client.get(path, **options)  # type: ignore[arg-type]

    def json(self, route: str, **parameters: object) -> Any:
        answer = self.client.get(f"{API}/{route}", params=parameters)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return answer.json()

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def outputs_at(path: Path) -> Outputs:
    return Outputs(str(path), str(path.parent))


@contextmanager
def served(
    *paths: Path,
    allow_hosts: Sequence[str] = (),
    base: str = "",
    addresses: Sequence[str] = ("127.0.0.1",),
    headers: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """A server of the inventories at `paths`. Its rules are those of one that listens on
    `addresses`."""
    wanted = ServeOptions(listen=addresses[0], allow_hosts=tuple(allow_hosts), base_path=base)
    sockets = listen_on("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    app = App(
        named([outputs_at(path) for path in paths]),
        services(),
        access_of(addresses, TOKEN, wanted),
        base=base,
        zone=zone_of(True),
    )
    server = Server(app, sockets)
    server.start()
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=30, headers=headers, trust_env=False) as client:
            yield Served(app, server, client, port)
    finally:
        server.stop()


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
