"""Report files that change in scan after scan when they rest (rule 10). Pure."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from scanner.comfyui.downloads import Signs
from scanner.core.memory import Unsettled
from scanner.core.paths import is_below, join
from scanner.core.snapshot import FILE, FILE_LINK, Directory, Snapshot
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves
from scanner.walk.zone_scan import Collected


class Growth(NamedTuple):
    """`growing`: files whose change is not reported yet. `unsettled`: all that changed lately, and
    unfinished downloads that were reported lately. `begins`: true if any is growing of which the
    last scan reported everything."""

    growing: frozenset[str]
    unsettled: dict[str, Unsettled]
    begins: bool


def settle_growth(
    delta: Delta,
    moves: Moves,
    before: Mapping[str, Unsettled],
    snapshot: Snapshot,
    collected: Collected,
    every: int,
) -> Growth:
    """Files that are still growing, given the moves of a scan: see `find_growing`."""

    def listed_now(folder: str) -> Directory | None:
        last = None if folder in delta.gone else snapshot.get(folder)
        return delta.directories.get(folder, last)

    moved = {move.target.path for move in moves.files}
    for move in moves.directories:
        # Their line is the folder's, and it says what they are now.
        moved.update(path for path in delta.modified if is_below(path, move.target.path))
    return find_growing(
        delta,
        before,
        unfinished=Signs(listed_now),
        was_unfinished=Signs(snapshot.get),
        moved=moved,
        was_walked=collected.was_walked,
        now=collected.moment.wall,
        every=every,
    )


def find_growing(
    delta: Delta,
    before: Mapping[str, Unsettled],
    *,
    unfinished: Container[str],
    was_unfinished: Container[str],
    moved: Iterable[str],
    was_walked: Callable[[str], bool],
    now: int,
    every: int,
) -> Growth:
    """Distinguish growth from single changes.

    A file that changed in the last scan and has changed again, in size or time, is still written:
    it keeps the size and mtime last reported, until it rests or `every` nanoseconds have passed
    since its last line. Copies that have their full size at once only change their time. So does
    an unfinished download, though it may have rested meanwhile: downloads stall. What was one in
    the last scan and is none any more is whole, and reported at once, and so is an entry whose type
    changed. `unfinished` and `was_unfinished` are the paths that are downloads now and by the
    snapshot.
    `moved` are files whose move is reported in this scan, with what they are now.
    """

    def is_recent(seen: Unsettled) -> bool:
        # A clock that was set back must not silence a file until it has caught up.
        return 0 <= now - seen.reported < every

    def waits(path: str, seen: Unsettled, size: int, mtime: int) -> bool:
        if path in unfinished:
            return is_recent(seen)
        if path in was_unfinished or (size, mtime) == (seen.size, seen.mtime):
            return False  # whole, or at rest: this scan reports what it has become
        return is_recent(seen)

    growing: set[str] = set()
    begins = False
    unsettled: dict[str, Unsettled] = {
        path: seen
        for path, seen in before.items()
        if path not in delta.deleted
        and (not was_walked(path) or (is_recent(seen) and path in unfinished))
    }
    arrived = set(moved)
    for path, (old, new) in delta.modified.items():
        seen = before.get(path)
        if seen is not None and path not in arrived and old.type == new.type:
            if waits(path, seen, new.size, new.mtime):
                growing.add(path)
                begins |= (old.size, old.mtime) == (seen.size, seen.mtime)
                unsettled[path] = Unsettled(new.size, new.mtime, seen.reported)
                continue
            if path not in unfinished and (new.size, new.mtime) == (seen.size, seen.mtime):
                continue  # at rest, and reported as it is now
        unsettled[path] = Unsettled(new.size, new.mtime, now)
    for path, entry in delta.created.items():
        if entry.type in (FILE, FILE_LINK):
            unsettled[path] = Unsettled(entry.size, entry.mtime, now)
    return Growth(frozenset(growing), unsettled, begins)


def growing(unsettled: Mapping[str, Unsettled], snapshot: Mapping[str, Directory]) -> Iterator[str]:
    """Files whose present size and mtime are not reported yet: the snapshot has the last ones that
    are."""
    folders: defaultdict[str, dict[str, Unsettled]] = defaultdict(dict)
    for path, seen in unsettled.items():
        folder, name = os.path.split(path)
        folders[folder][name] = seen
    for folder, names in folders.items():
        directory = snapshot.get(folder)
        if directory is None:
            continue
        listing = directory.listing
        known = listing.split_names()
        for name, last in names.items():
            row = bisect_left(known, name)
            if row == len(known) or known[row] != name:
                continue
            if (listing.sizes[row], listing.mtimes[row]) != (last.size, last.mtime):
                yield join(folder, name)
