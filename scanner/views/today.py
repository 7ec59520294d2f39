"""The changes of this day, counted from the end of the change list."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import datetime

from scanner.core.changes import BASELINE
from scanner.core.serialize import time_text
from scanner.output.atomic import cannot
from scanner.output.journal_files import open_existing, parse_line

MOST = 4_000_000
"""Bytes that are read at most, in some 30 ms: the count of a day with more is one of its end."""


def changes_today(journal: str, now: float | None = None) -> tuple[dict[str, int], bool]:
    """Number of changes by kind since midnight, local time, and whether those are all.

    Raises OutputError if the change list cannot be read.
    """
    midnight = datetime.fromtimestamp(time.time() if now is None else now).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    since = time_text(int(midnight.timestamp() * 1e9)) or ""
    counts: Counter[str] = Counter()
    try:
        file = open_existing(journal)
        if file is None:
            return {}, True
        with file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST))
            lines = file.read().splitlines(keepends=True)
    except OSError as error:
        raise cannot("read", journal, error) from error
    for line in reversed(lines):
        fields = parse_line(line)
        if fields is None:
            continue  # torn at either end
        if fields["time"] < since:
            return dict(counts), True
        if fields["kind"] != BASELINE:
            counts[fields["kind"]] += 1
    return dict(counts), size <= MOST
