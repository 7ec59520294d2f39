"""Messages to a real server on this machine, and to real commands."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scanner.notify.send import NotSentError, post, run_command

POSIX = pytest.mark.skipif(os.name == "nt", reason="a command of a POSIX shell")


class Server(ThreadingHTTPServer):
    """Answers with `codes` one after the other, the last one for ever; 0 for silence."""

    daemon_threads = True

    def __init__(self) -> None:
        self.codes = [200]
        self.got: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.silence = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.command, self.path, body, dict(self.headers)))
        codes = self.server.codes
        code = codes.pop(0) if len(codes) > 1 else codes[0]
        if not code:
            self.server.silence.wait(30)
            return
        self.send_response(code)
        if 300 <= code < 400:
            self.send_header("Location", self.server.url + "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.silence.set()
        server.shutdown()


def test_body_arrives_once_and_whole(server: Server) -> None:
    assert post(server.url + "/hook?a=b", b'{"x":1}', "application/json") == "HTTP 200"
    [(method, path, body, headers)] = server.got
    assert (method, path, body) == ("POST", "/hook?a=b", b'{"x":1}')
    assert headers["Content-Type"] == "application/json"


def test_user_and_password_of_the_address_are_sent_as_a_header(server: Server) -> None:
    post(server.url.replace("//", "//me:s%40y@"), b"", "text/plain")
    assert server.got[0][3]["Authorization"] == "Basic bWU6c0B5"


@pytest.mark.parametrize("code", [400, 404, 500, 503])
def test_error_of_the_server_is_no_success(server: Server, code: int) -> None:
    server.codes = [code]
    with pytest.raises(NotSentError, match=f"HTTP {code}"):
        post(server.url, b"x", "text/plain")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_no_success(server: Server, code: int) -> None:
    server.codes = [code]
    with pytest.raises(NotSentError, match="redirects"):
        post(server.url, b"x", "text/plain")
    assert len(server.got) == 1


def test_silent_server_ends_in_a_sentence(server: Server) -> None:
    server.codes = [0]
    with pytest.raises(NotSentError, match=r"no answer within 0\.2 s"):
        post(server.url, b"x", "text/plain", patience=0.2)


def test_refused_connection_and_other_schemes_are_sentences_without_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    urls = (f"http://127.0.0.1:{port}/secret", "file:///secret", "http://127.0.0.1:1/se cret")
    for url in urls:
        with pytest.raises(NotSentError) as error:
            post(url, b"x", "text/plain")
        assert "cret" not in str(error.value)


def test_command_gets_the_body_on_stdin_and_no_shell(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    target, body = tmp_path / "got; $(x)", b"x" * 300_000
    run_command([sys.executable, "-c", code, str(target)], body, threading.Event())
    assert target.read_bytes() == body


def test_command_that_reads_nothing_and_writes_a_lot_succeeds() -> None:
    code = "import sys; [f.write('x' * 3_000_000) for f in (sys.stdout, sys.stderr)]"
    body = b"y" * 300_000
    assert run_command([sys.executable, "-c", code], body, threading.Event()) == "exit code 0"


def test_failing_command_tells_its_code_and_last_line() -> None:
    code = "import sys; print('first', file=sys.stderr); sys.exit('no \\x1b route')"
    with pytest.raises(NotSentError, match=r"^exit code 1: no \\x1b route$"):
        run_command([sys.executable, "-c", code], b"", threading.Event())


def test_missing_program_is_a_sentence() -> None:
    with pytest.raises(NotSentError, match="cannot be started"):
        run_command(["/nowhere/nothing"], b"", threading.Event())


@POSIX
def test_hanging_command_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 1000 & echo $! >{pid}; wait"]
    with pytest.raises(NotSentError, match="not done after 1 s"):
        run_command(command, b"", threading.Event(), limit=1)
    child = int(pid.read_text())
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_stop_ends_a_command() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(NotSentError, match="the program ended first"):
        run_command([sys.executable, "-c", "import time; time.sleep(1000)"], b"", stop)
