"""Read what a scan has published: statuses in the inventory."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import orjson

from scanner.output.journal_files import open_existing

_STATUS = b'"status":'

_START, _NEXT = b'{"path":', b'","type":'


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
