"""Reading a small file or looking at a folder without hanging the program (rule 3).

For a path on a remote mount a short-lived process reads. It is left behind if it gets no answer,
since waiting for it would be waiting for the mount.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import NamedTuple

from scanner.disk.child import start_child
from scanner.disk.location import locate
from scanner.disk.mounts import read_mounts

LIMIT = 5.0
"""Seconds that a remote mount has to answer before the caller goes on without it."""

FILE = "file"

FOLDER = "folder"

ABSENT = "absent"

SILENT = "silent"

MOST_BYTES = 1 << 18
"""No more bytes of a file are read, but for one that tells that there are more."""

_left_behind: dict[str, subprocess.Popen[bytes]] = {}
"""Processes that got no answer, by mount point: no second one starts there until it has ended."""


class ReadResult(NamedTuple):
    """The kind of a path and the `content` of a file; `error` says why a file cannot be read."""

    kind: str
    content: bytes = b""
    error: str = ""


def read_with_timeout(path: str) -> ReadResult:
    """Read `path`, links followed. The kind is SILENT if its mount does not answer in time."""
    mount = locate(os.path.abspath(path), read_mounts()).mount
    if not mount.is_remote:
        return read_now(path)
    if _is_hanging(mount.point):
        return ReadResult(SILENT)
    child = start_child(_LOOK, path)
    try:
        output, _ = child.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            child.kill()
        assert child.stdout is not None
        child.stdout.close()
        child.returncode = -1  # not waited for: it ends when its call returns
        _left_behind[mount.point] = child
        return ReadResult(SILENT)
    kind, _, rest = output.partition(b"\n")
    error, _, content = rest.partition(b"\n")
    if not kind:
        return ReadResult(SILENT)
    return ReadResult(kind.decode(), content, error.decode("utf-8", "replace"))


def _is_hanging(point: str) -> bool:
    """True if the process that was left behind on this mount has not ended."""
    child = _left_behind.pop(point, None)
    if child is None:
        return False
    child.returncode = None
    if child.poll() is not None:
        return False
    child.returncode = -1
    _left_behind[point] = child
    return True


def read_now(path: str) -> ReadResult:
    """The same, by this process."""
    if os.path.isdir(path):
        return ReadResult(FOLDER)
    if not os.path.isfile(path):
        return ReadResult(ABSENT)
    try:
        with open(path, "rb") as file:
            return ReadResult(FILE, file.read(MOST_BYTES + 1))
    except OSError as error:
        return ReadResult(FILE, error=error.strerror or str(error))


def main(path: str) -> None:
    """Read `path` and write to stdout: kind, error and content, the first two a line each."""
    seen = read_now(path)
    sys.stdout.buffer.write(b"\n".join((seen.kind.encode(), seen.error.encode(), seen.content)))
    sys.stdout.buffer.flush()


_LOOK = "import sys; from scanner.disk.read_with_timeout import main; main(sys.argv[1])"
