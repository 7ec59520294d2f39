"""What one-shot scans leave to each other: the turns of directories in verification, and all else
that a walk has learned of its zone (rule 5)."""

from __future__ import annotations

import json  # escapes surrogates, which orjson refuses
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Turns(NamedTuple):
    """The directories of one zone that were at rest, by when a walk listed them last, the longest
    unlisted first. Seconds, monotonic clock."""

    planned: float
    """When the last walk started."""
    seconds_per_listing: float
    listed: Mapping[str, float]


class Learned(NamedTuple):
    """The knowledge of the walks of one process that their commits do not hold."""

    turns: Mapping[str, Turns] = {}
    """By zone id; without the zones that are listed whole in every walk."""
    packs: Mapping[str, Mapping[str, float]] = {}
    """The node packs of each zone that were at rest, and when they were read last."""
    doubts: Mapping[str, float] = {}
    """Directories whose names changed while their times stood still, and when that was seen."""
    crowded: frozenset[str] = frozenset()
    """Ids of zones whose last walk had to choose among the paths to a folder."""


class Clocks(NamedTuple):
    """Seconds of the wall clock and of the monotonic clock at one moment."""

    wall: float
    monotonic: float
    boot: str = ""
    """The boot since which the monotonic clock counts; empty if the system does not tell."""


def learned_text(learned: Learned, now: Clocks) -> str:
    """All that was learned, as `learned_from` reads it; empty if there is nothing."""
    if not any(learned):
        return ""
    plain = {
        "now": now,
        "zones": {
            zone: (turns.planned, turns.seconds_per_listing, _by_time(turns.listed))
            for zone, turns in learned.turns.items()
        },
        "packs": {zone: _by_time(read) for zone, read in learned.packs.items()},
        "doubts": _by_time(learned.doubts),
        "crowded": sorted(learned.crowded),
    }
    text = json.dumps(plain, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode("ascii"), 1)).decode("ascii")


def learned_from(
    text: str | None, now: Clocks, is_known: Callable[[str], bool] = lambda path: True
) -> Learned:
    """Inverse of `learned_text`, on the clocks of another process. Empty if `text` is damaged, or
    of an older version: then everything is listed again. A directory that is not `is_known` any
    more would wait for its turn for ever, and is left out.

    Where nobody knows how much time has passed, everything is listed again too.
    """
    try:
        kept = json.loads(zlib.decompress(b64decode(text or "", validate=True)))
        saved = Clocks(float(kept["now"][0]), float(kept["now"][1]), str(kept["now"][2]))
        passed = seconds_between(saved, now)
        if passed < 0:
            return Learned()
        shift = now.monotonic - passed - saved.monotonic
        return Learned(
            {
                zone: Turns(
                    planned + shift,
                    float(cost),
                    {path: at + shift for path, at in _times(listed) if is_known(path)},
                )
                for zone, (planned, cost, listed) in kept["zones"].items()
            },
            {
                zone: {path: at + shift for path, at in _times(read)}
                for zone, read in kept["packs"].items()
            },
            {path: at + shift for path, at in _times(kept["doubts"]) if is_known(path)},
            frozenset(map(str, kept["crowded"])),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, zlib.error):
        return Learned()


def seconds_between(saved: Clocks, now: Clocks) -> float:
    """Seconds that passed between two moments of two processes; negative if nobody knows.

    The clock that went further tells it: the monotonic clock begins anew when the system starts and
    may stand still in sleep, and the wall clock may have been set back. After a start of the system
    at least the time since then has passed.
    """
    has_started_anew = now.boot != saved.boot and now.boot and saved.boot
    monotonic = now.monotonic if has_started_anew else now.monotonic - saved.monotonic
    return max(now.wall - saved.wall, monotonic)


def _by_time(times: Mapping[str, float]) -> list[tuple[float, list[str]]]:
    """Paths by time: whole walks have one time in common."""
    by_time: dict[float, list[str]] = {}
    for path, time in times.items():
        by_time.setdefault(time, []).append(path)
    return list(by_time.items())


def _times(by_time: Any) -> list[tuple[str, float]]:
    return [(path, float(time)) for time, paths in by_time for path in paths]
