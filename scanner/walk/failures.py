"""Directories of one walk that did not answer, until the directory above has the last word."""

from __future__ import annotations

import errno
import os

from scanner.core.snapshot import Listing
from scanner.workers.requests import Failed

VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR))
"""Errors of a directory that has just gone, and also of some that have not."""


class Failures:
    """Something that vanished while we walked answers ENOENT, and so does a stale entry of some
    network mounts that is still there. Listing the parent once more tells which."""

    def __init__(self, top: str, failed: dict[str, Failed]) -> None:
        """`failed` is filled with what could not be listed, by path."""
        self._top = top
        self._failed = failed
        self._failed_in: dict[str, set[str]] = {}
        """Directories that have failed, by the one that holds them."""
        self._doubtful: set[str] = set()

    def note(self, answer: Failed) -> None:
        """Note that a directory did not answer."""
        self._failed[answer.path] = answer
        self._failed_in.setdefault(os.path.dirname(answer.path), set()).add(answer.path)
        if answer.errno in VANISHED and answer.path != self._top:
            self._doubtful.add(answer.path)

    def take_parents(self) -> list[str]:
        """The directories that have to be listed once more, each told once, sorted."""
        parents = {os.path.dirname(path) for path in self._doubtful}
        self._doubtful.clear()
        return sorted(parents)

    def settle(self, path: str, listing: Listing) -> None:
        """Forget failures of directories that `path` does not list any more: they are gone."""
        if path not in self._failed_in:
            return
        present = dict(listing.named_containers())
        for failed in self._failed_in[path]:
            if os.path.basename(failed) not in present:
                self._failed.pop(failed, None)
