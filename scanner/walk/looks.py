"""Looks across mounts: at links to other mounts, dead links, and files on which something is
mounted. Each is done by the worker of the mount in question."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from scanner.core.snapshot import FILE, Listing, Row
from scanner.disk.filesystem import Stat
from scanner.walk.linked import LookAt
from scanner.walk.members import ForeignLink
from scanner.workers.requests import Failed


class Looks(NamedTuple):
    """How a walk looks at what other mounts hold."""

    at: LookAt
    """Stats a path on any mount."""
    again: LookAt
    """The same for known links to folders: for `lost_links`, and for those of this mount that lead
    to nothing. It says nothing (None) without proof."""
    lost_links: AbstractSet[str]
    """Links where another mount says that there is no folder any more."""
    real_path: Callable[[str], str]
    """Follows links on local disks."""

    def at_link(self, link: ForeignLink) -> Stat | Failed | None:
        """A known folder behind a link is looked at by its own zone, unless that lost it."""
        if not link.is_known_folder:
            return self.at(link.path, link.target)
        if link.path not in self.lost_links:
            return None
        return self.again(link.path, link.target)


def file_points(names: AbstractSet[str], listing: Listing) -> list[Row]:
    """The rows of files that are mount points, of which the times of their directory say nothing.
    `names` are the mount points in it."""
    if not names:
        return []
    return [row for row in listing.rows() if row.name in names and row.type == FILE]
