"""Read what a scan has published: statuses in the inventory."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import closing
from typing import NamedTuple

import orjson

from scanner.output.inventory_text import InventoryText

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
    not parsed. Raises InventoryError and ValueError."""
    statuses: dict[str, str] = {}
    understood: set[str] = set()
    starts = {orjson.dumps(path) for path in asked}
    if not os.path.exists(inventory):
        return Seen(statuses, frozenset())
    with closing(InventoryText(inventory)) as text:
        for line in (line for _, lines in text.pieces() for line in lines):
            is_asked = starts and line[len(_START) : line.find(_NEXT) + 1] in starts
            if is_asked or _STATUS in line:
                entry = orjson.loads(line.rstrip(b"\n").removesuffix(b","))
                if isinstance(entry.get("status"), str):
                    statuses[entry["path"]] = entry["status"]
                if "model" in entry or "problem" in entry:
                    understood.add(entry["path"])
    return Seen(statuses, frozenset(understood))
