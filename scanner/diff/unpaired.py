"""The entries that are gone and those that arrived, as long as they have no partner."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator

from scanner.core.paths import nearest_above
from scanner.core.snapshot import CONTAINERS, DIRECTORY_LINK, Entry
from scanner.diff.compare import Delta
from scanner.diff.moves import Window


class Unpaired:
    """Four tables of entries by path, from which paired ones are taken out."""

    def __init__(self, delta: Delta, window: Window) -> None:
        self.deleted = delta.deleted
        """Everything that is gone since the last scan, directories too. It stays complete."""
        self._deleted_paths = sorted(delta.deleted)
        self.now_gone = {p: e for p, e in delta.deleted.items() if e.type not in CONTAINERS}
        """Files that are gone since the last scan."""
        self.past_gone = {
            path: entry for path, entry in window.gone.items() if path not in delta.deleted
        }
        """Those that earlier scans reported as gone."""
        self.now_arrived = {
            **delta.created,
            **{path: new for path, (_, new) in delta.modified.items()},
        }
        """What is new or replaced since the last scan, directories too."""
        self.past_arrived = {
            path: entry
            for path, entry in window.arrived.items()
            if path not in self.now_arrived and path not in delta.deleted
        }
        """What earlier scans reported as created."""
        self.replaced = {path: old for path, (old, _) in delta.modified.items()}
        """The old entries of modified ones."""

    @property
    def gone(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        """Both tables of entries that are gone."""
        return self.now_gone, self.past_gone

    @property
    def arrived(self) -> tuple[dict[str, Entry], dict[str, Entry]]:
        """Both tables of entries that arrived."""
        return self.now_arrived, self.past_arrived

    def take(self, source: Entry, target: Entry) -> None:
        """Take a pair out of the tables."""
        for pool in self.gone:
            pool.pop(source.path, None)
        for pool in self.arrived:
            pool.pop(target.path, None)

    def deleted_directories(self) -> Iterator[Entry]:
        """Directories that are gone since the last scan, outer ones first.

        Links to directories, and what was reached through them, come last: what moved is the
        directory itself.
        """
        found = [path for path in self._deleted_paths if self.deleted[path].type in CONTAINERS]
        links = {path for path in found if self.deleted[path].type == DIRECTORY_LINK}
        linked = {path for path in found if links and nearest_above(path, links) is not None}
        for path in sorted(found, key=lambda path: path in linked):
            yield self.deleted[path]

    def deleted_below(self, top: str) -> Iterator[Entry]:
        """Everything below `top` that is gone since the last scan, in order."""
        prefix = top + os.sep
        index = bisect_left(self._deleted_paths, prefix)
        while index < len(self._deleted_paths) and self._deleted_paths[index].startswith(prefix):
            yield self.deleted[self._deleted_paths[index]]
            index += 1
