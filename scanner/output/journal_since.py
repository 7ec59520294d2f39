"""The newest lines of a change list, read from its end."""

from __future__ import annotations

from typing import Any

from scanner.output.journal_files import generations, open_existing, parse_line
from scanner.output.journal_tail import lines_backwards

Marked = dict[tuple[int, int], dict[str, Any]]
"""Lines by scan and number."""


def lines_since(journal: str, since: int, upto: int) -> list[dict[str, Any]]:
    """The lines of scans after `since` and up to `upto`, in order. Only they are read, from the end
    of the newest file backwards. Raises OSError."""
    found, _ = _collect(journal, since, None)
    return [found[mark] for mark in sorted(found) if mark[0] <= upto]


def few_lines_since(journal: str, since: int, most: int) -> list[dict[str, Any]] | None:
    """The lines of scans after `since`, in order; None if there are more than `most`, or if no
    line of `since` or before is there. Raises OSError."""
    found, is_whole = _collect(journal, since, most)
    return [found[mark] for mark in sorted(found)] if is_whole else None


def _collect(journal: str, since: int, most: int | None) -> tuple[Marked, bool]:
    found: Marked = {}
    for _, path in sorted(generations(journal)):
        file = open_existing(path)
        if file is None:
            continue
        with file:
            for _, line in lines_backwards(file, file.seek(0, 2)):
                fields = parse_line(line)
                if fields is None:
                    continue
                if fields["scan"] <= since:
                    return found, True
                found[fields["scan"], fields["n"]] = fields
                if most is not None and len(found) > most:
                    return found, False
    return found, False
