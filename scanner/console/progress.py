"""Progress on a terminal; elsewhere a log line every minute."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from typing import TYPE_CHECKING

from scanner.console.terminal import _terminal, is_quiet
from scanner.core import progress as core_progress
from scanner.core.progress import Display, Progressed
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.progress import Progress
WHY_SETTLING = "new files must stand still before they are read"

WORTH_A_LINE = 2.0
"""Seconds of waiting from which a log has a line about it."""

SHOW_AFTER = 0.5
"""Seconds of work before a progress line appears. Shorter work shows none."""


def display() -> Display:
    """The progress display: a line on a terminal, log lines now and then elsewhere."""
    if is_quiet():
        return Display()
    return _Live() if sys.stderr.isatty() else _Plain()


class _Live(Display):
    """One line that is redrawn. Lanes share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bar: Progress | None = None
        self._since: float | None = None

    def walking(self, progress: core_progress.Progress) -> None:
        text = (
            f"{count_text(progress.files, 'file')} in "
            f"{count_text(progress.directories, 'folder')}, {size_text(progress.bytes)}"
        )
        self._show("scanning", text, None, 0)

    def reading(self, done: Progressed, what: str = "fingerprints") -> None:
        text = f"{done.left.files:,} left, {size_text(done.left.bytes)}"
        self._show(what, text, done.files + done.left.files, done.files)

    def headers(self, files: int) -> None:
        self._show("headers", f"{count_text(files, 'file')} read", None, 0)

    def settling(self, seconds: float) -> None:
        self._show("waiting", f"{math.ceil(seconds)} s left, {WHY_SETTLING}", None, 0)

    def _show(self, what: str, text: str, total: int | None, completed: int) -> None:
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = now
            if now - self._since < SHOW_AFTER:
                return
            if self._bar is not None and self._bar.tasks[0].description != what:
                self._bar.stop()
                self._bar = None
                self._since = now - SHOW_AFTER
            if self._bar is None:
                self._bar = _started_bar(what, text, total)
            task = self._bar.tasks[0]
            self._bar.update(task.id, total=total, completed=completed)
            rate = f", {task.speed:,.0f} files/s" if task.speed and total is not None else ""
            if not rate and what != "waiting":
                rate = f", {now - self._since:.0f} s"
            self._bar.update(task.id, text=text, rate=rate)

    def idle(self) -> None:
        with self._lock:
            self._since = None
            if self._bar is not None:
                self._bar.stop()
                self._bar = None


def _started_bar(what: str, text: str, total: int | None) -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}:"),
        *((BarColumn(),) if total is not None else ()),
        TextColumn("{task.fields[text]}{task.fields[rate]}"),
        *((TimeRemainingColumn(),) if total is not None else ()),
        console=_terminal(),
        transient=True,
    )
    bar.start()
    bar.add_task(what, total=total, text=text, rate="")
    return bar


class _Plain(Display):
    """A log line every minute of work, and one when the first wait begins."""

    EVERY = 60.0

    def __init__(self) -> None:
        self._has_told_wait = False
        """True once a wait was logged: later ones, after each change, would fill the log."""
        self._last_line: float | None = None
        """When the last line was written, or this work began; None while there is no work."""

    def walking(self, progress: core_progress.Progress) -> None:
        if self._is_due():
            logging.getLogger("scanner").info(
                "scanning: %s in %s",
                count_text(progress.files, "file"),
                count_text(progress.directories, "folder"),
            )

    def reading(self, done: Progressed, what: str = "fingerprints") -> None:
        if self._is_due():
            logging.getLogger("scanner").info(
                "%s: %s files left, %s",
                what,
                f"{done.left.files:,}",
                size_text(done.left.bytes),
            )

    def headers(self, files: int) -> None:
        if self._is_due():
            logging.getLogger("scanner").info("headers: %s read", count_text(files, "file"))

    def settling(self, seconds: float) -> None:
        if not self._has_told_wait and seconds >= WORTH_A_LINE:
            self._has_told_wait = True
            logging.getLogger("scanner").info(
                "waiting for %d s: %s.", math.ceil(seconds), WHY_SETTLING
            )

    def idle(self) -> None:
        self._last_line = None

    def _is_due(self) -> bool:
        now = time.monotonic()
        if self._last_line is None:
            self._last_line = now
        if now - self._last_line < self.EVERY:
            return False
        self._last_line = now
        return True
