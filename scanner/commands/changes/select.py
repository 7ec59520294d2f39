"""The lines of the change list that a user asks for."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scanner.console.filters import RootFilter
from scanner.console.steps import _one_of
from scanner.core.changes import KINDS
from scanner.core.serialize import time_ns
from scanner.core.times import Zone, moment_of
from scanner.errors import SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.output.journal_reader import follow, read
from scanner.settings.values import parse_duration

POLL = 0.5
"""Seconds between looks for new lines."""


class Point(NamedTuple):
    """A place in the change list; both are None where no place is named."""

    scan: int | None = None
    """After the lines of this scan."""
    time: int | None = None
    """Before the first line of this time or later, in nanoseconds since 1970."""


def parse_point(option: str, text: str | None, zone: Zone = None) -> Point:
    """The place that a value of `--since` or `--until` names. Raises SettingsError."""
    if text is None:
        return Point()
    if re.fullmatch(r"\d+", text):
        return Point(scan=int(text))
    days_ago = {"today": 0, "yesterday": 1}.get(text.strip().lower())
    if days_ago is not None:
        day = moment_of(time.time_ns(), zone).date() - timedelta(days=days_ago)
        return Point(time=_ns_of(datetime(day.year, day.month, day.day), zone))
    try:
        return Point(time=time.time_ns() - int(parse_duration(text) * 1e9))
    except ValueError:
        pass
    try:
        return Point(time=_ns_of(datetime.fromisoformat(text), zone))
    except (ValueError, OverflowError, OSError):
        raise SettingsError(
            f"{option}: expected a duration such as 2h or 1w, today, yesterday, a date such as "
            f"2026-11-01, a time such as 2026-11-01T08:00, or the number of a scan; not {text!r}."
        ) from None


def _ns_of(moment: datetime, zone: Zone) -> int:
    """A time that names no zone is one of `zone`: at midnight its offset may differ from now."""
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    return int(moment.timestamp() * 1e9)


def parse_kinds(texts: Sequence[str]) -> frozenset[str]:
    """The kinds of changes that values of `--kind` name; all without any. Raises SettingsError."""
    return frozenset(_one_of("--kind", text, KINDS) for text in texts) or frozenset(KINDS)


def root_filter(texts: Sequence[str], outputs: Outputs, cwd: str) -> RootFilter:
    """The filter that values of `--root` make.

    Raises SettingsError for one that names no root, neither of the inventory nor of an older line.
    """
    header = read_header(outputs.inventory) or {}
    roots = RootFilter(texts, cwd, base_of(header))
    present = [root["id"] for root in header.get("roots", ())]
    try:
        roots.ids(present)
    except SettingsError:
        # A root that is scanned no longer stands in the change list alone.
        past = {line["root"] for line in read(outputs.journal) if "root" in line}
        roots.ids([*present, *sorted(past.difference(present))])
    return roots


class Wanted(NamedTuple):
    """The lines that a user asks for."""

    since: Point
    until: Point
    kinds: Collection[str]
    roots: RootFilter

    def has(self, line: Mapping[str, Any]) -> bool:
        """True if the line is one of them. A damaged time counts as a damaged line: left out."""
        try:
            moment = time_ns(line["time"])
        except ValueError:
            return False
        return (
            (self.since.scan is None or line["scan"] > self.since.scan)
            and (self.until.scan is None or line["scan"] <= self.until.scan)
            and (self.since.time is None or moment >= self.since.time)
            and (self.until.time is None or moment < self.until.time)
            and line["kind"] in self.kinds
            and self.roots.selects(str(line.get("root", "")))
        )


def select_changes(journal: str, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The wanted lines, oldest first. Raises OutputError where a file cannot be read."""
    return filter(wanted.has, read(journal, wanted.since.scan))


class Followed:
    """The lines of the present scans, then those of each new scan: none twice, none left out."""

    def __init__(self, journal: str, wanted: Wanted) -> None:
        self._journal = journal
        self._wanted = wanted
        self._scan = 0
        """The last scan whose lines were all read."""

    def present(self) -> Iterator[dict[str, Any]]:
        """The wanted lines that stand there now; of whole scans only."""
        for lines in _by_scan(read(self._journal)):
            self._scan = lines[-1]["scan"]
            yield from filter(self._wanted.has, lines)

    def new(self) -> Iterator[list[dict[str, Any]]]:
        """The wanted lines of each scan that comes after those, until Ctrl-C."""
        lines = follow(self._journal, threading.Event(), POLL, since_scan=self._scan)
        try:
            for scan in _by_scan(lines):
                if wanted := list(filter(self._wanted.has, scan)):
                    yield wanted
        except KeyboardInterrupt:
            return


def _by_scan(lines: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The lines of each scan, once its last one is there."""
    scan: list[dict[str, Any]] = []
    for line in lines:
        if scan and scan[0]["scan"] != line["scan"]:
            yield scan
            scan = []
        scan.append(line)
        if line["n"] >= line["of"]:
            yield scan
            scan = []
