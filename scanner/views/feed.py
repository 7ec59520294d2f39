"""Lines of the change list for those who follow it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any

from scanner.output.journal_reader import lines_since, read
from scanner.views.change_entries import text_of

MOST = 10_000
"""Lines of one answer."""


def feed(journal: str, since: int, limit: int, last: int) -> dict[str, Any]:
    """The lines of whole scans after `since`, about `limit` of them. `last` is the number of the
    last scan that the status knows. Raises OutputError."""
    lines, more = _lines(journal, since, limit)
    reached = lines[-1]["scan"] if lines else since
    return {
        "scan": reached if more else max(reached, last),
        "more": more,
        "gap": _has_gap(journal, since),
        "changes": [with_text(line) for line in lines],
    }


def _lines(journal: str, since: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """The lines, and whether there are more."""
    few = lines_since(journal, since, sys.maxsize, limit)
    if few.reaches:
        return few.lines, False
    lines: list[dict[str, Any]] = []
    for line in read(journal, since_scan=since):
        if len(lines) >= limit and line["scan"] != lines[-1]["scan"]:
            return lines, True
        lines.append(line)
    return lines, False


def with_text(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line with a sentence for people."""
    return {**line, "text": text_of(line)}


def _has_gap(journal: str, since: int) -> bool:
    """True if lines after scan `since` may be gone: the first that is there is later."""
    first = next(islice(read(journal), 1), None)
    return first is not None and since < first["scan"] - 1 and first["scan"] > 1
