"""Reading a small file or looking at a folder without hanging the program (rule 3).

For a path on a remote mount a short-lived process reads. It is left behind if it gets no answer,
since waiting for it would be waiting for the mount.
"""

from __future__ import annotations

import itertools
import os
import stat
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

OTHER = "other"
"""Neither a file nor a folder, or a folder that cannot be read."""

MOST_NAMES = 1000
"""No more names of a folder are read."""

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
    return _with_timeout(path, "read_now")


def list_with_timeout(path: str) -> tuple[str, list[str]]:
    """The kind of `path`, links followed, and some names in it if it is a folder."""
    seen = _with_timeout(path, "list_now")
    return seen.kind, os.fsdecode(seen.content).split("/") if seen.content else []


def _with_timeout(path: str, look: str) -> ReadResult:
    """What the function named `look` says of `path`."""
    mount = locate(os.path.abspath(path), read_mounts()).mount
    if not mount.is_remote:
        return _LOOKS[look](path)
    if _is_hanging(mount.point):
        return ReadResult(SILENT)
    child = start_child(_LOOK, path, look)
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


def list_now(path: str) -> ReadResult:
    """The kind of `path`, and some names with slashes between them, by this process."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return ReadResult(FILE)
        if not stat.S_ISDIR(mode):
            return ReadResult(OTHER)
        with os.scandir(path) as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_NAMES)]
    except (FileNotFoundError, NotADirectoryError):
        return ReadResult(ABSENT)
    except OSError as error:
        return ReadResult(OTHER, error=error.strerror or str(error))
    return ReadResult(FOLDER, os.fsencode("/".join(names)))


_LOOKS = {"read_now": read_now, "list_now": list_now}


def main(path: str, look: str) -> None:
    """Look at `path` and write to stdout: kind, error and content, the first two a line each."""
    seen = _LOOKS[look](path)
    sys.stdout.buffer.write(b"\n".join((seen.kind.encode(), seen.error.encode(), seen.content)))
    sys.stdout.buffer.flush()


_LOOK = "import sys; from scanner.disk.read_with_timeout import main; main(*sys.argv[1:])"
