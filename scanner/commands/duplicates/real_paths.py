"""Real paths of folders, by the text of links alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from scanner.core.memory import RootRecord
from scanner.core.mount_identity import MountIdentity
from scanner.core.paths import is_below, join, tail
from scanner.core.snapshot import Directory
from scanner.disk.location import MOST_LINKS


class RealPaths:
    """Follows the links in paths by their text alone.

    On a mount without stable inodes nothing else shows that two paths are one file. To take one
    file for two would be the worst mistake here: deleting one copy would delete both.
    """

    def __init__(self, snapshot: Mapping[str, Directory], roots: Iterable[RootRecord]) -> None:
        self._links = {
            join(folder, name): text
            for folder, directory in snapshot.items()
            for name, text in directory.listing.targets
        }
        self._links.update(
            {
                record.path: record.target
                for record in roots
                if record.target not in ("", record.path)
            }
        )
        self._mounts = {
            record.mount_point: _place_of(identity)
            for record in roots
            if record.mount_point and (identity := record.mount_identity) and identity.is_unique
        }
        self._real: dict[str, str] = {}
        self._depth = 0

    def place(self, folder: str) -> str:
        """The same text for all paths of a folder: where it is within the source of its mount,
        which may be mounted twice, or its real path."""
        real = self.real(folder)
        points = [point for point in self._mounts if is_below(real, point)]
        if not points:
            return real
        point = max(points, key=len)
        top, below = self._mounts[point].rstrip("/"), tail(real, point)
        return join(top, below) if below else top

    def real(self, path: str) -> str:
        """`path` with every link on the way followed."""
        below: list[tuple[str, str]] = []
        while (resolved := self._real.get(path)) is None:
            above, name = os.path.split(path)
            if not name:
                resolved = path
                break
            below.append((path, name))
            path = above
        for path, name in reversed(below):
            whole = join(resolved, name)
            resolved = path if whole == path else whole
            if path in self._links:
                resolved = self._follow(os.path.dirname(resolved), self._links[path], resolved)
            self._real[path] = resolved
        return resolved

    def _follow(self, folder: str, text: str, link: str) -> str:
        if self._depth > MOST_LINKS:  # a circle
            return link
        if os.sep == "\\":
            text = text.removeprefix("\\\\?\\")  # as junctions have it
        drive, below = os.path.splitdrive(text)
        resolved = drive + os.sep if os.path.isabs(text) else folder
        self._depth += 1
        for part in below.split(os.sep):
            if part == os.pardir:
                resolved = os.path.dirname(resolved)
            elif part not in ("", os.curdir):
                resolved = self.real(join(resolved, part))
        self._depth -= 1
        return resolved


def _place_of(identity: MountIdentity) -> str:
    """A text that ends with the path within the source of the mount."""
    return f"{identity.type} {identity.uuid or identity.source} {identity.within}"
