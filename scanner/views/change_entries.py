"""Lines of the change list as people read them: by day, many changes in one folder as one entry."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

from scanner.core.change_lines import folded, group_line, is_of_pack_alone, pack_line
from scanner.core.changes import BASELINE, Change
from scanner.core.packs import Pack, PackChange
from scanner.core.serialize import printable, time_ns
from scanner.core.times import Zone, moment_of

PACK = "pack"
"""The kind of an entry that reports a change of a node pack."""


class Entry(NamedTuple):
    """One change, or several of one kind. The times are those of the first and the last one, in
    nanoseconds since 1970."""

    first: int
    last: int
    kind: str
    text: str


class Day(NamedTuple):
    """The entries of one day, and the number of changes of each kind. `left_out` counts earlier
    entries of the day that are not shown."""

    date: date
    counts: Mapping[str, int]
    entries: Sequence[Entry]
    left_out: int = 0


def days_of(lines: Iterable[Mapping[str, Any]], zone: Zone, *, folds: bool = True) -> Iterator[Day]:
    """The days of `lines`, oldest first. Without `folds` each change is an entry of its own."""

    def day_of(line: Mapping[str, Any]) -> date:
        return moment_of(time_ns(line["time"]), zone).date()

    for day, group in groupby(lines, day_of):
        changes = [(time_ns(line["time"]), change_of(line)) for line in group]
        counts = Counter(change.kind for _, change in changes if not is_of_pack_alone(change))
        counts[PACK] = sum(change.pack is not None for _, change in changes)
        yield Day(day, counts, entries_of(changes, folds=folds))


def entries_of(changes: Sequence[tuple[int, Change]], *, folds: bool = True) -> list[Entry]:
    """The entries that `changes`, each with its time, become; in the order of their last times."""
    entries = [
        Entry(time, time, PACK, pack_line(change.pack))
        for time, change in changes
        if change.pack is not None
    ]
    plain = [(time, change) for time, change in changes if not is_of_pack_alone(change)]
    times = {id(change): time for time, change in plain}
    values = [change for _, change in plain]
    for group in folded(values) if folds else [[change] for change in values]:
        moments = [times[id(change)] for change in group]
        first = group[0]
        entries.append(Entry(min(moments), max(moments), first.kind, group_line(group, None)))
    return sorted(entries, key=lambda entry: entry.last)


def last_of(days: Iterable[Day], limit: int) -> tuple[list[Day], int]:
    """The days with the last `limit` entries (all without one), and the number of entries before.

    No more than these are kept in memory.
    """
    kept: deque[Day] = deque()
    total = shown = 0
    for day in days:
        kept.append(day)
        total += len(day.entries)
        shown += len(day.entries)
        while limit and shown - len(kept[0].entries) >= limit:
            shown -= len(kept.popleft().entries)
    if limit and shown > limit:
        first = kept.popleft()
        kept.appendleft(
            first._replace(entries=first.entries[shown - limit :], left_out=shown - limit)
        )
        shown = limit
    return list(kept), total - shown


def text_of(line: Mapping[str, Any]) -> str:
    """One line of the change list as a printable sentence."""
    change = change_of(line)
    if change.pack is not None and is_of_pack_alone(change):
        return printable(pack_line(change.pack))
    return printable(group_line([change], None))


def change_of(line: Mapping[str, Any]) -> Change:
    """A line of the change list as a value, with paths as the line shows them."""
    return Change(
        line["kind"],
        line.get("type", "file"),
        line["path"],
        line.get("root", ""),
        size=line.get("size", 0),
        source=line.get("from", ""),
        files=line.get("files", -1),
        bytes=line.get("bytes", -1),
        reason=line.get("reason", ""),
        pack=_pack_change(line[PACK]) if PACK in line and line["kind"] != BASELINE else None,
    )


def _pack_change(fields: Mapping[str, Any]) -> PackChange:
    """Inverse of `PackChange.as_json`, as far as the line about it needs."""

    def side(key: str) -> Pack | None:
        known = fields.get(key)
        if known is None:
            return None
        return Pack(
            known.get("id", fields["id"]),
            fields["name"],
            "unknown",
            known.get("enabled", True),
            known.get("version", ""),
            known.get("commit", ""),
        )

    return PackChange(side("from"), side("to"))
