"""Files that grow in scan after scan are reported when they rest (design rule 10). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from scanner.compare import Delta
from scanner.state import Unsettled


class Growth(NamedTuple):
    """`growing`: files whose change is not reported yet. `unsettled`: all that changed lately."""

    growing: frozenset[str]
    unsettled: dict[str, Unsettled]


def judge_growth(
    delta: Delta,
    before: Mapping[str, Unsettled],
    *,
    moved: Iterable[str],
    was_walked: Callable[[str], bool],
    now: int,
    every: int,
) -> Growth:
    """Tell growth from single changes.

    A file that changed in the last scan and is larger again is still growing: it keeps the size
    and mtime last reported, until it rests or `every` nanoseconds have passed since its last line.
    `moved` are files whose move is reported in this scan, with what they are now.
    """
    growing: set[str] = set()
    unsettled: dict[str, Unsettled] = {
        path: seen
        for path, seen in before.items()
        if not was_walked(path) and path not in delta.deleted
    }
    arrived = set(moved)
    for path, (_, new) in delta.modified.items():
        seen = before.get(path)
        if seen is not None and path not in arrived:
            if (new.size, new.mtime) == (seen.size, seen.mtime):
                continue  # at rest: this scan reports what it has become
            if new.size > seen.size and now - seen.reported < every:
                growing.add(path)
                unsettled[path] = Unsettled(new.size, new.mtime, seen.reported)
                continue
        unsettled[path] = Unsettled(new.size, new.mtime, now)
    for path, entry in delta.created.items():
        if entry.type in "fl":
            unsettled[path] = Unsettled(entry.size, entry.mtime, now)
    return Growth(frozenset(growing), unsettled)
