"""`run --json`: what happens, one JSON object a line on stdout (docs/json.md).

A thread follows the status file and the change list, so a reader that is slow or has gone delays no
scan, and no change is lost for it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from scanner.core.status_events import Event, root_events, scan_events
from scanner.errors import InventoryError
from scanner.output.file_names import Outputs
from scanner.output.journal_reader import read
from scanner.output.status_file import read_status

POLL = 0.25
"""Seconds between looks at the status. No lane is scanned more often than once a second."""

END_PATIENCE = 0.3
"""Seconds that the end of `run` waits for a reader to take the last lines."""


class EventStream:
    """Writes events to a descriptor from `start` to `finish`."""

    def __init__(self, outputs: Outputs, descriptor: int | None = None) -> None:
        self._outputs = outputs
        self._out = sys.stdout.fileno() if descriptor is None else descriptor
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._status: Mapping[str, Any] = {}
        self._scan = 0
        """The last scan whose changes were written."""

    def start(self) -> None:
        """Begin with what happens from now on. The service has its lock."""
        status = read_status(self._outputs.status) or {}
        self._scan = status.get("scan", 0)
        self._thread.start()

    def finish(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._ends.set()
        self._thread.join(END_PATIENCE)

    def _work(self) -> None:
        try:
            self._write([{"event": "started", "pid": os.getpid(), **self._place()}])
            while not self._ends.wait(POLL):
                self._look()
            self._look()
            self._write([{"event": "stopped", "scan": self._scan}])
        except OSError:
            return  # nobody reads any more: the scans go on

    def _place(self) -> dict[str, str]:
        return {"inventory": os.fsencode(self._outputs.inventory).decode("utf-8", "replace")}

    def _look(self) -> None:
        try:
            status = read_status(self._outputs.status)
            if status is None or status["pid"] != os.getpid():
                return
            changes: list[Event] = []
            if status["scan"] > self._scan:
                # The status is written after the change list, so that all of them are there.
                changes = list(read(self._outputs.journal, self._scan))
        except (InventoryError, KeyError):
            return  # half written or out of reach: the next look sees more
        self._write({"event": "change", **line} for line in changes)
        self._scan = max(self._scan, status["scan"], *(line["scan"] for line in changes))
        self._write(root_events(self._status, status))
        self._write(scan_events(self._status, status))
        self._status = status

    def _write(self, events: Iterable[Event]) -> None:
        """Write lines without a buffer of ours: the end of the program must not wait for its lock.
        Raises OSError."""
        for event in events:
            line = memoryview(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
            while line:
                line = line[os.write(self._out, line) :]
