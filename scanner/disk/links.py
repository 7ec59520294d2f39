"""Following symbolic links without touching a remote mount (rule 3, a hang stops nothing)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence

from scanner.disk.mounts import Mount, mount_of


def leads_away(path: str, text: str, mounts: Sequence[Mount]) -> bool:
    """True if a link at `path` with `text` leads to another mount, by the paths' words alone. That
    mount may hang, or be unmounted, and is guarded separately."""
    return mount_of(link_target(path, text), mounts) != mount_of(path, mounts)


def link_target(path: str, text: str) -> str:
    """The target of a link at `path` with `text`, by the words alone."""
    return os.path.normpath(os.path.join(os.path.dirname(path), text))


def is_proven_broken(
    path: str,
    text: str,
    error: OSError,
    list_names: Callable[[str], list[str]] = os.listdir,
    read_link: Callable[[str], str] = os.readlink,
) -> bool:
    """True if a link's target is known to be absent rather than out of reach.

    A link into an unmounted share fails with ENOENT like a truly broken one. It is broken only
    if the folder that should hold the target lists something, and not the target; or if the link
    leads to itself.
    """
    if error.errno == errno.ELOOP:
        return True
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return False
    for _ in range(MOST_LINKS):
        path = os.path.join(os.path.dirname(path), text)
        folder, name = os.path.split(path)
        try:
            names = list_names(folder)
            if name not in names:
                return bool(names)
            text = read_link(path)  # a link to a link
        except OSError:
            return False
    return False


def leads_to(
    path: str, mounts: Iterable[Mount], read_link: Callable[[str], str] = os.readlink
) -> str:
    """The target of absolute `path`, links on local mounts followed. The first folder that is not
    on a local mount ends the search before it is touched: the rest is for that mount's worker."""
    mounts = list(mounts)
    if mount_of(path, mounts).is_remote:
        return path
    drive, below = os.path.splitdrive(path)
    found, rest, links = drive + os.sep, _parts(below), 0
    while rest:
        part = rest.pop()
        child = os.path.dirname(found) if part == os.pardir else os.path.join(found, part)
        if mount_of(child, mounts).is_remote:
            return os.path.normpath(os.path.join(child, *reversed(rest)))
        found_link = _target(child, read_link)
        links += found_link is not None
        if found_link is None or links > MOST_LINKS:
            found = child
            continue
        if os.path.isabs(found_link):
            drive, found_link = os.path.splitdrive(found_link)
            found = drive + os.sep
        rest += _parts(found_link)
    return found


def _parts(path: str) -> list[str]:
    """The names in `path`, last one first."""
    return [part for part in reversed(path.split(os.sep)) if part not in ("", os.curdir)]


def _target(path: str, read_link: Callable[[str], str]) -> str | None:
    try:
        return read_link(path)
    except OSError:
        return None  # no link, or nothing there


MOST_LINKS = 40
"""Links on the way to one file that Linux follows before it calls them a circle."""
