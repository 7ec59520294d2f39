"""Compare the snapshot with a walk. Pure: no I/O, no clock, no logging.

Rule 1 (absence needs proof): an entry counts as deleted only if the directory that held it was
listed completely and does not list it, or if that is so of a directory above it. Directories that
failed or were not reached are left unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from scanner.core.paths import join
from scanner.core.snapshot import (
    CONTAINERS,
    DIRECTORY,
    Directory,
    Entry,
    Listing,
    Snapshot,
    carried_fingerprints,
    directories_below,
    entries_at,
    entries_of,
    unequal_rows,
)
from scanner.walk.rules import Scope
from scanner.walk.walked import Walked


@dataclass
class Delta:
    """Entries that differ, by path, and what the snapshot becomes. Grows by one zone at a time."""

    created: dict[str, Entry] = field(default_factory=dict)
    deleted: dict[str, Entry] = field(default_factory=dict)
    modified: dict[str, tuple[Entry, Entry]] = field(default_factory=dict)
    """(last known, now)"""
    directories: dict[str, Directory] = field(default_factory=dict)
    """New and changed directories, as they are now."""
    gone: set[str] = field(default_factory=set)
    """Directories that the snapshot loses."""


def compare(snapshot: Snapshot, walked: Walked, delta: Delta, scope: Scope | None = None) -> None:
    """Add to `delta` the differences between `snapshot` and `walked`."""
    _Comparison(snapshot, walked, delta, scope or Scope()).run()


def adopt(walked: Walked, delta: Delta) -> None:
    """Add to `delta` everything that the first walk of a zone found, without a change (rule 9)."""
    delta.directories.update(walked.observed)


class _Comparison:
    def __init__(self, snapshot: Snapshot, walked: Walked, delta: Delta, scope: Scope) -> None:
        self._snapshot = snapshot
        self._walked = walked
        self._delta = delta
        self._scope = scope

    def run(self) -> None:
        # Sorted, so that a directory is met before what lies below it: when it is gone, or new
        # under a name that was not listed any more, what was seen below it is settled with it.
        for path in sorted(self._walked.observed):
            if path in self._snapshot and path not in self._delta.gone:
                self._compare_directory(path)
            elif path not in self._delta.directories and self._is_listed(path):
                self._add_directory(path)  # known by name only until now: unreadable, or a loop
        for path in sorted(self._walked.closed):
            if path in self._snapshot and path not in self._delta.gone:
                self._remove_below(path)

    def _is_listed(self, path: str) -> bool:
        """True if the directory above `path` lists it, as the walk saw it. True of the top."""
        if path == self._walked.top:
            return True
        parent, name = os.path.split(path)
        above = self._delta.directories.get(parent)
        if above is None and parent not in self._delta.gone:
            above = self._snapshot.get(parent)
        return above is not None and name in dict(above.listing.named_containers())

    def _compare_directory(self, path: str) -> None:
        old, new = self._snapshot[path], self._walked.observed[path]
        if new.listing != old.listing:
            differing = _rows_that_differ(old.listing, new.listing)
            after = entries_at(path, new, (row for _, row in differing if row is not None))
            for entry, (_, row) in zip(
                entries_at(path, old, (row for row, _ in differing)), differing, strict=True
            ):
                if row is None:
                    self._remove(entry)
                else:
                    self._replace(entry, next(after))
            for entry in entries_at(path, new, _new_rows(old.listing, new.listing)):
                self._add(entry)
            new = replace(new, fingerprints=carried_fingerprints(old, new))
        self._delta.directories[path] = new

    def _replace(self, old: Entry, new: Entry) -> None:
        if (old.type in CONTAINERS) == (new.type in CONTAINERS):
            self._delta.modified[new.path] = (old, new)
        else:
            self._remove(old)
            self._add(new)

    def _add(self, entry: Entry) -> None:
        is_directory = entry.type == DIRECTORY
        if not self._scope.owns(entry.path):
            return
        if self._scope.agrees(entry.path, is_directory):
            self._delta.created[entry.path] = entry
        if entry.type in CONTAINERS and entry.path not in self._snapshot:
            self._add_directory(entry.path)

    def _add_directory(self, path: str) -> None:
        directory = self._walked.observed.get(path)
        if directory is None:
            return  # not listed yet, or it failed: only its own entry is known
        self._delta.directories[path] = directory
        for entry in entries_of(path, directory):
            self._add(entry)

    def _remove(self, entry: Entry) -> None:
        is_directory = entry.type == DIRECTORY
        if not self._scope.owns(entry.path):
            return
        if self._scope.agrees(entry.path, is_directory):
            self._delta.deleted[entry.path] = entry
        if entry.type in CONTAINERS:
            self._remove_below(entry.path)

    def _remove_below(self, top: str) -> None:
        for path, directory in directories_below(self._snapshot, top):
            if not self._scope.owns(path):
                continue
            self._delta.gone.add(path)
            for entry in entries_of(path, directory):
                is_directory = entry.type == DIRECTORY
                if self._scope.owns(entry.path) and self._scope.agrees(entry.path, is_directory):
                    self._delta.deleted[entry.path] = entry


def _rows_that_differ(old: Listing, new: Listing) -> list[tuple[int, int | None]]:
    """The rows of `old` that `new` has not or has otherwise, each with its row there or None.

    What is compared is type, size and mtime: rule 4 (changed means not equal, never newer). No
    object is made for the rows that are equal: one changed file in a folder of thousands is common.
    """
    if old.names == new.names:
        return [(row, row) for row in unequal_rows(old, new)]
    places = {name: row for row, name in enumerate(new.split_names())}
    found: list[tuple[int, int | None]] = []
    for row, (name, *values) in enumerate(
        zip(old.split_names(), old.types, old.sizes, old.mtimes, strict=True)
    ):
        place = places.get(name)
        if place is None:
            found.append((row, None))
        elif values != [new.types[place], new.sizes[place], new.mtimes[place]]:
            found.append((row, place))
    return found


def _new_rows(old: Listing, new: Listing) -> list[int]:
    """The rows of `new` whose names `old` has not."""
    if old.names == new.names:
        return []
    known = set(old.split_names())
    return [row for row, name in enumerate(new.split_names()) if name not in known]


def keep_entries(delta: Delta, snapshot: Snapshot, paths: AbstractSet[str]) -> None:
    """Take `paths` out of `delta`: their last known rows and listings stay.

    Used for deletions that are held back (rule 2) and for files that are still growing (rule 10).
    """
    by_directory: dict[str, set[str]] = {}
    for path in paths:
        by_directory.setdefault(os.path.dirname(path), set()).add(path)
        delta.gone.discard(path)
        delta.deleted.pop(path, None)
        delta.modified.pop(path, None)
    for parent, kept in by_directory.items():
        old, new = snapshot.get(parent), delta.directories.get(parent)
        if old is None or new is None:
            continue  # the parent itself is kept as it was
        delta.directories[parent] = _with_old_rows(parent, old, new, kept)
    for path in paths:
        folder = snapshot.get(path)
        if folder is not None and path not in delta.directories:
            left = keep_folder(path, folder, paths)
            if len(left.listing) != len(folder.listing):
                delta.directories[path] = left


def keep_folder(path: str, old: Directory, kept: AbstractSet[str]) -> Directory:
    """A folder that is kept although it is gone, without the entries that moved out of it."""
    rows = [row for row in old.listing.rows() if join(path, row.name) in kept]
    names = {row.name for row in rows}
    targets = [pair for pair in old.listing.targets if pair[0] in names]
    new = replace(old, listing=replace(old.listing.with_rows(rows, targets), unstatted=()))
    return replace(new, fingerprints=carried_fingerprints(old, new))


def _with_old_rows(parent: str, old: Directory, new: Directory, kept: set[str]) -> Directory:
    rows = {row.name: row for row in new.listing.rows()}
    targets = dict(new.listing.targets)
    old_targets = dict(old.listing.targets)
    for row in old.listing.rows():
        if join(parent, row.name) in kept:
            rows[row.name] = row
            if row.name in old_targets:
                targets[row.name] = old_targets[row.name]
    listing = new.listing.with_rows(rows.values(), targets.items())
    # With the mtime of before, the next walk lists this directory again (rule 5).
    merged = replace(new, listing=listing, mtime=old.mtime)
    fingerprints = carried_fingerprints(old, merged)
    # Rows that are new in this scan may carry what moves have proven of them meanwhile.
    fresh = {
        row.name: new.fingerprint(index)
        for index, row in enumerate(new.listing.rows())
        if new.fingerprint(index) and join(parent, row.name) not in kept
    }
    merged = replace(merged, fingerprints=fingerprints)
    return merged.with_fingerprints(fresh) if fresh else merged
