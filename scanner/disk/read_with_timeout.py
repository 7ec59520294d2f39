"""A look at a file or folder of ComfyUI's own that cannot hang the program (design rule 3).

Where it lies on a remote mount, a short-lived process looks, and is left behind if it gets no
answer: waiting for it would be waiting for the mount.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import NamedTuple

from scanner.disk.links import leads_to
from scanner.disk.mounts import mount_of, read_mounts

LIMIT = 5.0
"""Seconds that a remote mount has to answer before we go on without."""

FILE = "file"

FOLDER = "folder"

ABSENT = "absent"

SILENT = "silent"


class ReadResult(NamedTuple):
    """What stands at a path: `content` of a file, else empty; `error` where it cannot be read."""

    kind: str
    content: bytes = b""
    error: str = ""


def read_with_timeout(path: str) -> ReadResult:
    """What is at `path`, links followed. SILENT where its mount does not answer in time."""
    mounts = read_mounts()
    if not mount_of(leads_to(path, mounts), mounts).is_remote:
        return read_now(path)
    child = subprocess.Popen(
        [sys.executable, "-c", _LOOK, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.path.abspath(os.sep),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_PACKAGE, *_known())))},
        start_new_session=True,
    )
    try:
        told, _ = child.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            child.kill()
        assert child.stdout is not None
        child.stdout.close()
        child.returncode = -1  # not waited for: it ends when its call returns
        return ReadResult(SILENT)
    kind, _, rest = told.partition(b"\n")
    error, _, content = rest.partition(b"\n")
    if not kind:
        return ReadResult(SILENT)
    return ReadResult(kind.decode(), content, error.decode("utf-8", "replace"))


def read_now(path: str) -> ReadResult:
    """The same, by this process."""
    if os.path.isdir(path):
        return ReadResult(FOLDER)
    if not os.path.isfile(path):
        return ReadResult(ABSENT)
    try:
        with open(path, "rb") as file:
            return ReadResult(FILE, file.read())
    except OSError as error:
        return ReadResult(FILE, error=error.strerror or str(error))


def main(path: str) -> None:
    """Look, and tell it on stdout: kind, error and content, the first two a line each."""
    seen = read_now(path)
    sys.stdout.buffer.write(b"\n".join((seen.kind.encode(), seen.error.encode(), seen.content)))
    sys.stdout.buffer.flush()


_LOOK = "import sys; from scanner.disk.read_with_timeout import main; main(sys.argv[1])"

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _known() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
