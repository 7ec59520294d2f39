"""Which folders of a mount lie below links."""

from __future__ import annotations

from collections.abc import Mapping

from scanner.core.paths import is_below, join, nearest_above
from scanner.core.snapshot import DIRECTORY_LINK, Directory, Listing


class LinkedPaths:
    """The links to folders on one mount: those of the last commit, and those that a walk meets."""

    def __init__(self, snapshot: Mapping[str, Directory], point: str) -> None:
        self._links: set[str] = set()
        for path, directory in snapshot.items():
            if DIRECTORY_LINK in directory.listing.types and is_below(path, point):
                self.note(path, directory.listing)

    def note(self, path: str, listing: Listing) -> None:
        """Take in what a folder holds. A walk asks for a folder after the one that holds it."""
        if DIRECTORY_LINK in listing.types:
            self._links.update(
                join(path, name)
                for name, letter in listing.named_containers()
                if letter == DIRECTORY_LINK
            )

    def __contains__(self, path: str) -> bool:
        """True if `path` is a link or lies below one."""
        return bool(self._links) and nearest_above(path, self._links) is not None
