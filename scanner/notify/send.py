"""Send one message: to an address of the web, or to a command. Both are bounded in time."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import IO

from scanner import __version__
from scanner.core.serialize import printable

if sys.platform != "win32":
    import os
    import signal

ANSWER_PATIENCE = 10.0
"""Seconds without a byte after which a server counts as silent."""

COMMAND_LIMIT = 60.0
"""Seconds after which a command is ended."""

_TAIL = 2000
"""Last bytes of a command's stderr that are kept."""


class NotSentError(Exception):
    """A message did not arrive. The text is a clause, and has no part of an address."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(url: str, body: bytes, kind: str, patience: float = ANSWER_PATIENCE) -> str:
    """POST `body` to `url`; a clause on the answer. Raises NotSentError."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise NotSentError("its address is neither http nor https")
    user, at, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": kind, "User-Agent": f"comfy-inventory/{__version__}"}
    if at:
        secret = base64.b64encode(urllib.parse.unquote(user).encode()).decode("ascii")
        headers["Authorization"] = f"Basic {secret}"
    try:
        address = urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        request = urllib.request.Request(address, body, headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=patience) as answer:
            return f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        error.close()
        hint = (
            " (it redirects: set the address that it leads to)" if 300 <= error.code < 400 else ""
        )
        raise NotSentError(f"HTTP {error.code}{hint}") from None
    except TimeoutError:
        raise NotSentError(f"no answer within {patience:g} s") from None
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, TimeoutError):
            raise NotSentError(f"no answer within {patience:g} s") from None
        text = (reason.strerror or type(reason).__name__) if isinstance(reason, OSError) else ""
        raise NotSentError(text or "it cannot be reached") from None
    except OSError as error:
        raise NotSentError(error.strerror or type(error).__name__) from None
    except (HTTPException, ValueError) as error:
        # Their texts may repeat the address.
        raise NotSentError(f"no sound answer ({type(error).__name__})") from None


def run_command(
    command: Sequence[str], body: bytes, stop: threading.Event, limit: float = COMMAND_LIMIT
) -> str:
    """Run `command` with `body` on its stdin. Raises NotSentError if it fails, takes longer than
    `limit` seconds, or `stop` is set; it is ended then, with the processes that it started."""
    with tempfile.TemporaryFile() as stdin:
        stdin.write(body)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NotSentError(f"it cannot be started: {reason}") from None
    assert process.stderr is not None
    tail = bytearray()
    reader = threading.Thread(target=_drain, args=(process.stderr, tail), daemon=True)
    reader.start()
    deadline = time.monotonic() + limit
    while process.poll() is None:
        if stop.is_set() or time.monotonic() > deadline:
            _kill(process)
            ended = "the program ended first" if stop.is_set() else f"not done after {limit:g} s"
            raise NotSentError(ended)
        stop.wait(0.05)
    reader.join(0.5)
    if process.returncode:
        lines = bytes(tail).decode("utf-8", "replace").strip().splitlines()
        last = f": {printable(lines[-1])}" if lines else ""
        raise NotSentError(f"exit code {process.returncode}{last}")
    return "exit code 0"


def _drain(pipe: IO[bytes], tail: bytearray) -> None:
    with pipe:
        while piece := pipe.read(1 << 16):
            tail += piece
            del tail[:-_TAIL]


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # it has just ended
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        pass  # it hangs in the kernel
