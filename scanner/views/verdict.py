"""The answer to "is everything fine?", from the status file. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from scanner.core.roots import COMPLETE
from scanner.core.wording import count_text, size_text

ONE_SHOT = "all"
"""The only lane of `scan`, which ends by itself."""


class Verdict(NamedTuple):
    """The answer in words. `problems` are what a person should act on, one clause each."""

    text: str
    problems: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        """True if there is nothing to act on."""
        return not self.problems


def verdict(status: Mapping[str, Any], now: datetime | None = None) -> Verdict:
    """Judge a status file, which has a field `alive`. Files of older versions are fine, too."""
    problems = tuple(_problems(status))
    if problems:
        return Verdict("Something needs you: " + "; ".join(problems) + ".", problems)
    if is_first(status):
        return Verdict("Nothing is wrong so far: the first scan has not ended yet.", ())
    seen = f"last looked at {ago(status['updated'], now)}"
    return Verdict(f"Everything is fine: {_holdings(status)}, {seen}.", ())


def is_first(status: Mapping[str, Any]) -> bool:
    """True if some folders have never been scanned whole, and their scan goes on."""
    return bool(status["alive"]) and any(lane["last_scan"] is None for lane in status["lanes"])


def place_of(lane: Mapping[str, Any]) -> str:
    """The mounts that are scanned together, in words."""
    if lane["id"] == "local":
        return "Local disks"
    if lane["id"] == ONE_SHOT:
        return "All folders"
    return str(lane["id"]).partition(" ")[2] or str(lane["id"])


def ago(time: str, now: datetime | None = None) -> str:
    """A time as our files write it, in words relative to now."""
    moment = datetime.fromisoformat(time[:26] + "+00:00")
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    size, unit = abs(seconds), "s"
    for limit, larger in ((60, "min"), (60, "h"), (24, "days")):
        if size < limit:
            break
        size, unit = size / limit, larger
    words = f"{size:.0f} {'day' if unit == 'days' and round(size) == 1 else unit}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _problems(status: Mapping[str, Any]) -> Iterator[str]:
    if not status["alive"]:
        is_one_shot = [lane["id"] for lane in status["lanes"]] == [ONE_SHOT]
        when = ago(status["updated"])
        if status["state"] != "stopped":
            yield f"the scanner ended without saying so, {when}"
        elif not is_one_shot:
            yield f"no scanner runs since {when}"
    for root in status["roots"]:
        if root["state"] not in COMPLETE:
            yield f"{root['path']} is {root['state']}"
    if not any(root["state"] == "partial" for root in status["roots"]):
        places = len(status["unreachable"])
        if places:
            yield f"{count_text(places, 'place')} cannot be read"
    for lane in status["lanes"]:
        if lane["error"]:
            yield lane["error"].rstrip(".")
    if broken := status.get("broken", 0):
        yield f"{count_text(broken, 'file')} {'is' if broken == 1 else 'are'} broken"


def _holdings(status: Mapping[str, Any]) -> str:
    folders = count_text(len(status["roots"]), "folder")
    totals = status.get("totals")
    if not totals:
        lanes = [lane["last_scan"] for lane in status["lanes"] if lane["last_scan"]]
        return f"{count_text(sum(lane['files'] for lane in lanes), 'file')} in {folders}"
    files = count_text(totals["files"], "file")
    return f"{files}, {size_text(totals['bytes'])} in {folders}"


def nagios_line(status: Mapping[str, Any]) -> str:
    """One line for monitoring: the word, the reason, and figures after a bar."""
    answer = verdict(status)
    word = "OK" if answer.is_fine else "WARNING"
    offline = sum(root["state"] not in COMPLETE for root in status["roots"])
    figures = {
        "files": (status.get("totals") or {}).get("files", 0),
        "broken": status.get("broken", 0),
        "unfinished": status.get("unfinished", 0),
        "away": offline,
    }
    # Figures begin at a bar, so the text may have none.
    text = answer.text.replace("|", "/").replace("\n", " ")
    return f"{word}: {text} | " + " ".join(f"{name}={value}" for name, value in figures.items())
