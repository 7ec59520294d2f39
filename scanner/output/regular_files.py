"""Opening files without harm: no FIFO or device is opened, no link of another user followed."""

from __future__ import annotations

import errno
import os
import stat
import sys

from scanner.core.serialize import printable
from scanner.errors import OutputError

_MOST_LINKS = 40
"""Links on the way to one file that Linux follows before it calls them a circle."""


def followed(path: str) -> str:
    """Absolute `path` with every link on the way followed.

    Raises OutputError for a link of another user in a folder that all users share (sticky, such as
    /tmp): that user chose where it leads. Links of root are followed. Raises OSError for a circle.
    """
    if sys.platform == "win32":
        return os.path.realpath(path) if os.path.islink(path) else path
    found, rest, links = os.sep, _names(os.path.abspath(path)), 0
    while rest:
        name = rest.pop()
        if name == os.pardir:
            found = os.path.dirname(found)
            continue
        child = os.path.join(found, name)
        try:
            status = os.lstat(child)
        except OSError:
            # Missing or out of reach: whoever opens it reports the reason.
            return os.path.join(child, *reversed(rest))
        if not stat.S_ISLNK(status.st_mode):
            found = child
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        is_shared = os.stat(found).st_mode & stat.S_ISVTX
        if is_shared and status.st_uid not in (os.geteuid(), 0):
            raise OutputError(
                f"{printable(child)} is a link of another user in a folder that all users share: "
                "it is not followed. Choose another --output."
            )
        target = os.readlink(child)
        if os.path.isabs(target):
            found = os.sep
        rest += _names(target)
    return found


def opening_regular(path: str, flags: int) -> int:
    """An `opener` for `open` that opens only regular files, and never waits for a FIFO's other end.

    Raises OSError.
    """
    try:
        _check_regular(os.stat(path), path)
    except FileNotFoundError:
        pass  # `flags` may create it
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        _check_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def opening_own(path: str, flags: int) -> int:
    """The same for writing: links are followed as `followed` says. Raises OutputError as well."""
    return opening_regular(followed(path), flags | getattr(os, "O_NOFOLLOW", 0))


def _check_regular(status: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)


def _names(path: str) -> list[str]:
    """The names in `path`, last one first."""
    return [name for name in reversed(path.split(os.sep)) if name not in ("", os.curdir)]
