"""Problems of single files and places, in groups that a person can act on."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, NamedTuple

from scanner.core.serialize import printable
from scanner.core.statuses import BROKEN
from scanner.core.times import Zone, time_shown

MOST = 1000
"""Rows of a group that a report shows, the largest files first."""


class Group(NamedTuple):
    """A kind of problem, and what a person may do about it."""

    name: str
    title: str
    advice: str


GROUPS = (
    Group("broken", "Broken", "ComfyUI fails to load these. Download them again."),
    Group(
        "mismatch",
        "Not the file that it should be",
        "The content has another SHA-256 than the file beside it says. Download it again, or "
        "delete that file.",
    ),
    Group(
        "unfinished",
        "Not whole yet",
        "Downloads that go on or were broken off, files that still grow, and models of which "
        "parts are not there.",
    ),
    Group(
        "misplaced",
        "In the wrong folder",
        "ComfyUI cannot load a model of this kind from this folder. Move it.",
    ),
    Group(
        "shadowed",
        "Hidden by another file of the same name",
        "ComfyUI loads the other one, from a folder that it searches first. Rename one of them.",
    ),
    Group("away", "Links that lead nowhere", "What they lead to is gone or out of reach."),
    Group(
        "unreadable",
        "Cannot be read",
        "What is known of these places stays, and may be out of date.",
    ),
)

_GROUP_OF = {
    **dict.fromkeys(BROKEN, "broken"),
    **dict.fromkeys(("partial", "incomplete", "unsettled"), "unfinished"),
    "mismatch": "mismatch",
    "away": "away",
}

Row = tuple[int, str, str, str]
"""Bytes, path, word, and a sentence. The word is empty where that of the group says it all."""


class Problems:
    """Collects the problems of entries as they come."""

    def __init__(self, header: Mapping[str, Any], zone: Zone) -> None:
        self._rows: dict[str, list[Row]] = {group.name: [] for group in GROUPS}
        self._totals: dict[str, list[int]] = {group.name: [0, 0] for group in GROUPS}
        for place in header.get("unreachable", ()):
            since = time_shown(place.get("since", ""), zone)
            text = f"{place['error']}, since {since}" if since else place["error"]
            self._put("unreadable", 0, place, "", text)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take what is wrong with an entry."""
        status = entry.get("status")
        size = entry.get("size") or 0
        if status in _GROUP_OF:
            self._put(_GROUP_OF[status], size, entry, status, entry.get("problem", ""))
        elif entry["type"] == "symlink" and "leads_to" not in entry:
            self._put("away", 0, entry, "", f"leads to {entry.get('target', 'nothing')}")
        elif "problem" in entry:
            self._put("unreadable", size, entry, "", entry["problem"])
        if misplaced := entry.get("misplaced"):
            text = f"{misplaced['kind']} in {misplaced['category']}"
            self._put("misplaced", size, entry, "", text)
        if other := entry.get("shadowed_by"):
            self._put("shadowed", size, entry, "", f"ComfyUI loads {other}")

    def page(self) -> list[dict[str, Any]]:
        """The groups with something in them, with their sums and their largest files."""
        return [
            {
                **group._asdict(),
                "files": self._totals[group.name][0],
                "bytes": self._totals[group.name][1],
                "rows": [
                    {"size": row[0], "path": row[1], "word": row[2], "text": row[3]}
                    for row in sorted(self._rows[group.name], key=lambda row: (-row[0], row[1]))
                ],
            }
            for group in GROUPS
            if self._rows[group.name]
        ]

    def _put(self, group: str, size: int, at: Mapping[str, Any], word: str, text: str) -> None:
        rows, totals = self._rows[group], self._totals[group]
        totals[0] += 1
        totals[1] += size
        row = (size, printable(at["path"]), word, printable(text))
        if len(rows) < MOST:
            heapq.heappush(rows, row)
        else:
            heapq.heappushpop(rows, row)
