"""Reading workflows that a person names, in a process of its own.

Files and folders may lie on a mount that hangs, also behind links (rule 3). The process tells what
it is about to touch. If it stays silent, it is left behind, and what lies on other mounts is read
by another one.
"""

from __future__ import annotations

import io
import json
import os
import queue
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from scanner.disk.child import start_child
from scanner.disk.location import locate
from scanner.disk.mounts import read_mounts
from scanner.workflows.document import LARGEST
from scanner.workflows.media.read import read_workflow
from scanner.workflows.uses import Hint, Need, NoWorkflowError, Workflow, WorkflowError

STDIN = "-"

SILENCE = 15.0
"""Seconds without a word from the process after which it counts as hanging. Within that time a
slow disk gives a file of the largest size, and it is parsed."""

_LEFT_OUT = (".git", "node_modules", "__pycache__")
"""Folders that hold no saved workflows, and many files."""

_SILENT = b"silent"

_LEFT = -1
"""Stands for the exit code of a process that was left behind."""

_ENDINGS = (
    *(".json", ".png", ".apng", ".webp", ".jpg", ".jpeg", ".svg", ".mp4", ".m4v", ".mov"),
    *(".webm", ".mkv", ".flac", ".opus", ".ogg", ".mp3", ".glb", ".latent"),
)
"""Files that are read in folders. Others are read where a person names them: models may hold a
workflow too."""

_TOUCH, _WORKFLOW, _ERROR, _NONE = "touch", "workflow", "error", "none"


class Read(NamedTuple):
    """A file that was read, or could not be."""

    path: str
    """As the user named it; `-` for standard input."""
    needs: tuple[Need, ...] = ()
    form: str = ""
    error: str = ""
    """Why it could not be read, a few words; empty if it was."""


class Reads(NamedTuple):
    """All files below what a person named."""

    files: list[Read]
    without: int
    """Files in folders that hold no workflow. They are no error there."""


def read_workflows(named: Sequence[str], cwd: str) -> Reads:
    """The workflows in the files and folders `named`, in their order, folders sorted."""
    reads = Reads([], 0)
    paths: list[str] = []
    for name in named:
        if name != STDIN:
            paths.append(name)
            continue
        reads = _and(reads, _in_other_process(paths, cwd))
        paths = []
        reads.files.append(_from_stdin())
    return _and(reads, _in_other_process(paths, cwd))


def _and(first: Reads, second: Reads) -> Reads:
    return Reads(first.files + second.files, first.without + second.without)


def _from_stdin() -> Read:
    try:
        data = sys.stdin.buffer.read(LARGEST + 1)
        workflow = read_workflow(io.BytesIO(data), len(data))
    except (WorkflowError, OSError) as error:
        return Read(STDIN, error=str(error))
    return Read(STDIN, tuple(workflow.needs()), workflow.form)


def _in_other_process(named: Sequence[str], cwd: str) -> Reads:
    reads = Reads([], 0)
    remaining = [_Named(name, os.path.join(cwd, name)) for name in named]
    while remaining:
        process = start_child(_READ, *(each.path for each in remaining))
        number, touched, reads = _collect(process, remaining, reads)
        if touched is None:
            return reads
        failed, remaining = remaining[number], remaining[number + 1 :]
        if process.returncode == _LEFT:
            point = _mount_of(touched or failed.path)
            why = f"{point} does not answer"
            hanging = [each for each in remaining if _mount_of(each.path) == point]
            remaining = [each for each in remaining if each not in hanging]
        else:
            why, hanging = "the process that read it ended early", []
        reads.files.append(Read(failed.shown(touched or failed.path), error=why))
        reads.files.extend(Read(each.name, error=why) for each in hanging)
    return reads


def _collect(
    process: subprocess.Popen[bytes], named: Sequence[_Named], reads: Reads
) -> tuple[int, str | None, Reads]:
    """Add what the process says to `reads`. Also the number of the name that it was at, and the
    path that it touched last; None if it did all of its work."""
    number, touched = 0, ""
    for words in _lines(process):
        if words is None:
            _leave_behind(process)
            return number, touched, reads
        kind, number, path, *more = words
        shown = named[number].shown(path)
        if kind == _TOUCH:
            touched = path
        elif kind == _WORKFLOW:
            form, needs = more
            reads.files.append(Read(shown, tuple(map(_need, needs)), form))
        elif kind == _ERROR:
            reads.files.append(Read(shown, error=more[0]))
        else:
            reads = reads._replace(without=reads.without + 1)
    return number, None if process.wait() == 0 else touched, reads


class _Named(NamedTuple):
    """A file or folder as the user named it, and its absolute path."""

    name: str
    path: str

    def shown(self, path: str) -> str:
        """`path`, at or below this one, in the user's words."""
        below = path[len(self.path.rstrip(os.sep)) :]
        return self.name.rstrip(os.sep) + below if below.strip(os.sep) else self.name


def _mount_of(path: str) -> str:
    return locate(path, read_mounts()).mount.point


def _need(values: list[Any]) -> Need:
    name, category, active, nodes, bare, hints = values
    return Need(name, category, active, tuple(nodes), bare, tuple(Hint(*hint) for hint in hints))


def _lines(process: subprocess.Popen[bytes]) -> Iterator[list[Any] | None]:
    """What the process says, line by line; None if it stays silent for too long."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with process.stdout as pipe:
        arguments = pipe.fileno(), lines
        threading.Thread(target=_pass_on, args=arguments, daemon=True).start()
        while line := _next(lines):
            yield None if line == _SILENT else json.loads(line)


def _next(lines: queue.SimpleQueue[bytes]) -> bytes:
    try:
        return lines.get(timeout=SILENCE)
    except queue.Empty:
        return _SILENT


def _pass_on(pipe: int, lines: queue.SimpleQueue[bytes]) -> None:
    """Put the lines of a pipe into a queue, at its end an empty one."""
    rest = b""
    with suppress(OSError):
        while piece := os.read(pipe, 1 << 16):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                lines.put(line)
    lines.put(b"")


def _leave_behind(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        process.kill()
    process.returncode = _LEFT  # not waited for: it ends when its call returns


# In the process


def main(*paths: str) -> None:
    """Read the files at and below `paths` and write a line for each to stdout."""
    for number, path in enumerate(paths):
        for kind, *more in _read_all(path.rstrip(os.sep) or path):
            sys.stdout.write(json.dumps([kind, number, *more]) + "\n")
            sys.stdout.flush()


_READ = "import sys; from scanner.commands.workflow.read_files import main; main(*sys.argv[1:])"


def _read_all(path: str) -> Iterator[tuple[Any, ...]]:
    yield _TOUCH, path
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        yield _ERROR, path, _text(error)
        return
    if not is_folder:
        yield _read_one(path, is_named=True)
        return
    yield from _files_below(path)


def _files_below(top: str) -> Iterator[tuple[Any, ...]]:
    seen: set[str] = set()
    errors: list[OSError] = []
    for folder, folders, names in os.walk(top, followlinks=True, onerror=errors.append):
        yield _TOUCH, folder
        for error in errors:
            yield _ERROR, os.fsdecode(error.filename), _text(error)
        errors.clear()
        real = os.path.realpath(folder)
        if real in seen:  # a link led here
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if is_wanted(name):
                path = os.path.join(folder, name)
                yield _TOUCH, path
                yield _read_one(path, is_named=False)


def is_wanted(name: str) -> bool:
    """True if a file of this name in a folder may hold a workflow."""
    return name.lower().endswith(_ENDINGS)


def _read_one(path: str, *, is_named: bool) -> tuple[Any, ...]:
    try:
        workflow = read_file(path)
    except NoWorkflowError as error:
        return (_ERROR, path, str(error)) if is_named else (_NONE, path)
    except WorkflowError as error:
        return _ERROR, path, str(error)
    except OSError as error:
        return _ERROR, path, _text(error)
    return _WORKFLOW, path, workflow.form, workflow.needs()


def read_file(path: str) -> Workflow:
    """The workflow in a file. Raises WorkflowError or OSError."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise WorkflowError("it is no file (`-` reads standard input)")
    with open(path, "rb", buffering=0) as file:
        return read_workflow(file, os.fstat(file.fileno()).st_size)


def _text(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
