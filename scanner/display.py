"""What people see: log lines, progress, tables."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from scanner import walk
from scanner.backlog import Done
from scanner.changes import KINDS
from scanner.errors import SettingsError
from scanner.journal import follow, read
from scanner.report import count_text, size_text
from scanner.service import Display
from scanner.settings import Settings, parse_duration

if TYPE_CHECKING:
    # Rich takes 50 ms to import: only what draws on a terminal pays for it.
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

STATE_STYLES = {
    "online": "green",
    "partial": "yellow",
    "held": "yellow",
    "offline": "red",
    "stalled": "red",
    "missing": "red",
}
KIND_STYLES = {
    "created": "green",
    "deleted": "red",
    "modified": "yellow",
    "moved": "cyan",
    "baseline": "dim",
}

SHOW_AFTER = 0.5
"""Seconds of work before a progress line appears: what is over at once needs none."""


def start_log(settings: Settings) -> None:
    """Log to stderr, plainly unless it is a terminal, and to `log_file`. Raises OSError."""
    handlers: list[logging.Handler] = []
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handlers.append(
            RichHandler(
                console=_terminal(),
                show_path=False,
                markup=False,
                highlighter=None,
                log_time_format="%X",
            )
        )
    else:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(plain)
    if settings.log_file is not None:
        handlers.append(
            logging.FileHandler(settings.log_file, encoding="utf-8", errors="backslashreplace")
        )
        handlers[-1].setFormatter(plain)
    logger = logging.getLogger("scanner")
    logger.setLevel(LEVELS.get(settings.log_level, logging.ERROR))
    logger.handlers[:] = handlers
    logger.propagate = False


@functools.cache
def _terminal() -> Console:
    """The terminal on stderr, one for log and progress: they would overwrite each other else."""
    from rich.console import Console

    return Console(stderr=True)


def display() -> Display:
    """Progress on a terminal; elsewhere a line in the log now and then."""
    return _Live() if sys.stderr.isatty() else _Plain()


class _Live(Display):
    """One line that is drawn again and again. Lanes share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._since: float | None = None

    def walking(self, progress: walk.Progress) -> None:
        told = (
            f"{count_text(progress.files, 'file')} in "
            f"{count_text(progress.directories, 'folder')}, {size_text(progress.bytes)}"
        )
        self._show("scanning", told, None, 0)

    def reading(self, done: Done) -> None:
        told = f"{done.left.files:,} left, {size_text(done.left.bytes)}"
        self._show("fingerprints", told, done.files + done.left.files, done.files)

    def _show(self, what: str, told: str, total: int | None, completed: int) -> None:
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            if now - self._since < SHOW_AFTER:
                return
            if self._bar is None:
                from rich.progress import (
                    BarColumn,
                    Progress,
                    SpinnerColumn,
                    TextColumn,
                    TimeRemainingColumn,
                )

                self._bar = Progress(
                    SpinnerColumn(),
                    TextColumn("{task.description}"),
                    *((BarColumn(),) if total is not None else ()),
                    TextColumn("{task.fields[told]}, {task.fields[rate]}"),
                    *((TimeRemainingColumn(),) if total is not None else ()),
                    console=_terminal(),
                    transient=True,
                )
                self._bar.start()
                self._bar.add_task(what, total=total, told=told, rate="")
            task = self._bar.tasks[0]
            rate = f"{task.speed:,.0f} files/s" if task.speed and total is not None else ""
            if not rate:
                rate = f"{now - self._since:.0f} s"
            self._bar.update(task.id, told=told, rate=rate, completed=completed)

    def idle(self) -> None:
        with self._lock:
            self._since = None
            if self._bar is not None:
                self._bar.stop()
                self._bar = None


class _Plain(Display):
    """A log line every ten seconds of work."""

    EVERY = 10.0

    def __init__(self) -> None:
        self._told = time.monotonic()

    def walking(self, progress: walk.Progress) -> None:
        if self._is_due():
            logging.getLogger("scanner").info(
                "scanning: %s in %s",
                count_text(progress.files, "file"),
                count_text(progress.directories, "folder"),
            )

    def reading(self, done: Done) -> None:
        if self._is_due():
            logging.getLogger("scanner").info(
                "fingerprints: %s files left, %s",
                f"{done.left.files:,}",
                size_text(done.left.bytes),
            )

    def idle(self) -> None:
        self._told = time.monotonic()

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._told < self.EVERY:
            return False
        self._told = now
        return True


# Tables


def print_settings(console: Console, settings: Sequence[tuple[str, Any, str]]) -> None:
    """Name, value and origin of every setting."""
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name, value, origin in settings:
        style = "dim" if origin == "default" else ""
        table.add_row(*(Text(str(cell), style) for cell in (name, value, origin)))
    console.print(table)


def print_roots(console: Console, roots: Sequence[Mapping[str, Any]]) -> None:
    """Kind, path, category and state of every root."""
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "path", "category", "state", box=None, pad_edge=False)
    for root in roots:
        state = root.get("state") or "not scanned yet"
        told = state if not root.get("reason") else f"{state}: {root['reason']}"
        table.add_row(
            Text(root["kind"]),
            Text(root["path"]),
            Text(root.get("category") or ""),
            Text(told, STATE_STYLES.get(state, "dim")),
        )
    console.print(table)


def print_status(console: Console, status: Mapping[str, Any]) -> None:
    """The heartbeat as a page."""
    from rich.text import Text

    running = "running" if status["alive"] else "not running"
    if status["state"] == "running" and not status["alive"]:
        running = "not running (it ended without saying so)"
    console.print(
        Text(f"comfy-inventory {status['tool']['version']}: {running}, "
             f"scan {status['scan']}, updated {_ago(status['updated'])}")
    )  # fmt: skip
    for lane in status["lanes"]:
        console.print(Text(f"lane {lane['id']}: {_lane_text(lane, status['alive'])}"))
    print_roots(console, status["roots"])
    for hold in status["holds"]:
        told = "until `comfy-inventory accept`" if hold["needs_accept"] else "until the next scan"
        console.print(
            Text(f"held: {count_text(hold['files'], 'deletion')} of {hold['id']}, {told}", "yellow")
        )
    for place in status["unreachable"]:
        console.print(Text(f"unreachable: {place['path']}: {place['error']}", "yellow"))
    backlog = status["backlog"]
    if backlog["files"]:
        left = f"{count_text(backlog['files'], 'file')}, {size_text(backlog['bytes'])}"
        console.print(Text(f"fingerprints to take: {left}"))
    console.print(Text(f"inventory {status['inventory']['path']}"))


def _lane_text(lane: Mapping[str, Any], is_alive: bool) -> str:
    last = lane["last_scan"]
    if last is None:
        told = "first scan in progress" if is_alive else "not scanned yet"
    else:
        told = (
            f"{count_text(last['files'], 'file')} in {count_text(last['directories'], 'folder')}, "
            f"{last['seconds']:.2f} s, {_ago(last['started'])}"
        )
    if lane["next_due"] and is_alive:
        told += f"; next {_ago(lane['next_due'])}"
    return told + (f"; {lane['error']}" if lane["error"] else "")


def _ago(text: str) -> str:
    """A time of ours in words relative to now."""
    moment = datetime.fromisoformat(text[:26] + "+00:00")
    seconds = (datetime.now(UTC) - moment).total_seconds()
    size, unit = abs(seconds), "s"
    for limit, larger in ((60, "min"), (60, "h"), (24, "days")):
        if size < limit:
            break
        size, unit = size / limit, larger
    told = f"{size:.0f} {unit}"
    return f"{told} ago" if seconds >= 0 else f"in {told}"


# The change list


def print_changes(
    console: Console,
    journal: str,
    *,
    since: str | None,
    kinds: Sequence[str],
    roots: Sequence[str],
    follow_on: bool,
    as_json: bool,
) -> None:
    """Print the journal, and what is appended to it while `follow_on`."""
    for kind in kinds:
        if kind not in KINDS:
            raise SettingsError(f"--kind: expected one of {', '.join(KINDS)}, not {kind!r}.")
    scan, moment = parse_since(since)
    wanted_roots = tuple(_root_forms(root) for root in roots)

    def matches(change: Mapping[str, Any]) -> bool:
        if kinds and change["kind"] not in kinds:
            return False
        root = str(change.get("root", ""))
        return not roots or any(
            root == form or root.startswith(form + ":") or root.endswith(":" + form)
            for forms in wanted_roots
            for form in forms
        )

    for change in _lines(journal, scan, moment, follow_on):
        if not matches(change):
            continue
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(change, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.flush()
        else:
            console.print(_change_text(change), soft_wrap=True)


def _lines(
    journal: str, scan: int | None, moment: int | None, follow_on: bool
) -> Iterator[dict[str, Any]]:
    yield from read(journal, since_scan=scan, since_time=moment)
    if follow_on:
        try:
            yield from follow(journal, threading.Event(), 0.5)
        except KeyboardInterrupt:
            return


def _root_forms(root: str) -> tuple[str, ...]:
    return (root, os.path.abspath(root))


def parse_since(text: str | None) -> tuple[int | None, int | None]:
    """`--since`: (number of a scan, None), (None, nanoseconds of wall time) or two Nones."""
    if text is None:
        return None, None
    if re.fullmatch(r"\d+", text):
        return int(text), None
    try:
        return None, time.time_ns() - int(parse_duration(text) * 1e9)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--since: expected a duration like 2h, the number of a scan or a time like "
            f"2026-11-23T08:00, not {text!r}."
        ) from None
    return None, int(moment.timestamp() * 1e9)


def _change_text(change: Mapping[str, Any]) -> Text:
    from rich.text import Text

    kind = change["kind"]
    text = Text(f"{change['time'][:19].replace('T', ' ')}  ")
    text.append(f"{kind:<9}", KIND_STYLES.get(kind, ""))
    if "from" in change:
        text.append(f"{change['from']} -> ")
    text.append(change["path"] + ("/" if change["type"] == "directory" else ""))
    told = []
    if "files" in change:
        told.append(count_text(change["files"], "file"))
    if "bytes" in change or "size" in change:
        told.append(size_text(change.get("bytes", change.get("size", 0))))
    if "reason" in change:
        told.append(change["reason"])
    if told:
        text.append(f"  ({', '.join(told)})", "dim")
    return text
