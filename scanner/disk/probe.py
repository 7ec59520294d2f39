"""Probing a folder with a small file: the only writing below a scanned folder.

Only `doctor --probe` asks for it. The file bears a hidden name, holds a few bytes, exists for two
seconds, and is removed in any case: after errors, and when the process that asked has gone.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from scanner.disk.filesystem import FileSystem

NAME_PREFIX = ".comfy-inventory-probe-"

PAUSE = 0.7
"""Seconds between writings. Three of them, so far apart, include an odd second in any case if times
count in seconds: without one they count in steps of two."""

LOOKS = 3
"""Looks at the folder after the file was removed, `PAUSE` apart."""

REST = 2.0
"""Seconds, FAT's step: a folder that changed less than that before us may show the same mtime."""


class Observed(NamedTuple):
    """The effects of a file. Times in nanoseconds as the folder's file system gave them."""

    mtimes: tuple[int, ...]
    """The file's after each writing."""
    clock_offset: float
    """Seconds by which the clock that set them is ahead of ours."""
    is_listed: bool
    """True if the folder's listing showed the file."""
    creation_moved: bool | None
    """True if creating it moved the folder's mtime; None if that had moved just before."""
    removal_moved: bool
    """True if removing it moved the folder's mtime."""


def observe(files: FileSystem, folder: str, name: str) -> Observed:
    """Make the file `name` in `folder`, observe the effects, and remove it. Raises OSError."""
    path = os.path.join(folder, name)
    before = files.stat(folder).mtime
    started = files.now()
    with _file(path):
        wall = (started + files.now()) // 2
        mtimes = [files.stat(path).mtime]
        created = files.stat(folder).mtime
        is_listed = name in os.listdir(folder)
        for _ in range(2):
            files.sleep(PAUSE)
            _append(path)
            mtimes.append(files.stat(path).mtime)
        files.sleep(PAUSE)
        between = files.stat(folder).mtime
    after = _once_it_moves(files, folder, between)
    # The first look may have been answered by the client's cache: SMB keeps one second.
    moved = created != before or between != before
    was_at_rest = mtimes[0] - before >= REST * 1e9
    return Observed(
        tuple(mtimes),
        (mtimes[0] - wall) / 1e9,
        is_listed,
        creation_moved=True if moved else False if was_at_rest else None,
        removal_moved=after != between,
    )


def _once_it_moves(files: FileSystem, folder: str, before: int) -> int:
    """The mtime of `folder`, asked again for a while if it is still `before`."""
    for _ in range(LOOKS):
        if (mtime := files.stat(folder).mtime) != before:
            return mtime
        files.sleep(PAUSE)
    return files.stat(folder).mtime


@contextmanager
def _file(path: str) -> Iterator[None]:
    """A new file at `path`, removed at the end, even if this is the end of the process."""

    def remove() -> None:
        with suppress(FileNotFoundError):
            os.unlink(path)

    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    atexit.register(remove)
    try:
        _append(path)
        yield
    finally:
        try:
            remove()
        except OSError as error:
            name = os.path.basename(path)
            raise OSError(error.errno, f"{name} could not be removed: {error.strerror}") from error
        finally:
            atexit.unregister(remove)


def _append(path: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, b"comfy-inventory doctor --probe\n")
    finally:
        os.close(handle)
