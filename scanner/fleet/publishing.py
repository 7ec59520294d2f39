"""Publishing after scans, by a process that nobody waits for."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import orjson

from scanner.disk.child import start_child
from scanner.errors import InventoryError
from scanner.fleet.child import CODE
from scanner.fleet.publish import source_of
from scanner.output.file_names import Outputs
from scanner.settings.schema import Settings
from scanner.settings.values import hide_place

log = logging.getLogger(__name__)

LONGEST_PAUSE = 3600.0
"""Seconds between two attempts, at most: they are `publish_every` apart, then twice that ..."""

HANGS_AFTER = 900.0
"""Seconds after which a publication counts as one that hangs. It is ended then, if that works."""

LAST_PATIENCE = 120.0
"""Seconds that the end of a one-shot scan waits for its publication."""

_POLL = 0.1


class Publishing:
    """Takes the status after each scan, and publishes what is new, at its own pace."""

    def __init__(self, settings: Settings, outputs: Outputs, *, once: bool = False) -> None:
        """`once`: a one-shot scan, which publishes at its end."""
        assert settings.publish is not None
        self._url = settings.publish
        self._every = settings.publish_every
        self._source = source_of(outputs.inventory, outputs.journal, settings.publish_as)
        self._once = once
        self._wake = threading.Condition()
        self._written = ""
        """When the inventory was written last, as far as it was reported."""
        self._is_closing = False
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def report(self, status: Mapping[str, Any]) -> None:
        """Take the status of now. Never waits."""
        with self._wake:
            self._written = str(status["inventory"]["written"])
            self._wake.notify_all()

    def close(self, code: int | None) -> None:
        """End. A one-shot scan that ended by itself publishes first."""
        waits = self._once and code is not None
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        if not waits:
            self._stop.set()
        self._thread.join(LAST_PATIENCE if waits else 1.0)
        if waits and self._thread.is_alive():
            log.warning("publish: %s does not answer.", hide_place(self._url))
        self._stop.set()
        self._end_child()

    def _go_on(self) -> None:
        published, pause, not_before = "", self._every, 0.0
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda done=published: (
                        self._is_closing  # type: ignore[misc]
                        or (not self._once and self._written not in ("", done))
                    ),
                )
                written = self._written
            is_last = self._is_closing
            if self._stop.is_set() or (is_last and written in ("", published)):
                return
            if not is_last and self._stop.wait(max(0.0, not_before - time.monotonic())):
                return
            try:
                self._publish()
                published, pause = written, self._every
            except InventoryError as error:
                if self._stop.is_set():
                    return
                log.warning("publish: %s", error)
                pause = min(max(LONGEST_PAUSE, self._every), pause * 2)
            if is_last:
                return
            not_before = time.monotonic() + pause

    def _publish(self) -> None:
        if self._child is not None and self._child.poll() is None:
            raise InventoryError(f"{hide_place(self._url)} still hangs.")
        try:
            self._child = start_child(CODE, stdin=subprocess.PIPE)
        except OSError as error:
            raise InventoryError(f"The process for it cannot be started: {error}.") from error
        asked = orjson.dumps({"url": self._url, "source": list(self._source)})
        answer = self._answer(self._child, asked)
        if "error" in answer:
            raise InventoryError(answer["error"])
        if answer["is_new"]:
            rows, lines = answer["rows"], answer["changes"]
            place = hide_place(self._url)
            log.info(
                "Published scan %d: %d entries, %d changes to %s.",
                answer["scan"],
                rows,
                lines,
                place,
            )

    def _answer(self, child: subprocess.Popen[bytes], asked: bytes) -> dict[str, Any]:
        """What the child prints. Raises InventoryError if it ends without, hangs, or we stop."""
        answers: list[bytes] = []

        def talk() -> None:
            try:
                answers.append(child.communicate(asked)[0])
            except (OSError, ValueError):
                pass

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        deadline = time.monotonic() + HANGS_AFTER
        while thread.is_alive():
            thread.join(_POLL)
            if self._stop.is_set() or time.monotonic() > deadline:
                child.kill()
                raise InventoryError(f"{hide_place(self._url)} does not answer.")
        try:
            answer: dict[str, Any] = orjson.loads(answers[0])
        except (IndexError, orjson.JSONDecodeError):
            raise InventoryError("The process for it ended without an answer.") from None
        return answer

    def _end_child(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
