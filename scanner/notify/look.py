"""Read what a scan has published: new lines of the change list, statuses in the inventory."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import orjson

from scanner.output.journal_files import generations, open_existing, parse_line
from scanner.output.journal_tail import lines_backwards

_STATUS = b'"status":'

_START, _NEXT = b'{"path":', b'","type":'


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


class Seen(NamedTuple):
    """What the inventory says of its entries."""

    statuses: dict[str, str]
    """The status of each entry that has one, by path."""
    understood: frozenset[str]
    """The paths asked for whose headers were read."""


def look_into(inventory: str, asked: Collection[str]) -> Seen:
    """The statuses of all entries, and which of the paths `asked` for have facts. Other lines are
    not parsed. Raises OSError and ValueError."""
    statuses: dict[str, str] = {}
    understood: set[str] = set()
    starts = {orjson.dumps(path) for path in asked}
    file = open_existing(inventory)
    if file is None:
        return Seen(statuses, frozenset())
    with file:
        file.readline()
        for line in file:
            is_asked = starts and line[len(_START) : line.find(_NEXT) + 1] in starts
            if is_asked or _STATUS in line:
                entry = orjson.loads(line.rstrip(b"\n").removesuffix(b","))
                if isinstance(entry.get("status"), str):
                    statuses[entry["path"]] = entry["status"]
                if "model" in entry or "problem" in entry:
                    understood.add(entry["path"])
    return Seen(statuses, frozenset(understood))
