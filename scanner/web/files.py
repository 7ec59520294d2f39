"""The files of an inventory, read again when they have changed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from scanner.core.serialize import printable
from scanner.core.times import Zone
from scanner.errors import InventoryError
from scanner.output.inventory_text import bytes_of
from scanner.output.status_file import is_alive, read_status
from scanner.views.book import Book, read_book
from scanner.views.drives import drives_page
from scanner.views.pages import changes_page
from scanner.views.status_facts import status_facts
from scanner.views.today import changes_today
from scanner.web.apart import SMALL, read_apart
from scanner.web.sources import Source
from scanner.web.threads import in_thread

PACE = 0.5
"""Seconds within which files are not looked at again."""

PATIENCE = 30.0
"""Seconds that a request waits for an inventory: a million entries take half as long."""

Mark = tuple[int, int, int]


class View(NamedTuple):
    """An inventory at one moment."""

    book: Book | None
    """None where it cannot be read; then there is an `error`."""
    pages: Mapping[str, Any]
    version: str
    """Another one whenever the inventory is another one."""
    stamp: str
    """Another one whenever anything that `pages` shows is another one."""
    error: str = ""


class Reader:
    """Reads one inventory once for each of its versions, whoever asks for it."""

    def __init__(self, source: Source, zone: Zone = None) -> None:
        self.source = source
        self._zone = zone
        self._lock = threading.Lock()
        self._marks: dict[str, Mark | None] = {}
        self._book: Book | None = None
        self._error = ""
        self._changes: Mapping[str, Any] = {}
        self._status: dict[str, Any] = {}
        self._view: View | None = None
        self._looked = -PACE
        self._task: asyncio.Task[View] | None = None
        self._began = 0.0

    async def view(self) -> View | None:
        """The inventory as it is now; as it was if reading it takes too long; None if it was never
        read."""
        now = time.monotonic()
        if self._task is None or self._task.done():
            if self._view is not None and now - self._looked < PACE:
                return self._view
            self._began = now
            self._task = asyncio.create_task(in_thread(self.refresh))
        left = self._began + PATIENCE - now
        if left > 0:
            await asyncio.wait({self._task}, timeout=left)
        return self._view

    def refresh(self) -> View:
        """Look at the files, and read those that have changed. Blocks."""
        with self._lock:
            outputs = self.source.outputs
            changed = {
                name
                for name in ("inventory", "status", "journal")
                if self._has_changed(name, getattr(outputs, name))
            }
            if "inventory" in changed:
                self._read_book()
            try:
                self._read_others(changed)
                self._error = "" if self._book else self._error
            except InventoryError as error:
                self._book, self._error = None, str(error)
            self._view = self._made()
            self._looked = time.monotonic()
            return self._view

    def _has_changed(self, name: str, path: str) -> bool:
        try:
            status = os.stat(path)
            mark: Mark | None = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            mark = None
        has_changed = name not in self._marks or self._marks[name] != mark
        self._marks[name] = mark
        return has_changed

    def _read_book(self) -> None:
        self._book = None  # one of them in memory is enough
        path = self.source.outputs.inventory
        mark = self._marks["inventory"]
        is_large = mark is not None and bytes_of(path) > SMALL
        read = read_apart if is_large else read_book
        try:
            self._book, self._error = read(path, self._zone), ""
        except InventoryError as error:
            self._error = str(error)

    def _read_others(self, changed: set[str]) -> None:
        outputs = self.source.outputs
        if "status" in changed:
            self._status = read_status(outputs.status) or {}
        if self._book and changed & {"inventory", "journal"}:
            self._changes = changes_page(outputs.journal, self._book.header, self._zone)

    def _made(self) -> View:
        book = self._book
        if book is None:
            return View(None, {}, "", f"error {self._error}", printable(self._error))
        outputs, status = self.source.outputs, self._status
        facts = None
        if status:
            alive = is_alive(status, outputs.lock) if self.source.is_here else None
            try:
                facts = status_facts(status, alive, changes_today(outputs.journal))
            except (KeyError, TypeError, ValueError, AttributeError):
                facts = None  # damaged: the next scan replaces it
        pages = {
            **book.pages,
            "written": book.header["generated"],
            "drives": drives_page(book.header, status, book.mounts, self._zone),
            "changes": self._changes,
            "left_out": 0,
            "status": facts,
        }
        marks = f"{self._marks} {facts and (facts['alive'], facts['problems'])}"
        return View(book, pages, book.version, f"{book.version} {marks}")
