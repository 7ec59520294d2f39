"""What some listings and stats of a walk take in the worker: what verification costs (rule 5)."""

from __future__ import annotations

from scanner.walk.walked import Walked
from scanner.workers.requests import (
    ListDirectory,
    Listed,
    StatBelow,
    Stated,
    StatedBelow,
    StatPath,
    Timed,
    Took,
)

SAMPLES = 50
"""Requests of each kind that are timed in one walk, where stats spare listings."""

Sampled = ListDirectory | StatPath | StatBelow


class Samples:
    """Chooses the requests of one walk that are timed, and notes what they took."""

    def __init__(self, walked: Walked, *, is_wanted: bool) -> None:
        kinds = (ListDirectory, StatPath, StatBelow) if is_wanted else ()
        self._left: dict[type[Sampled], int] = dict.fromkeys(kinds, SAMPLES)
        self._walked = walked

    def chosen(self, request: Sampled) -> Sampled | Timed:
        """`request`, timed if it is one of the first."""
        left = self._left.get(type(request), 0)
        if not left:
            return request
        self._left[type(request)] = left - 1
        return Timed(request)

    def note(self, took: Took) -> None:
        """Note what a request took: for each folder of it."""
        if isinstance(took.answer, Listed):
            self._walked.listing_seconds.append(took.seconds)
        elif isinstance(took.answer, Stated):
            self._walked.stat_seconds.append(took.seconds)
        elif isinstance(took.answer, StatedBelow):
            self._walked.stat_seconds.append(took.seconds / len(took.answer.stated))
