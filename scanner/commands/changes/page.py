"""Changes as lines, filtered by time, kind and root."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from scanner.console.terminal import KIND_STYLES
from scanner.core.changes import KINDS
from scanner.core.serialize import printable, time_ns
from scanner.core.wording import count_text, size_text
from scanner.errors import SettingsError
from scanner.output.journal_reader import follow, read
from scanner.settings.values import parse_duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def print_changes(
    console: Console,
    journal: str,
    *,
    since: str | None,
    kinds: Sequence[str],
    roots: Sequence[str],
    follow_on: bool,
    as_json: bool,
) -> None:
    """Print the journal, and what is appended to it while `follow_on`."""
    for kind in kinds:
        if kind not in KINDS:
            raise SettingsError(f"--kind: expected one of {', '.join(KINDS)}, not {kind!r}.")
    scan, moment = parse_since(since)
    wanted_roots = tuple(_root_forms(root) for root in roots)

    def matches(change: Mapping[str, Any]) -> bool:
        if kinds and change["kind"] not in kinds:
            return False
        root = str(change.get("root", ""))
        return not roots or any(
            root == form or root.startswith(form + ":") or root.endswith(":" + form)
            for forms in wanted_roots
            for form in forms
        )

    for change in _lines(journal, scan, moment, follow_on):
        if not matches(change):
            continue
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(change, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.flush()
        else:
            console.print(_change_text(change), soft_wrap=True)


def _lines(
    journal: str, scan: int | None, moment: int | None, follow_on: bool
) -> Iterator[dict[str, Any]]:
    if not follow_on:
        yield from read(journal, since_scan=scan, since_time=moment)
        return
    try:
        # One reader for what is there and what comes: between two, lines could slip through.
        for line in follow(journal, threading.Event(), 0.5, since_scan=scan or 0):
            if moment is None or time_ns(line["time"]) >= moment:
                yield line
    except KeyboardInterrupt:
        return


def _root_forms(root: str) -> tuple[str, ...]:
    return (root, os.path.abspath(root))


def parse_since(text: str | None) -> tuple[int | None, int | None]:
    """`--since`: (number of a scan, None), (None, nanoseconds of wall time) or two Nones."""
    if text is None:
        return None, None
    if re.fullmatch(r"\d+", text):
        return int(text), None
    try:
        return None, time.time_ns() - int(parse_duration(text) * 1e9)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--since: expected a duration like 2h, the number of a scan or a time like "
            f"2026-11-23T08:00, not {text!r}."
        ) from None
    return None, int(moment.timestamp() * 1e9)


def _change_text(change: Mapping[str, Any]) -> Text:
    from rich.text import Text

    kind = change["kind"]
    text = Text(f"{change['time'][:19].replace('T', ' ')}  ")
    text.append(f"{kind:<9}", KIND_STYLES.get(kind, ""))
    if "from" in change:
        text.append(f"{printable(change['from'])} -> ")
    text.append(printable(change["path"]) + ("/" if change["type"] == "directory" else ""))
    told = []
    if "files" in change:
        told.append(count_text(change["files"], "file"))
    if "bytes" in change or "size" in change:
        told.append(size_text(change.get("bytes", change.get("size", 0))))
    if "reason" in change:
        told.append(change["reason"])
    if told:
        text.append(f"  ({', '.join(told)})", "dim")
    return text
