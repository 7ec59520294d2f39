"""What people see: log lines, progress, tables."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from scanner import walk
from scanner.backlog import Done
from scanner.changes import KINDS
from scanner.errors import SettingsError
from scanner.journal import follow, read
from scanner.portable import printable, time_ns, time_text
from scanner.report import count_text, seconds_text, share_text, size_text
from scanner.service import Display
from scanner.settings import Settings, format_duration, parse_duration

if TYPE_CHECKING:
    # Rich takes 50 ms to import: only what draws on a terminal pays for it.
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    from scanner.hashing import Result

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

    def reading(self, done: Done, what: str = "fingerprints") -> None:
        told = f"{done.left.files:,} left, {size_text(done.left.bytes)}"
        self._show(what, told, done.files + done.left.files, done.files)

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

    def reading(self, done: Done, what: str = "fingerprints") -> None:
        if self._is_due():
            logging.getLogger("scanner").info(
                "%s: %s files left, %s",
                what,
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


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal that something takes a while."""
    if not sys.stderr.isatty():
        yield
        return
    with _terminal().status(text):
        yield


@contextmanager
def hashing_display(what: str) -> Iterator[Callable[[Done], None]]:
    """A bar of bytes with rate and time left, on a terminal; else a line every ten seconds."""
    if not sys.stderr.isatty():
        told = time.monotonic()

        def tell(done: Done) -> None:
            nonlocal told
            if time.monotonic() - told >= _Plain.EVERY:
                told = time.monotonic()
                left = f"{count_text(done.left.files, 'file')}, {size_text(done.left.bytes)}"
                print(f"{what}: {size_text(done.bytes)} read, {left} left", file=sys.stderr)

        yield tell
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[left]}"),
        console=_terminal(),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None, left="")

        def show(done: Done) -> None:
            left = f"{done.left.files:,} left"
            bar.update(task, completed=done.bytes, total=done.bytes + done.left.bytes, left=left)

        yield show


def print_hashed(console: Console, errors: Console, result: Result) -> None:
    """What `hash` has done, in a line or two; damage that it met on stdout."""
    _print_damaged(console, result)
    read, left = result.read, result.left
    text = f"{count_text(read.files, 'file')} hashed, {size_text(read.bytes)}"
    if left.files:
        text += f"; {count_text(left.files, 'file')} left, {size_text(left.bytes)}"
    errors.print(f"{text}.", highlight=False)
    _print_unread(errors, result.unread, result.away)


def print_verified(console: Console, errors: Console, result: Result) -> None:
    """What `verify` found: damaged files one a line on stdout."""
    _print_damaged(console, result)
    read = result.read
    sound = read.files - len(result.damaged)
    errors.print(
        f"{count_text(read.files, 'file')} read, {size_text(read.bytes)}: {sound:,} as they were, "
        f"{len(result.damaged):,} not.",
        highlight=False,
    )
    _print_unread(errors, result.unread, result.away)


def _print_damaged(console: Console, result: Result) -> None:
    for damage in result.damaged:
        was = (time_text(damage.hashed) or "")[:10]
        console.print(
            f"{printable(damage.path)}: content has changed since {was}, size and time have not",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _print_unread(console: Console, unread: Sequence[str], away: Sequence[str]) -> None:
    for root in away:
        console.print(f"{printable(root)} does not answer.", highlight=False, markup=False)
    if unread:
        console.print(
            f"{count_text(len(unread), 'file')} could not be read or changed since the last scan, "
            f"such as {printable(unread[0])}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


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
            Text(printable(root["path"])),
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
        console.print(Text(f"unreachable: {printable(place['path'])}: {place['error']}", "yellow"))
    backlog = status["backlog"]
    if backlog["files"]:
        left = f"{count_text(backlog['files'], 'file')}, {size_text(backlog['bytes'])}"
        console.print(Text(f"fingerprints to take: {left}"))
    if (unhashed := status.get("unhashed", {"files": 0}))["files"]:
        left = f"{count_text(unhashed['files'], 'file')}, {size_text(unhashed['bytes'])}"
        console.print(Text(f"hashes to take: {left}"))
    if status.get("unfinished"):
        told = count_text(status["unfinished"], "file")
        console.print(Text(f"not whole yet: {told} (comfy-inventory find --status unfinished)"))
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
        # A status of an older version does not say it.
        if (every := lane.get("every_seconds")) is not None:
            told += f", then every {format_duration(every)}"
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


# What doctor found

PLACES = {
    "disk": "on a disk of this computer",
    "network": "on another computer",
    "host": "on the computer around this system",
    "unknown": "on a mount of a type that is not known here",
}
EVENTS = {
    "all": "File events (inotify and its kin) would tell of changes here as well.",
    "own": "File events (inotify and its kin) tell only of changes made through this mount, so a "
    "program that waits for them would miss all others without a word. Polling does not.",
    "unknown": "Whether file events (inotify and its kin) tell of all changes is not known.",
}
FAILURES = {
    "missing": "There is no such folder",
    "unreadable": "It cannot be read",
    "stalled": "It does not answer",
    "unreachable": "It cannot be reached",
}
FOLDER_TIMES = {
    "by type": "Folder times can be relied on: a folder whose time stays is not listed again but "
    "in its turn.",
    "earned": "Folder times have proven themselves in scans: a folder whose time stays is not "
    "listed again but in its turn.",
    "to be earned": "Whether folder times can be relied on has to be seen: {proofs} of "
    "{proofs_wanted} changes have shown it so far. Until then every folder is listed in every "
    "scan.",
    "never": "Folder times cannot be relied on: every folder is listed in every scan.",
    "lost": "Folder times have failed here: every folder is listed in every scan.",
}


def print_finding(console: Console, found: Mapping[str, Any]) -> None:
    """What `doctor` found out about one folder, as a page."""
    from rich.text import Text

    console.print(Text(found["path"], "bold"))
    if found["state"] != "ok":
        print_indented(console, f"{FAILURES[found['state']]}: {found['reason']}.", "red")
    for sentence in _sentences(found):
        print_indented(console, sentence)
    for note in found["notes"]:
        print_indented(console, f"! {note['text']}", "yellow")
    if found["advice"] is not None:
        print_advice(console, "Settings that fit:", found["advice"])


def print_advice(console: Console, title: str, advice: Mapping[str, Any]) -> None:
    """Settings as they would stand in a file."""
    from rich.text import Text

    console.print(Text(f"  {title}"))
    for line in advice["toml"].splitlines():
        console.print(Text(f"    {line}", "green"))


def print_indented(console: Console, text: str, style: str = "") -> None:
    """A paragraph, wrapped and set in."""
    from rich.text import Text

    lines = textwrap.wrap(
        text,
        min(console.width, 100),
        initial_indent="  ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text("\n".join(lines), style), soft_wrap=True)


def _sentences(found: Mapping[str, Any]) -> Iterator[str]:
    mount = found["mount"]
    verb = "would lie" if found["state"] == "missing" else "lies"
    yield _place_sentence(verb, found["leads_to"], mount)
    if mount["place"] == "disk" and mount["remote"]:
        yield (
            "A process stands between it and the system, and may hang as a network does: it is "
            "scanned by a process of its own."
        )
    if found["state"] == "ok":
        yield EVENTS[found["events"]]
    if found["speed"]["listing_seconds"] is not None:
        yield _speed_sentence(found["speed"])
        yield _times_sentence(found["times"])
        yield FOLDER_TIMES[found["folder_times"]["trust"]].format(**found["folder_times"])
        yield (
            "Files keep their numbers when they are renamed, which proves moves without reading."
            if found["stable_inodes"]
            else "The numbers of files mean nothing here: moves are proven by reading samples."
        )
    if found["probe"] is not None:
        yield _probe_sentence(found["probe"])
    if found["scan"] is not None:
        yield from _scan_sentences(found["scan"])
    if found["elsewhere"]:
        yield _elsewhere_sentence(found["elsewhere"])


def _place_sentence(verb: str, target: str | None, mount: Mapping[str, Any]) -> str:
    kind = mount["type"] + (", a drive of Windows" if mount["windows_drive"] else "")
    where = f"It {verb} {PLACES[mount['place']]}: {kind}"
    if mount["point"]:
        where += f", mounted at {mount['point']}"
    if mount["source"] not in ("", mount["type"]):
        where += f" from {mount['source']}"
    return where + (f". It leads to {target}." if target else ".")


def _speed_sentence(speed: Mapping[str, Any]) -> str:
    told = (
        f"It answers a question in {seconds_text(speed['stat_seconds'])} and lists a folder in "
        f"{seconds_text(speed['listing_seconds'])}; the first answer took "
        f"{seconds_text(speed['first_contact_seconds'])}."
    )
    workers = speed["workers"]
    if workers == 1:
        return f"{told} Asking one thing at a time is best."
    return f"{told} {workers} requests at a time are worth it."


def _times_sentence(times: Mapping[str, Any]) -> str:
    settle = format_duration(times["settle_seconds"])
    again = f"What changed is looked at once more after {settle}."
    step = times["granularity_seconds"]
    if step is None:
        return f"In which steps its times count is not known: too few were seen. {again}"
    origin = {
        "type": "as this type does",
        "probe": "as the probe showed",
        "sample": "by the look of those found",
    }[times["known_from"]]
    return f"Its times count in steps of {seconds_text(step)}, {origin}. {again}"


def _probe_sentence(probe: Mapping[str, Any]) -> str:
    moved = {True: "moved", False: "did not move", None: "had moved just before"}
    offset = probe["clock_offset_seconds"]
    step = probe["granularity_seconds"]
    clock = "its clock agrees with ours"
    if abs(offset) > max(1.0, step):
        ahead = "ahead of" if offset > 0 else "behind"
        clock = f"its clock is {seconds_text(abs(offset))} {ahead} ours, which does no harm"
    return (
        f"The probe: the folder's time {moved[probe['creation_moved_folder_time']]} when a file "
        f"was made and {moved[probe['removal_moved_folder_time']]} when it was removed; the file "
        f"was {'' if probe['is_listed'] else 'not '}listed at once; {clock}. Changes that others "
        "make may still show later than ours."
    )


def _scan_sentences(scan: Mapping[str, Any]) -> Iterator[str]:
    size = f"{count_text(scan['directories'], 'folder')} and {count_text(scan['files'], 'file')}"
    if scan["is_estimate"]:
        size = f"about {size}, going by {count_text(scan['listed'], 'folder')} of them"
    told = f"It holds {size}. Listing everything takes {seconds_text(scan['full_seconds'])}"
    unchanged, trusted = scan["unchanged_seconds"], scan["trusted_seconds"]
    if unchanged != scan["full_seconds"]:
        told += f", a scan that finds nothing new {seconds_text(unchanged)}"
    if scan["share"] is not None:
        told += (
            f", {share_text(scan['share'])} of the time at the present interval of "
            f"{format_duration(scan['every_seconds'])}"
        )
    yield told + "."
    if trusted is not None and trusted < unchanged:
        yield f"Once folder times are relied on, such a scan takes {seconds_text(trusted)}."


def _elsewhere_sentence(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5:,} more" if len(paths) > 5 else "")
    return f"Not entered, since they are links or mounts of their own: {shown}."


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
    if not follow_on:
        yield from read(journal, since_scan=scan, since_time=moment)
        return
    try:
        # One reader for what is there and what comes: between two, lines could slip through.
        for line in follow(journal, threading.Event(), 0.5, since_scan=scan or 0):
            if moment is None or time_ns(line["time"]) >= moment:
                yield line
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
        text.append(f"{printable(change['from'])} -> ")
    text.append(printable(change["path"]) + ("/" if change["type"] == "directory" else ""))
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
