"""Words for what is special about an entry, and the groups in which they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BROKEN = ("truncated", "damaged", "pointer", "page", "corrupt")

UNFINISHED = ("unsettled", "partial", "truncated", "incomplete")

STATUSES = ("unsettled", "partial", "incomplete", "away", "mismatch", *BROKEN)
"""The values of the field `status`."""

MARKS = ("misplaced",)
"""Fields that are counted and searched as a status is."""

GROUPS = {"broken": BROKEN, "unfinished": UNFINISHED}


def words_of(entry: Mapping[str, Any]) -> list[str]:
    """The status of an entry, and the marks that it has."""
    status = [entry["status"]] if "status" in entry else []
    return [*status, *(mark for mark in MARKS if mark in entry)]


def counts_shown(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts that the status file shows, from those of single words."""
    broken = sum(counts.get(word, 0) for word in BROKEN)
    return {"broken": broken, **{mark: counts.get(mark, 0) for mark in MARKS}}
