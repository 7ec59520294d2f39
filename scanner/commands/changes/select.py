"""The lines of the change list that a user asks for."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from scanner.console.filters import RootFilter
from scanner.console.options import _one_of
from scanner.core.changes import KINDS
from scanner.core.serialize import time_ns
from scanner.errors import SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.output.journal_reader import follow, read
from scanner.settings.values import parse_duration

POLL = 0.5
"""Seconds between looks for new lines."""


class Since(NamedTuple):
    """The start of the wanted lines; everything is wanted where both are None."""

    scan: int | None = None
    """Only lines of later scans."""
    time: int | None = None
    """Only lines of this time or later, in nanoseconds since 1970."""


def parse_since(text: str | None) -> Since:
    """The start that a value of `--since` names. Raises SettingsError."""
    if text is None:
        return Since()
    if re.fullmatch(r"\d+", text):
        return Since(scan=int(text))
    try:
        return Since(time=time.time_ns() - int(parse_duration(text) * 1e9))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--since: expected a duration like 2h, the number of a scan or a time like "
            f"2026-11-23T08:00, not {text!r}."
        ) from None
    return Since(time=int(moment.timestamp() * 1e9))


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


def select_changes(
    journal: str, since: Since, kinds: Collection[str], roots: RootFilter
) -> Iterator[dict[str, Any]]:
    """The wanted lines, oldest first. Raises OutputError where a file cannot be read."""
    return _wanted(read(journal, since.scan, since.time), kinds, roots)


def follow_changes(
    journal: str, since: Since, kinds: Collection[str], roots: RootFilter
) -> Iterator[dict[str, Any]]:
    """The same, and new lines as they are written, until Ctrl-C."""
    # One reader for what is there and what comes: between two, lines could slip through.
    lines = follow(journal, threading.Event(), POLL, since_scan=since.scan or 0)
    earliest = since.time
    if earliest is not None:
        lines = (line for line in lines if time_ns(line["time"]) >= earliest)
    try:
        yield from _wanted(lines, kinds, roots)
    except KeyboardInterrupt:
        return


def _wanted(
    lines: Iterable[dict[str, Any]], kinds: Collection[str], roots: RootFilter
) -> Iterator[dict[str, Any]]:
    return (
        line for line in lines if line["kind"] in kinds and roots.selects(str(line.get("root", "")))
    )
