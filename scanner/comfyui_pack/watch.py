"""A thread that reads the files of comfy-inventory when they change.

The files may lie on a mount that hangs. Only this thread hangs then: everything else asks for what
it has read last.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from . import news
from .library import Library, UnreadableError, read_library
from .lines import lines_of
from .settings import Settings, inventory_path, read

EVERY = 2.0
"""Seconds between two looks: one stat each of three files on the output's disk."""

SILENT = 20.0
"""Seconds without a look after which the disk of the inventory counts as hanging."""

_TAIL = 8 << 20
"""Most bytes of a change list that are read, from its end."""

_LARGEST_STATUS = 32 << 20

_Sign = tuple[int, int] | None


class View(NamedTuple):
    """What was read last."""

    path: str = ""
    error: str = ""
    """Why there is no library, or why it may be out of date; empty if all is well."""
    library: Library | None = None
    status: dict[str, Any] | None = None
    new: tuple[news.New, ...] = ()
    arrivals: tuple[news.Arrival, ...] = ()
    """The models that have arrived since this process started."""
    names_scan: int = 0
    """The scan with which the names of models changed last."""


class Watcher:
    """Keeps a View up to date."""

    def __init__(self, folder: str, every: float = EVERY) -> None:
        """`folder` holds the settings."""
        self._folder = folder
        self._every = every
        self._view = View()
        self._settings = Settings()
        self._signs: dict[str, _Sign] = {}
        self._looked = time.monotonic()
        self._wake = threading.Event()
        self._is_stopped = False

    @property
    def settings(self) -> Settings:
        """The settings as they were read last."""
        return self._settings

    @property
    def view(self) -> View:
        """What was read last, with an error if nothing has been read for long."""
        silent = time.monotonic() - self._looked
        if silent > SILENT + self._every:
            text = f"{self._view.path or 'The disk of the inventory'} has not answered for "
            return self._view._replace(error=f"{text}{silent:.0f} s.")
        return self._view

    def start(self) -> None:
        """Begin to look. The thread ends with the process."""
        threading.Thread(target=self._run, name="comfy-inventory files", daemon=True).start()

    def stop(self) -> None:
        """Let the thread end."""
        self._is_stopped = True
        self._wake.set()

    def look_soon(self) -> None:
        """Look now: the settings have changed."""
        self._wake.set()

    def _run(self) -> None:
        while not self._is_stopped:
            try:
                self.look()
            except Exception as error:  # the next look may find a whole file
                self._view = self._view._replace(error=f"{type(error).__name__}: {error}")
            self._looked = time.monotonic()
            self._wake.wait(self._every)
            self._wake.clear()

    def look(self) -> None:
        """Read what has changed."""
        self._settings = read(self._folder)
        path = inventory_path(self._settings)
        if path != self._view.path:
            self._signs.clear()
            self._view = View(path)
        if not path:
            self._view = View(
                error="No inventory is known. Run comfy-inventory scan, or name one with "
                "comfy-inventory comfyui install -o PATH."
            )
            return
        try:
            self._read(path)
        except UnreadableError as error:
            self._signs.clear()
            self._view = self._view._replace(error=f"{path} cannot be read: {error}.")
        except FileNotFoundError as error:
            self._signs.clear()
            self._view = self._view._replace(error=f"{error.filename} does not exist.")
        except OSError as error:
            text = error.strerror or str(error)
            self._view = self._view._replace(error=f"{path} cannot be read: {text}.")

    def _read(self, path: str) -> None:
        view = self._view
        if self._has_changed(path):
            with closing(lines_of(path)) as lines:
                library = read_library(lines)
            since = datetime.now(UTC) - timedelta(days=1)
            changes = news.changes_since(_journal(path), since.strftime("%Y-%m-%dT%H:%M:%S"))
            new = tuple(news.new_models(library, changes))
            came = (*view.arrivals, *news.arrivals(view.library, library, new))
            is_other = news.has_other_names(view.library, library) or bool(
                news.arrivals(view.library, library, new)
            )
            view = view._replace(
                library=library,
                new=new,
                arrivals=came[-news.MOST_ARRIVALS :],
                names_scan=library.scan if is_other else view.names_scan,
            )
        status = news.status_of(path)
        if self._has_changed(status):
            view = view._replace(status=_status(status))
        self._view = view._replace(error="")

    def _has_changed(self, path: str) -> bool:
        try:
            facts = os.stat(path)
        except FileNotFoundError:
            if path.endswith(".status.json"):
                return False
            raise
        if not stat.S_ISREG(facts.st_mode):
            raise UnreadableError("it is no file")
        sign = (facts.st_mtime_ns, facts.st_size)
        if self._signs.get(path) == sign:
            return False
        self._signs[path] = sign
        return True


def _status(path: str) -> dict[str, Any] | None:
    with open(path, "rb") as file:
        try:
            status = json.loads(file.read(_LARGEST_STATUS))
        except ValueError:
            return None
    return status if isinstance(status, dict) else None


def _journal(inventory: str) -> Iterator[bytes]:
    """The lines at the end of the change list, the oldest first."""
    for path in reversed(news.journals_of(inventory)):
        try:
            with open(path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                if size > _TAIL:
                    file.readline()
                yield from file
        except OSError:
            continue
