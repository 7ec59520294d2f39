"""What watches the scans of one output and sends the news, in threads that no scan waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from scanner import __version__
from scanner.core.roots import COMPLETE
from scanner.core.serialize import readable, time_text
from scanner.errors import InventoryError
from scanner.notify.events import (
    arrived,
    conditions,
    differences,
    event,
    has_header,
    message,
    pack_news,
    watch,
    with_space,
)
from scanner.notify.ledger import GATHERING, Ledger
from scanner.notify.look import Seen, look_into
from scanner.notify.metrics import write_metrics
from scanner.notify.send import NotSentError, post, run_command
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import read_header
from scanner.output.journal_reader import lines_since
from scanner.settings.schema import Settings

log = logging.getLogger(__name__)

LOOK_EVERY = 30.0
"""Seconds between looks without a scan: a folder may have been out of reach for long now."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
"""Seconds until a message that failed is sent again: the first pause doubles up to the longest."""

REST = 5.0
"""Longest seconds between two looks of a place at what waits for it."""

PING_EVERY = 60.0
"""Least seconds between two pings of `run` with the same exit code."""

LAST_PATIENCE = 20.0
"""Seconds that the end of a one-shot scan waits for messages."""

Send = Callable[[bytes], str]
"""Sends one message. Raises NotSentError."""


def places_of(settings: Settings, stop: threading.Event) -> dict[str, Send]:
    """The places that get news, by the name of their setting."""
    places: dict[str, Send] = {}
    if settings.on_event:
        places["on_event"] = lambda body: run_command(settings.on_event, body, stop)
    if url := settings.webhook:
        places["webhook"] = lambda body: post(url, body, "application/json")
    return places


class Notifications:
    """Takes the status after each scan; looks, writes and sends in threads of its own."""

    def __init__(self, settings: Settings, outputs: Outputs, *, once: bool = False) -> None:
        """`once`: a one-shot scan, which sends at its end."""
        self._settings = settings
        self._outputs = outputs
        self._once = once
        self._stop = threading.Event()
        self._wake = threading.Condition()
        self._status: Mapping[str, Any] | None = None
        self._is_fresh = False
        self._is_closing = False
        places = places_of(settings, self._stop)
        self._ledger = Ledger(outputs.notify, list(places))
        self._found = Seen({}, frozenset())
        self._seen = ""
        self._measured = -1
        self._pings: list[tuple[str, str]] = []
        self._has_last_ping = False
        self._pinged: tuple[int, float] = (-1, float("-inf"))
        self._looker = self._start(self._look_on)
        self._senders = [self._start(self._send_on, name, send) for name, send in places.items()]
        if settings.healthcheck:
            self._pings.append(("start", ""))
            self._senders.append(self._start(self._ping_on, settings.healthcheck))

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        return thread

    def report(self, status: Mapping[str, Any]) -> None:
        """Take the status of now. Never waits."""
        with self._wake:
            self._status, self._is_fresh = status, True
            self._wake.notify_all()

    def close(self, code: int | None) -> None:
        """End. `code` of a scan that ended by itself; None after a signal, which waits for
        nothing."""
        deadline = time.monotonic() + (LAST_PATIENCE if code is not None else 0.2)
        try:
            with self._wake:
                self._is_closing = True
                self._wake.notify_all()
            if code is not None:
                self._looker.join(max(0.0, deadline - time.monotonic()))
                if self._once:
                    code = code or _exit_code(self._status)
                    self._ask_ping(str(code), _summary(self._status))
            else:
                self._stop.set()
            with self._wake:
                self._has_last_ping = True
                self._wake.notify_all()
            for thread in self._senders:
                thread.join(max(0.0, deadline - time.monotonic()))
        finally:
            self._stop.set()
            for thread in self._senders:
                thread.join(0.1)

    # Looking

    def _look_on(self) -> None:
        while True:
            with self._wake:
                if not self._is_closing:
                    self._wake.wait_for(lambda: self._is_closing or self._is_fresh, LOOK_EVERY)
                status, is_last = self._status, self._is_closing
                self._is_fresh = False
            if self._stop.is_set():
                return
            if status is not None:
                self._look_safely(status, is_last)
            if is_last:
                return

    def _look_safely(self, status: Mapping[str, Any], is_last: bool) -> None:
        try:
            self._look(status, is_last and self._once)
            path = self._settings.metrics_file
            if path is not None and (status["scan"] != self._measured or is_last):
                header = read_header(self._outputs.inventory)
                write_metrics(str(path), status, header, self._ledger.counts)
                self._measured = status["scan"]
        except (InventoryError, OSError, KeyError, TypeError, ValueError) as error:
            log.warning("Notifications: %s", error)
        if self._settings.healthcheck and not self._once:
            code, now = _exit_code(status), time.monotonic()
            has_scanned = any(lane["last_scan"] for lane in status["lanes"])
            is_due = code != self._pinged[0] or now - self._pinged[1] >= PING_EVERY
            if has_scanned and is_due:
                self._pinged = code, now
                self._ask_ping(str(code), _summary(status))
        with self._wake:
            self._wake.notify_all()

    def _look(self, status: Mapping[str, Any], is_last: bool) -> None:
        ledger, now = self._ledger, time.time_ns()
        shown = status["inventory"]["scan"]
        written = str(status["inventory"]["written"])
        # Only what readers of the inventory can see: statuses and changes then fit together.
        upto = min(shown, status["journal"]["scan"])
        if ledger.is_new:
            ledger.scan, ledger.is_new = upto, False
        journal = self._outputs.journal
        lines = lines_since(journal, ledger.scan, upto).lines if upto > ledger.scan else []
        watched = watch(ledger.watched, lines)
        if written != self._seen:
            self._found, self._seen = look_into(self._outputs.inventory, watched), written
        statuses, understood = self._found
        ready = {
            path: scan
            for path, scan in watched.items()
            if path in understood or not (self._settings.facts and has_header(path))
        }
        whole = arrived(ready, statuses, status["scan"], is_last=is_last)
        found = conditions(status, statuses, now, self._settings.disk_low, ledger.conditions)
        events = [*differences(ledger.conditions, found), *pack_news(lines)]
        events = [
            with_space(item, status["mounts"]) if item["event"] == "disk_low" else item
            for item in events
        ]
        events += [event("arrived", whole)] if whole else []
        rest = {path: scan for path, scan in watched.items() if path not in set(whole)}
        ledger.count(lines)
        ledger.note(max(upto, ledger.scan), found, rest, events, time_text(now) or "", now / 10**9)

    # Sending

    def _send_on(self, place: str, send: Send) -> None:
        pause, not_before = 0.0, 0.0
        while not self._stop.is_set():
            is_last = self._is_closing and not self._looker.is_alive()
            gather = 0.0 if is_last else GATHERING
            wait = self._ledger.due(place, time.time(), self._settings.notify_every, gather=gather)
            if wait is not None:
                wait = max(wait, not_before - time.monotonic())
            if wait is None or wait > 0:
                if is_last:
                    return
                # Not under one lock with `due`, which may wait for the disk: `report` must not.
                with self._wake:
                    self._wake.wait(0.05 if self._is_closing else min(wait or REST, REST))
                continue
            events = self._ledger.waiting(place)
            body = orjson.dumps(message(events, readable(self._outputs.inventory), __version__))
            try:
                send(body)
                self._ledger.sent(place, events[-1]["n"], time.time())
            except (NotSentError, InventoryError) as error:
                if self._stop.is_set():
                    return
                if not pause:
                    log.warning("%s: the news could not be sent: %s; tried again.", place, error)
                pause = min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)
                not_before = time.monotonic() + pause
            else:
                if pause:
                    log.info("%s: the news are sent again.", place)
                pause = 0.0

    def _ask_ping(self, what: str, body: str) -> None:
        with self._wake:
            # A ping says how things are now: one that waits is replaced. The start stays.
            self._pings = [ping for ping in self._pings if ping[0] == "start"] + [(what, body)]
            self._wake.notify_all()

    def _ping_on(self, url: str) -> None:
        has_failed = False
        while not self._stop.is_set():
            with self._wake:
                if not self._pings:
                    if self._has_last_ping:
                        return
                    self._wake.wait()
                    continue
                what, body = self._pings.pop(0)
            try:
                post(ping_url(url, what), body.encode("utf-8", "replace"), "text/plain")
                has_failed = False
            except NotSentError as error:
                if not has_failed:
                    log.warning("healthcheck: the ping did not arrive: %s.", error)
                has_failed = True


def ping_url(url: str, what: str) -> str:
    """The address of a ping: `what` is `start` or an exit code, before a query."""
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{what}{mark}{query}"


def _exit_code(status: Mapping[str, Any] | None) -> int:
    """3 if a root is out of reach, as `status` says it; else 0."""
    roots = status["roots"] if status is not None else ()
    return 0 if all(root["state"] in COMPLETE for root in roots) else 3


def _summary(status: Mapping[str, Any] | None) -> str:
    if status is None:
        return ""
    with suppress(KeyError, TypeError):
        lines = [f"scan {status['scan']}, {status['broken']} broken files"]
        lines += [
            f"{root['id']} is {root['state']}"
            for root in status["roots"]
            if root["state"] not in COMPLETE
        ]
        return "\n".join(lines)
    return ""
