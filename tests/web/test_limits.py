"""Slow requests and slow readers are cut off, and hold up nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from scanner.web import limits, streams
from tests.support.machine import PATIENCE, Machine, wait_for
from tests.support.serving import API, Served, served

SHORT = 1.5
"""Seconds of patience here. A loop that shares its processor may need one of them."""


@pytest.fixture
def impatient(library: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "STALL_SECONDS"):
        monkeypatch.setattr(limits, name, SHORT)
    with served(library.output) as site:
        yield site


def closed_within(connection: socket.socket, seconds: float) -> bool:
    """True if the server ends the connection, whatever it says before."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_a_connection_that_asks_nothing_is_closed(impatient: Served) -> None:
    with impatient.connect() as connection:
        assert closed_within(connection, PATIENCE)


@pytest.mark.parametrize(
    "start",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"POST /api/v1/workflow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_a_request_that_comes_drop_by_drop_is_cut_off(impatient: Served, start: bytes) -> None:
    """Each drop comes in time; all of them together do not."""
    with impatient.connect() as connection:
        connection.sendall(start)
        begun = time.monotonic()
        connection.settimeout(SHORT / 8)
        while time.monotonic() - begun < PATIENCE:
            try:
                connection.sendall(b"a")
                if connection.recv(65536) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was never cut off")
    assert impatient.get("/healthz").status_code == 200


def test_connections_that_wait_for_their_next_request_stay(impatient: Served) -> None:
    with impatient.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert _until(connection, b"ok\n").startswith(b"HTTP/1.1 200")  # in pieces
            time.sleep(1.5 * SHORT)


def test_who_takes_no_answer_is_cut_off(impatient: Served) -> None:
    """Answers pile up in the server once the system's buffers are full."""
    connections = impatient.server.connections
    request = f"GET {API}/entries HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with impatient.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request * 800)
        wait_for(lambda: len(connections) == 1, "the connection")
        wait_for(lambda: not connections, "its end")
    assert impatient.get("/healthz").status_code == 200


def test_only_so_many_listen(library: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 3)
    with served(library.output) as site:
        request = f"GET {API}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        listeners = []
        for _ in range(3):
            listeners.append(site.connect())
            listeners[-1].sendall(request)
            assert b"event: hello" in _until(listeners[-1], b"event: hello")
        answer = site.get(f"{API}/events")
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert site.get(f"{API}/changes?wait=5").status_code == 503
        assert site.get(f"{API}/summary").status_code == 200
        listeners.pop().close()
        wait_for(lambda: site.app.hub.listeners == 2, "a place")
        with site.client.stream("GET", f"{API}/events") as again:
            assert again.status_code == 200
        for listener in listeners:
            listener.close()


def _until(connection: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        piece = connection.recv(65536)
        assert piece, found
        found += piece
    return found


def test_the_end_waits_for_nobody(library: Machine) -> None:
    """Streams, long polls, slow and idle connections: all of them end with the server."""
    with served(library.output) as site:
        asked = [f"{API}/events", f"{API}/changes?wait=50", None, None]
        connections = [site.connect() for _ in asked]
        for connection, path in zip(connections, asked, strict=True):
            if path is not None:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connections[-1].sendall(b"GET / HT")
        _until(connections[0], b"event: hello")
        site.server.stop()  # waits for less than 2 s
        assert site.server.wait(0)
        for connection in connections:
            connection.close()
