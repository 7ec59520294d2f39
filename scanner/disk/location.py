"""The location of a path: where it really lives, and on which mount, without touching a mount that
may hang (rule 3, a hang stops nothing)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scanner.core.mount_identity import AUTOMOUNTER
from scanner.core.paths import is_below, nearest_above
from scanner.disk.mounts import UNKNOWN, Mount, mount_of, mounts_by_point

MOST_LINKS = 40
"""Links on the way to one file that Linux follows before it calls them a circle."""


class Location(NamedTuple):
    """The result of `locate`."""

    path: str
    """The path with all links followed. Below the point of a mount that may hang links are not
    followed: they are for the worker of that mount."""
    mount: Mount
    """The mount that it ends on. An automounter's `point` is the folder that it would mount."""
    automount: str = ""
    """The folder that an automounter on the way serves; empty without one."""

    @property
    def waits_for_automount(self) -> bool:
        """True if an automounter stands where another mount belongs: ask its worker to list the
        folder, read the mount table again, and locate again."""
        return self.mount.type == AUTOMOUNTER


def locate(
    path: str, mounts: Iterable[Mount], read_link: Callable[[str], str] = os.readlink
) -> Location:
    """The location of absolute `path`. `mounts` are those that can be seen (`FileSystem.mounts`).

    Links on local mounts are followed one after the other. The first folder on a mount that may
    hang ends the search before it is touched.
    """
    mounts = list(mounts)
    return located(_follow(path, mounts, read_link), mounts)


def located(real: str, mounts: Sequence[Mount]) -> Location:
    """The location of a path without links."""
    automount = _automount(real, mounts)
    mount = mount_of(real, mounts)
    if mount.type == AUTOMOUNTER:
        mount = mount._replace(point=automount)
    return Location(real, mount, automount)


def leads_away(
    path: str, text: str, mounts: Iterable[Mount], read_link: Callable[[str], str] = os.readlink
) -> bool:
    """True if the link at `path` with `text` leads to another mount. That mount may hang, or be
    unmounted, and is guarded separately."""
    mounts = list(mounts)
    folder = locate(os.path.dirname(path), mounts, read_link)
    target = locate(os.path.join(folder.path, text), mounts, read_link)
    return target.mount != folder.mount


def points_below(path: str, real: str, mounts: Iterable[Mount]) -> dict[str, str]:
    """The mount points below `real`, by the words that they have below `path`, which leads
    there."""
    top = real.rstrip(os.sep)
    return {
        path.rstrip(os.sep) + mount.point[len(top) :]: mount.point
        for mount in mounts
        if mount.point != real and is_below(mount.point, real)
    }


def _follow(path: str, mounts: Sequence[Mount], read_link: Callable[[str], str]) -> str:
    if path.startswith("\\\\"):
        return path  # a share that Windows knows by its name only
    points = mounts_by_point(tuple(mounts))
    drive, below = os.path.splitdrive(path)
    found, rest, links = drive + os.sep, _parts(below), 0
    above = nearest_above(os.path.normcase(found), points)
    while rest:
        part = rest.pop()
        if part == os.pardir:
            child = os.path.dirname(found)
            point = nearest_above(os.path.normcase(child), points)
        else:
            child = os.path.join(found, part)
            key = os.path.normcase(child)
            # A step and not a climb: a path may have thousands of parts.
            point = key if key in points else above
        mount = UNKNOWN if point is None else points[point]
        if mount.is_remote:
            whole = os.path.normpath(os.path.join(child, *reversed(rest)))
            found = _stop(whole, mount, mounts)
            if found == whole:
                return whole
            rest = _parts(whole[len(found) :])
            above = nearest_above(os.path.normcase(found), points)
            continue
        text = _link(child, read_link)
        links += text is not None
        if text is None or links > MOST_LINKS:
            found, above = child, point
            continue
        if os.path.isabs(text):
            drive, text = os.path.splitdrive(text)
            found = drive + os.sep
            above = nearest_above(os.path.normcase(found), points)
        rest += _parts(text)
    return found


def _stop(path: str, mount: Mount, mounts: Sequence[Mount]) -> str:
    """The folder at or above `path`, reached through `mount`, from which links may be followed
    again; `path` itself if there is none."""
    if not is_below(path, mount.point):  # `..` led out of it
        return os.path.splitdrive(path)[0] + os.sep
    nearest = mount_of(path, mounts)
    if mount.type == AUTOMOUNTER and not nearest.is_remote:
        return nearest.point
    return path


def _automount(path: str, mounts: Iterable[Mount]) -> str:
    """The folder that the nearest automounter above `path` serves; empty without one."""
    nearest = max(
        (m for m in mounts if m.type == AUTOMOUNTER and is_below(path, m.point)),
        key=lambda mount: len(mount.point),
        default=None,
    )
    if nearest is None:
        return ""
    below = path[len(nearest.point) :].lstrip(os.sep)
    if not below or "direct" in nearest.options.split(","):
        return nearest.point
    return os.path.join(nearest.point, below.split(os.sep)[0])


def _parts(path: str) -> list[str]:
    """The names in `path`, last one first."""
    return [part for part in reversed(path.split(os.sep)) if part not in ("", os.curdir)]


def _link(path: str, read_link: Callable[[str], str]) -> str | None:
    try:
        return read_link(path)
    except OSError:
        return None  # no link, or nothing there
