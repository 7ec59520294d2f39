"""The status file as a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scanner.commands.roots.page import print_accepts, print_roots
from scanner.console.terminal import printed
from scanner.core.statuses import MARKS
from scanner.core.wording import count_text, size_text
from scanner.settings.values import format_duration

if TYPE_CHECKING:
    from rich.console import Console


def print_status(console: Console, status: Mapping[str, Any]) -> None:
    """Print the status file, with a field `alive`, for people."""
    running = "running" if status["alive"] else "not running"
    if status["state"] == "running" and not status["alive"]:
        running = "not running (it ended without saying so)"
    console.print(
        printed(f"comfy-inventory {status['tool']['version']}: {running}, "
             f"scan {status['scan']}, updated {_ago(status['updated'])}")
    )  # fmt: skip
    for lane in status["lanes"]:
        console.print(printed(f"lane {lane['id']}: {_lane_text(lane, status['alive'])}"))
    print_roots(console, status["roots"])
    for hold in status["holds"]:
        wait = "until you accept them" if hold["needs_accept"] else "until the next scan"
        held = f"held: {count_text(hold['files'], 'deletion')} of {hold['id']}, {wait}"
        console.print(printed(held, "yellow"))
    print_accepts(console, status.get("accept", ()))  # older versions do not write it
    for place in status["unreachable"]:
        console.print(printed(f"unreachable: {place['path']}: {place['error']}", "yellow"))
    backlog = status["backlog"]
    if backlog["files"]:
        left = f"{count_text(backlog['files'], 'file')}, {size_text(backlog['bytes'])}"
        console.print(printed(f"fingerprints to take: {left}"))
    if (unhashed := status.get("unhashed", {"files": 0}))["files"]:
        left = f"{count_text(unhashed['files'], 'file')}, {size_text(unhashed['bytes'])}"
        console.print(printed(f"hashes to take: {left}"))
    if (unread := status.get("unread", {"files": 0}))["files"]:
        names = ", ".join(place["path"] for place in unread["first"])
        more = ", ..." if unread["files"] > len(unread["first"]) else ""
        files = count_text(unread["files"], "file")
        console.print(printed(f"listed, and cannot be read: {files}: {names}{more}", "yellow"))
    if status.get("unfinished"):
        files = count_text(status["unfinished"], "file")
        found = "comfy-inventory find --status partial --status unsettled"
        console.print(printed(f"not whole yet: {files} ({found})"))
    for word in ("broken", *MARKS):
        if number := status.get(word):  # older versions do not write them
            found = f"{count_text(number, 'file')} (comfy-inventory find --status {word})"
            console.print(printed(f"{word}: {found}", "yellow"))
    if status.get("shadowed"):
        models = count_text(status["shadowed"], "model")
        hidden = f"hidden from ComfyUI by others of the same name: {models}"
        console.print(printed(f"{hidden} (comfy-inventory find --shadowed)"))
    console.print(printed(f"inventory {status['inventory']['path']}"))


def _lane_text(lane: Mapping[str, Any], is_alive: bool) -> str:
    last = lane["last_scan"]
    if last is None:
        text = "first scan in progress" if is_alive else "not scanned yet"
    else:
        text = (
            f"{count_text(last['files'], 'file')} in {count_text(last['directories'], 'folder')}, "
            f"{last['seconds']:.2f} s, {_ago(last['started'])}"
        )
    if lane["next_due"] and is_alive:
        text += f"; next {_ago(lane['next_due'])}"
        # Older versions do not write this field.
        if (every := lane.get("every_seconds")) is not None:
            text += f", then every {format_duration(every)}"
    return text + (f"; {lane['error']}" if lane["error"] else "")


def _ago(time: str) -> str:
    """A time as our files write it, in words relative to now."""
    moment = datetime.fromisoformat(time[:26] + "+00:00")
    seconds = (datetime.now(UTC) - moment).total_seconds()
    size, unit = abs(seconds), "s"
    for limit, larger in ((60, "min"), (60, "h"), (24, "days")):
        if size < limit:
            break
        size, unit = size / limit, larger
    words = f"{size:.0f} {unit}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"
