"""Paths of the coordinator as a worker has them, where its storage is mounted elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from scanner.core.paths import is_below
from scanner.workers.requests import Answer, Request, StatedBelow, Timed, Took

VARIABLE = "COMFY_INVENTORY_PATH_MAP"
"""The variable of a worker that holds the map as JSON: {"/mnt/nas": "/volume1/models"}."""


class WrongMapError(ValueError):
    """The map cannot be read."""


class PathMap:
    """Translates paths; the longest one that fits counts."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._there = sorted(pairs.items(), key=lambda pair: len(pair[0]), reverse=True)

    def there(self, path: str) -> str:
        """The coordinator's `path` as this worker has it."""
        for here, there in self._there:
            if is_below(path, here):
                return there.rstrip(os.sep) + path[len(here.rstrip(os.sep)) :] or os.sep
        return path

    def is_mapped(self, path: str) -> bool:
        """True if this worker has `path` elsewhere."""
        return any(is_below(path, here) for here, _ in self._there)

    def divides(self, point: str) -> bool:
        """True if a part of the storage at `point` is elsewhere than the rest. What workers see
        there could not be compared with what the coordinator sees."""
        return any(here != point and is_below(here, point) for here, _ in self._there)

    def request(self, request: Request) -> Request:
        """`request` with this worker's path."""
        if isinstance(request, Timed):
            return Timed(self.request(request.request))  # type: ignore[arg-type]
        return request._replace(path=self.there(request.path))


def answer_for(request: Request, answer: Answer) -> Answer:
    """`answer` with the path of the coordinator's `request`."""
    if isinstance(request, Timed):
        request = request.request
    if isinstance(answer, Took):
        inner = answer_for(request, answer.answer)
        return answer._replace(path=inner.path, answer=inner)
    if isinstance(answer, StatedBelow):
        length = len(answer.path)
        stated = tuple(one._replace(path=request.path + one.path[length:]) for one in answer.stated)
        return answer._replace(path=request.path, stated=stated)
    return answer._replace(path=request.path)


def map_from(text: str) -> PathMap:
    """The map in a variable's value. Raises WrongMapError."""
    if not text.strip():
        return PathMap({})
    try:
        pairs = json.loads(text)
    except ValueError as error:
        raise WrongMapError(f"{VARIABLE}: expected JSON, but {error}") from None
    is_map = isinstance(pairs, dict) and all(
        isinstance(path, str) and os.path.isabs(path) for pair in pairs.items() for path in pair
    )
    if not is_map:
        raise WrongMapError(f"{VARIABLE}: expected absolute paths by absolute paths")
    return PathMap({os.path.normpath(h): os.path.normpath(t) for h, t in pairs.items()})
