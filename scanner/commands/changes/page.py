"""Changes by day for people, and as lines for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO

from scanner.console.envelope import envelope
from scanner.console.terminal import KIND_STYLES, printed
from scanner.core.changes import BASELINE, CREATED, DELETED, MODIFIED, MOVED
from scanner.core.serialize import time_ns
from scanner.core.times import CLOCK, DAY, Zone, moment_of
from scanner.core.wording import count_text
from scanner.views.change_entries import PACK, Day, Entry, change_of, entries_of, last_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

FIRST = 100
"""Entries that a terminal shows without --limit, the last ones."""

FOLLOWED = 20
"""Earlier entries that --follow begins with."""

_STYLES = {**KIND_STYLES, PACK: "magenta"}


def print_days(console: Console, days: Iterable[Day], limit: int, zone: Zone) -> list[Day]:
    """Print the last `limit` entries of these days (0: all) below a heading for each day. Returns
    these days."""
    shown, before = last_of(days, limit)
    if before:
        console.print(
            printed(f"{count_text(before, 'earlier line')} not shown (-n 0 shows all)", "dim")
        )
    for number, day in enumerate(shown):
        if number or before:
            console.print()
        console.print(_heading(day.date, zone).append(f"  {_counts_text(day.counts)}", "dim"))
        for entry in day.entries:
            console.print(_entry_text(entry, zone), soft_wrap=True)
    return shown


def print_new(
    console: Console,
    batches: Iterable[list[dict[str, Any]]],
    zone: Zone,
    day: date | None,
    *,
    folds: bool,
) -> None:
    """Print lines as they come. `day` is the one whose heading was printed last."""
    for lines in batches:
        changes = [(time_ns(line["time"]), change_of(line)) for line in lines]
        for entry in entries_of(changes, folds=folds):
            today = moment_of(entry.last, zone).date()
            if today != day:
                console.print(_heading(today, zone))
                day = today
            console.print(_entry_text(entry, zone), soft_wrap=True)


def write_changes(out: BinaryIO, changes: Iterable[Mapping[str, Any]]) -> int:
    """Write lines of the change list as one JSON document, a change a line; their number."""
    count = 0

    def counted() -> Iterator[Mapping[str, Any]]:
        nonlocal count
        for change in changes:
            count += 1
            yield change

    envelope().write_items(out, {}, "changes", counted(), lambda: {"count": count})
    return count


def stream_changes(changes: Iterable[Mapping[str, Any]]) -> int:
    """Write lines of the change list as they are and as they come, one JSON object a line; their
    number."""
    count = 0
    for change in changes:
        envelope().write_line(change)
        count += 1
    return count


def _heading(day: date, zone: Zone) -> Text:
    utc = " UTC" if zone is not None else ""
    return printed(f"{day.strftime('%A')} {day.strftime(DAY)}{utc}", "bold")


def _counts_text(counts: Mapping[str, int]) -> str:
    texts = [
        f"{counts[kind]:,} {kind}"
        for kind in (CREATED, DELETED, MODIFIED, MOVED)
        if counts.get(kind)
    ]
    if counts.get(PACK):
        texts.append(count_text(counts[PACK], "pack change"))
    if counts.get(BASELINE):
        texts.append(count_text(counts[BASELINE], "baseline"))
    return ", ".join(texts)


def _entry_text(entry: Entry, zone: Zone) -> Text:
    """`  14:03:12  created a`, or with both times `  14:03-18:20  created 243 files in b/`."""
    first, last = (moment_of(time, zone).strftime(CLOCK) for time in (entry.first, entry.last))
    time = last if first[:5] == last[:5] else f"{first[:5]}-{last[:5]}"
    text = printed(f"  {time:<11}  ")
    word, _, rest = entry.text.partition(" ")
    text.append(f"{word:<8} ", _STYLES.get(entry.kind, ""))
    return text.append(rest)
