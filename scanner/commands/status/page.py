"""The status as a page: the answer first, then figures, then what a person may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.terminal import STATE_STYLES, print_folded, printed
from scanner.core.roots import COMPLETE
from scanner.core.statuses import MARKS
from scanner.core.wording import accept_hint, count_text, size_text
from scanner.settings.values import format_duration
from scanner.views.verdict import ago, place_of, verdict

if TYPE_CHECKING:
    from rich.console import Console

MOST_CATEGORIES = 8

FIND = "comfy-inventory find"


def print_status(console: Console, status: Mapping[str, Any]) -> None:
    """Print the status file, with a field `alive` and, where they are known, the changes of
    `today`, for people."""
    answer = verdict(status)
    console.print(printed(answer.text, "bold green" if answer.is_fine else "bold yellow"))
    console.print(printed(f"Scanner: {_scanner_text(status)}."))
    for lane in status["lanes"]:
        console.print(printed(f"{place_of(lane)}: {_lane_text(lane, status['alive'])}"))
    if "today" in status:
        console.print(printed(f"Changes today: {_today_text(status['today'])}"))
    _print_categories(console, (status.get("totals") or {}).get("categories") or {})
    _print_folders(console, status)
    for text, style in _findings(status):
        print_folded(console, text, style)
    console.print(printed(f"Inventory: {status['inventory']['path']}"), soft_wrap=True)


def _scanner_text(status: Mapping[str, Any]) -> str:
    running = "running" if status["alive"] else "not running"
    if status["state"] != "stopped" and not status["alive"]:
        running = "not running (it ended without saying so)"
    version = status["tool"]["version"]
    return f"{running}, last wrote {ago(status['updated'])} (comfy-inventory {version})"


def _lane_text(lane: Mapping[str, Any], is_alive: bool) -> str:
    last = lane["last_scan"]
    if last is None:
        text = "the first scan goes on" if is_alive else "not scanned yet"
    else:
        text = (
            f"{count_text(last['files'], 'file')} in {count_text(last['directories'], 'folder')}, "
            f"scanned {ago(last['started'])} in {last['seconds']:.2f} s"
        )
    if lane["next_due"] and is_alive:
        text += f"; next {ago(lane['next_due'])}"
        # Older versions do not write this field.
        if (every := lane.get("every_seconds")) is not None:
            text += f", then every {format_duration(every)}"
    return text + (f"; {lane['error']}" if lane["error"] else "")


def _today_text(today: Mapping[str, Any]) -> str:
    kinds = today["kinds"]
    counts = [f"{kinds[kind]:,} {kind}" for kind in sorted(kinds)]
    more = "" if today["is_whole"] else "more than "
    return f"{more}{', '.join(counts)} (comfy-inventory changes)" if counts else "none"


def _print_categories(console: Console, categories: Mapping[str, Mapping[str, int]]) -> None:
    from rich.table import Table

    if not categories:
        return
    largest = sorted(categories.items(), key=lambda item: (-item[1]["bytes"], item[0]))
    shown, rest = largest[:MOST_CATEGORIES], largest[MOST_CATEGORIES:]
    rows = [(name or "(no category)", count) for name, count in shown]
    if rest:
        sums = {key: sum(count[key] for _, count in rest) for key in ("files", "bytes")}
        rows.append((f"{len(rest)} more", sums))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("files", "size"):
        table.add_column(heading, justify="right")
    table.add_column("category", overflow="fold")
    for name, count in rows:
        table.add_row(f"{count['files']:,}", size_text(count["bytes"]), printed(name))
    console.print()
    console.print(table)


def _print_folders(console: Console, status: Mapping[str, Any]) -> None:
    """Every folder with its state, then the space of each mount. A folder that is away keeps its
    line, and its mount the space last known."""
    roots = status["roots"]
    width = max((len(root["kind"]) for root in roots), default=0)
    console.print()
    for root in roots:
        state = root["state"]
        line = printed("")
        line.append_text(printed(f"{state:<8}", STATE_STYLES.get(state, "dim")))
        line.append_text(printed(f"  {root['kind']:<{width}}  {root['path']}"))
        console.print(line, soft_wrap=True)
    for mount in status.get("mounts", ()):
        share = 100 * mount["free"] / mount["bytes"]
        space = f"{size_text(mount['free'])} free of {size_text(mount['bytes'])} ({share:.0f} %)"
        text = f"{space} on {mount['point']} ({mount['filesystem']})"
        console.print(printed(text), soft_wrap=True)
    console.print()


def _findings(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _folders_away(status)
    for word in ("broken", *MARKS):
        if number := status.get(word):  # older versions do not write them
            yield f"{word}: {count_text(number, 'file')} ({FIND} --status {word})", "yellow"
    if unfinished := status.get("unfinished"):
        files = count_text(unfinished, "file")
        yield f"not whole yet: {files} ({FIND} --status partial --status unsettled)", ""
    if (unread := status.get("unread", {"files": 0}))["files"]:
        names = ", ".join(place["path"] for place in unread["first"])
        more = ", ..." if unread["files"] > len(unread["first"]) else ""
        files = count_text(unread["files"], "file")
        yield f"listed, and cannot be read: {files}: {names}{more}", "yellow"
    copies = (status.get("totals") or {}).get("likely_copies") or {"files": 0, "bytes": 0}
    if copies["files"]:
        text = f"{count_text(copies['files'], 'model')}, {size_text(copies['bytes'])} too many"
        yield f"likely copies: {text} (comfy-inventory duplicates)", ""
    if status.get("shadowed"):
        models = count_text(status["shadowed"], "model")
        yield f"hidden from ComfyUI by others of the same name: {models} ({FIND} --shadowed)", ""
    for field, what in (("backlog", "recognise moved files"), ("unhashed", "know whole contents")):
        left = status.get(field, {"files": 0})
        if left["files"]:
            files = f"{count_text(left['files'], 'file')}, {size_text(left['bytes'])}"
            yield f"still to read, to {what}: {files}", ""


def _folders_away(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    commands = {item["id"]: item for item in status.get("accept", ())}
    for root in status["roots"]:
        if root["state"] in COMPLETE:
            continue
        reason = f": {root['reason']}" if root.get("reason") else ""
        text = f"{root['path']} is {root['state']} since {ago(root['since'])}{reason}."
        yield f"{text} {_help(root['id'], root['path'], root['state'], commands)}", "yellow"
    own = {root["id"] for root in status["roots"] if root["state"] not in COMPLETE}
    for id_, item in commands.items():
        if id_ not in own:
            hint = accept_hint(item["state"], item["command"])
            yield f"{id_} is {item['state']}. {hint}", "yellow"
    yield from _holds(status["holds"])
    for place in status["unreachable"]:
        text = f"{place['path']} cannot be read since {ago(place['since'])}: {place['error']}"
        yield text, "yellow"


def _help(id_: str, path: str, state: str, commands: Mapping[str, Mapping[str, Any]]) -> str:
    """The command that helps with a folder that is away."""
    if id_ in commands:
        return accept_hint(state, commands[id_]["command"])
    from scanner.core.wording import command_text

    return f"What is known stays. To look closer: {command_text('doctor', path)}"


def _holds(holds: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for hold in holds:
        wait = "until you accept them" if hold["needs_accept"] else "until the next scan"
        yield f"held: {count_text(hold['files'], 'deletion')} of {hold['id']}, {wait}", "yellow"
