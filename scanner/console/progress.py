"""Progress on a terminal; elsewhere a log line every ten seconds."""

from __future__ import annotations

import logging
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

    def _show(self, what: str, text: str, total: int | None, completed: int) -> None:
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
                    TextColumn("{task.fields[text]}, {task.fields[rate]}"),
                    *((TimeRemainingColumn(),) if total is not None else ()),
                    console=_terminal(),
                    transient=True,
                )
                self._bar.start()
                self._bar.add_task(what, total=total, text=text, rate="")
            task = self._bar.tasks[0]
            rate = f"{task.speed:,.0f} files/s" if task.speed and total is not None else ""
            if not rate:
                rate = f"{now - self._since:.0f} s"
            self._bar.update(task.id, text=text, rate=rate, completed=completed)

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
