"""Folders that a walk may have seen through a mount that was there only for a moment.

A mount that comes while a walk is under way and goes again before it ends stands in no mount table
that is read before or after. What was listed meanwhile is that of another disk: the folders that
it hid are not gone. Each folder that may be such is looked at once more when the walk is over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from scanner.core.snapshot import Directory, Snapshot
from scanner.disk.filesystem import Stat

Identity = tuple[int, int]
"""Device and inode; no inode (0) where the numbers are made up anew at each look."""


class Crossings:
    """Notes the folders of one walk that may lie on another mount than the walk's.

    `device` is that of the folder `top`. Inode numbers count if the mount `has_inodes`.
    """

    def __init__(self, top: str, device: int, snapshot: Snapshot, *, has_inodes: bool) -> None:
        self._top = top
        self._device = device
        self._snapshot = snapshot
        self._has_inodes = has_inodes
        self._others: dict[str, int] = {}
        self.doubtful: dict[str, Identity] = {}
        """Folders to look at again, with what was listed."""

    def pass_by(self, path: str, device: int) -> None:
        """Note the device of a folder of the walk."""
        if device != self._device:
            self._others[path] = device

    def listed(self, path: str, found: Directory) -> None:
        """Note a folder that was listed and is new or changed."""
        folder = os.path.dirname(path)
        if path != self._top and (
            found.device != self._others.get(folder, self._device)
            or (self._has_inodes and self._is_another(path, folder, found))
        ):
            self.doubtful[path] = (found.device, found.inode if self._has_inodes else 0)

    def _is_another(self, path: str, folder: str, found: Directory) -> bool:
        """True if a known folder now is another one, or a known folder holds a new one."""
        known = self._snapshot.get(path)
        if known is None:
            return folder in self._snapshot
        return known.inode not in (0, found.inode)


def passed(
    doubtful: Mapping[str, Identity], stats: Callable[[list[str]], Mapping[str, Stat]]
) -> list[str]:
    """The folders in `doubtful` that are not any more what was listed, or do not answer."""
    if not doubtful:
        return []
    now = stats(list(doubtful))
    return [
        path
        for path, (device, inode) in doubtful.items()
        if path not in now or now[path].device != device or (inode and now[path].inode != inode)
    ]
