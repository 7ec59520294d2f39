"""The turns of directories in verification, as one-shot scans leave them to each other (rule 5)."""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Turns(NamedTuple):
    """The directories of one zone that were at rest, by when a walk listed them last, the longest
    unlisted first. Seconds, monotonic clock."""

    planned: float
    """When the last walk started."""
    seconds_per_listing: float
    listed: Mapping[str, float]


class Clocks(NamedTuple):
    """Seconds of the wall clock and of the monotonic clock at one moment."""

    wall: float
    monotonic: float


def turns_text(zones: Mapping[str, Turns], now: Clocks) -> str:
    """The turns of all zones, by id, as `turns_from` reads them."""
    plain = {}
    for zone, turns in zones.items():
        by_time: dict[float, list[str]] = {}
        for path, time in turns.listed.items():
            by_time.setdefault(time, []).append(path)
        plain[zone] = (turns.planned, turns.seconds_per_listing, list(by_time.items()))
    text = json.dumps({"now": now, "zones": plain}, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")


def turns_from(
    text: str | None, now: Clocks, is_known: Callable[[str], bool] = lambda path: True
) -> dict[str, Turns]:
    """Inverse of `turns_text`, on the clocks of another process. Empty if `text` is damaged: then
    everything is listed again. A directory that is not `is_known` any more would wait for its turn
    for ever, and is left out.

    The clock that went further tells the time that has passed: the monotonic clock begins anew when
    the system starts, and the wall clock may have been set back. Where both are behind, nobody
    knows how much has passed, and everything is listed again too.
    """
    try:
        kept = json.loads(zlib.decompress(b64decode(text or "", validate=True)))
        saved = Clocks(*map(float, kept["now"]))
        passed = max(now.wall - saved.wall, now.monotonic - saved.monotonic)
        if passed < 0:
            return {}
        shift = now.monotonic - passed - saved.monotonic
        return {
            zone: Turns(
                planned + shift,
                float(cost),
                {p: time + shift for time, paths in by_time for p in paths if is_known(p)},
            )
            for zone, (planned, cost, by_time) in kept["zones"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
        return {}
