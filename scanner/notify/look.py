"""Read what a scan has published: new lines of the change list, statuses in the inventory."""

from __future__ import annotations

from typing import Any

import orjson

from scanner.output.journal_files import generations, open_existing, parse_line
from scanner.output.journal_tail import lines_backwards

_SIGN = b'"status":'


def lines_since(journal: str, since: int, upto: int) -> list[dict[str, Any]]:
    """The lines of scans after `since` and up to `upto`, in order. Only they are read, from the end
    of the newest file backwards. Raises OSError."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for _, path in sorted(generations(journal)):
        file = open_existing(path)
        if file is None:
            continue
        with file:
            for _, line in lines_backwards(file, file.seek(0, 2)):
                fields = parse_line(line)
                if fields is None or fields["scan"] > upto:
                    continue
                if fields["scan"] <= since:
                    return [found[mark] for mark in sorted(found)]
                found[fields["scan"], fields["n"]] = fields
    return [found[mark] for mark in sorted(found)]


def statuses_in(inventory: str) -> dict[str, str]:
    """The status of each entry that has one, by path. Other lines are not parsed. Raises OSError
    and ValueError."""
    statuses: dict[str, str] = {}
    file = open_existing(inventory)
    if file is None:
        return statuses
    with file:
        file.readline()
        for line in file:
            if _SIGN in line:
                entry = orjson.loads(line.rstrip(b"\n").removesuffix(b","))
                if isinstance(entry.get("status"), str):
                    statuses[entry["path"]] = entry["status"]
    return statuses
