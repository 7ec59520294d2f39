"""Tell a folder that is not there from one whose disk is not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from scanner.core.paths import holds_disks, is_below
from scanner.disk.location import Location
from scanner.workers.requests import (
    Answer,
    Failed,
    ListDirectory,
    Listed,
    LstatPath,
    Request,
)


def has_disk(location: Location, ask: Callable[[Request], Answer | None]) -> bool:
    """True if the disk is there on which the folder at `location`, which is not there, would lie.

    The nearest folder above it must be on a mount with a point of its own, or hold something: an
    empty folder may be the point of a mount that is away. `ask` asks the worker of the mount.
    Raises LostWorkerError.
    """
    folder = _nearest(location, ask)
    if not folder or not is_below(folder, location.mount.point):
        return False
    if folder == location.mount.point and os.path.dirname(folder) != folder:
        return True
    if holds_disks(folder):
        return False
    listed = ask(ListDirectory(folder))
    return isinstance(listed, Listed) and bool(listed.directory.listing.names)


def _nearest(location: Location, ask: Callable[[Request], Answer | None]) -> str:
    """The nearest name that there is above a folder that is not there; empty if that cannot be
    told, or if the folder is itself a link to nowhere."""
    path = location.path
    while isinstance(answer := ask(LstatPath(path)), Failed):
        above = os.path.dirname(path)
        if answer.errno not in (errno.ENOENT, errno.ENOTDIR) or above == path:
            return ""
        path = above
    return "" if path == location.path else path
