"""Reads small files below one folder, without leaving the mount of that folder."""

from __future__ import annotations

import errno
import os

from scanner.core.paths import join
from scanner.core.snapshot import CONTAINERS, DIRECTORY, FILE, FILE_LINK, FOREIGN_LINK
from scanner.disk.filesystem import FileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import Mount

SMALL_LIMIT = 4 << 10
"""Bytes of a file of one line. A larger file is not what its name says."""

_NOT_THERE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENAMETOOLONG)
)
"""Errors that prove that there is no such file. After any other error there may be one."""

_AWAY = FOREIGN_LINK
"""In place of a type: the entry leads to another mount."""

_UNREAD = "?"
"""In place of a type: the entry is listed, but its stat failed."""


class FolderReader:
    """Reads below the folder `top`, and no further than its mount (rule 3, a hang stops nothing).

    Another mount may hang, and with it the process that scans this one. So every name is looked up
    in a listing before it is used: the listing shows links to other mounts and mount points.
    """

    def __init__(self, files: FileSystem, path: str, mounts: list[Mount]) -> None:
        """`path` may be a link to the folder."""
        self.files = files
        self.top, self._home, _ = locate(path, mounts, files.read_link)
        self.is_partial = False
        """True if an error left open what is there."""
        self.is_there = True
        """False if the folder itself does not exist."""
        self._mounts = mounts
        self._listings: dict[str, dict[str, str]] = {}
        self.types(self.top)

    def types(self, folder: str) -> dict[str, str]:
        """Type of each entry in `folder` by name, as a letter of `snapshot.TYPE_NAMES`."""
        if folder in self._listings:
            return self._listings[folder]
        points = frozenset(
            os.path.basename(mount.point)
            for mount in self._mounts
            if os.path.dirname(mount.point) == folder != mount.point
        )
        try:
            listing = self.files.list_directory(folder, frozenset(), points).listing
        except OSError as error:
            self.note(error)
            if folder == self.top and error.errno in _NOT_THERE:
                self.is_there = False
            types = {}
        else:
            types = dict(zip(listing.split_names(), listing.types, strict=True))
            types |= dict.fromkeys(points, _AWAY) | dict.fromkeys(listing.unstatted, _UNREAD)
        self._listings[folder] = types
        return types

    def note(self, error: OSError) -> None:
        """Record an error: unless it proves absence, the result is partial."""
        self.is_partial |= error.errno not in _NOT_THERE

    def type_of(self, folder: str, *parts: str) -> str:
        """Type of the entry at `parts` below `folder`; empty if there is none.

        A part `..` is in no listing, so no path leads out of `folder`.
        """
        letter = DIRECTORY
        for part in parts:
            letter = self.types(folder).get(part, "") if letter in CONTAINERS else ""
            self.is_partial |= letter == _UNREAD
            folder = join(folder, part)
        return letter

    def is_file(self, folder: str, *parts: str) -> bool:
        """True if the entry at `parts` below `folder` is a file or a link to one."""
        return self.type_of(folder, *parts) in (FILE, FILE_LINK)

    def read(self, limit: int, folder: str, *parts: str) -> bytes | None:
        """Content of the file at `parts` below `folder`; None if none of up to `limit` bytes."""
        if not self.is_file(folder, *parts):
            return None
        content = b""
        try:
            with self.files.open(join(folder, os.sep.join(parts))) as file:
                while len(content) <= limit and (piece := file.read(limit + 1 - len(content))):
                    content += piece
        except OSError as error:
            self.note(error)
            return None
        return content if len(content) <= limit else None

    def at_home(self, path: str) -> str | None:
        """The target of `path` if it stays on this mount, else None.

        It is found from the text of the path and from links on local disks.
        """
        if "\0" in path:
            return None
        target = locate(path, self._mounts, self.files.read_link)
        return target.path if target.mount == self._home else None
