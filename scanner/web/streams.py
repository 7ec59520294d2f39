"""News as they happen, for any number of listeners.

One task looks at the files while somebody listens. Events are kept once, in a ring; a listener is
a position in it. So one who reads slowly, or not at all, costs no memory and delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from scanner import __version__
from scanner.core.status_events import root_events, scan_events
from scanner.errors import InventoryError
from scanner.output.journal_reader import lines_since
from scanner.output.status_file import read_status
from scanner.views.feed import with_text
from scanner.views.status_facts import printed
from scanner.web.sources import Source
from scanner.web.threads import in_thread

log = logging.getLogger(__name__)

PACE = 1.0
"""Seconds between looks at the files."""

MOST_STREAMS = 256
"""Listeners at a time; the next one is refused."""

MOST_LINES = 1000
"""Lines of one scan that are sent one by one. Where there are more, everything is fetched anew."""

RING = 4096
"""Events that are kept for those who read slowly."""

FIRST_LOOK = 2.0
"""Seconds that a new listener waits for the first look at the files."""

HEARTBEAT = 15.0
"""Seconds of silence after which a listener gets a comment."""

_UNREADABLE = (InventoryError, KeyError, TypeError, ValueError, AttributeError)

Chunk = tuple[str, dict[str, Any]]
"""The name of an event and its data."""


class TooManyStreamsError(Exception):
    """Nobody more can listen now."""


class Hub:
    """The events of all inventories, for those who listen."""

    def __init__(self, sources: Sequence[Source], pace: float = PACE) -> None:
        self._watches = [_Watch(source) for source in sources]
        self.pace = pace
        self._ring: deque[bytes] = deque(maxlen=RING)
        self._number = 0
        """Of the newest event."""
        self._bell = asyncio.Event()
        self._listeners = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """One for each inventory: a look that hangs with its mount stops no other."""
        self.is_closed = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._listeners

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count a listener. Raises TooManyStreamsError."""
        if self._listeners >= MOST_STREAMS or self.is_closed:
            raise TooManyStreamsError
        self._listeners += 1
        for watch in self._watches:
            task = self._tasks.get(watch.source.name)
            if task is None or task.done():
                watch.begin()
                self._tasks[watch.source.name] = asyncio.create_task(self._work(watch))
        try:
            yield
        finally:
            self._listeners -= 1

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        for task in self._tasks.values():
            task.cancel()
        self._bell.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something happens. False if nothing did, or the server ends."""
        bell = self._bell
        try:
            await asyncio.wait_for(bell.wait(), seconds)
        except TimeoutError:
            return False
        return not self.is_closed

    async def stream(self, known: Mapping[str, int]) -> AsyncIterator[bytes]:
        """The events for one listener, who has seen those of the scans in `known`."""
        await self._begun()
        yield self._hello()
        position = self._number
        for watch in self._watches:
            since = known.get(watch.source.name)
            if since is not None:
                for chunk in await in_thread(watch.missed, since):
                    yield self._encoded(chunk)
        while not self.is_closed:
            if position < self._number - len(self._ring):
                position = self._number
                yield self._encoded(("reset", {}))
            elif position < self._number:
                first = len(self._ring) - (self._number - position)
                # A piece at a time: what comes meanwhile must not shift what is being read.
                events = [self._ring[index] for index in range(first, len(self._ring))]
                position = self._number
                yield b"".join(events)
            elif not await self.wait(HEARTBEAT) and not self.is_closed:
                yield b":\n\n"

    def _hello(self) -> bytes:
        machines = [{"name": each.source.name, "scan": each.scan} for each in self._watches]
        return self._encoded(("hello", {"version": __version__, "machines": machines}))

    async def _begun(self) -> None:
        """Wait until the first looks are done: what happens later is news."""
        looks = [asyncio.create_task(watch.has_begun.wait()) for watch in self._watches]
        _, late = await asyncio.wait(looks, timeout=FIRST_LOOK)
        for look in late:
            look.cancel()

    async def _work(self, watch: _Watch) -> None:
        """Look at the files of an inventory again and again while somebody listens."""
        while self._listeners:
            for chunk in await in_thread(watch.look):
                self._publish(chunk)
            watch.has_begun.set()
            await asyncio.sleep(self.pace)

    def _publish(self, chunk: Chunk) -> None:
        self._number += 1
        self._ring.append(self._encoded(chunk))
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _encoded(self, chunk: Chunk) -> bytes:
        name, data = chunk
        # JSON has no line ends, and the form of an address no other characters than ASCII.
        mark = urlencode({watch.source.name: watch.scan for watch in self._watches})
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (
            mark.encode(),
            name.encode(),
            orjson.dumps(data),
        )


def marks_of(text: str) -> dict[str, int]:
    """The scans in a `Last-Event-ID`; empty where it is none of ours."""
    return {
        name: int(digits)
        for name, digits in parse_qsl(text)
        if digits.isascii() and digits.isdigit() and len(digits) <= 18
    }


class _Watch:
    """What was last seen of one inventory."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.scan = 0
        self.has_begun = asyncio.Event()
        self._status: Mapping[str, Any] | None = None
        self._was_missing = False

    def begin(self) -> None:
        """Begin anew: nobody has listened for a while."""
        self.has_begun = asyncio.Event()
        self._status = None

    def look(self) -> list[Chunk]:
        """What has happened since the last look. Blocks."""
        try:
            return list(self._look())
        except _UNREADABLE as error:
            log.debug("The status of %s cannot be read: %s", self.source.name, error)
            return []  # half written or out of reach: the next look sees more

    def _look(self) -> Iterator[Chunk]:
        status = read_status(self.source.outputs.status)
        before = self._status
        if status is None:
            self._was_missing = before is None
            return
        if before is None and self._was_missing:
            yield "reset", {}  # there is a first scan
        if before and status["updated"] == before["updated"]:
            return
        scan: int = status["scan"]
        if before is not None:
            yield from self._lines(scan)
            for event in (*root_events(before, status), *scan_events(before, status)):
                name = event.pop("event")
                more = {"scan": scan} if name == "scan" else {}
                yield name, {"machine": self.source.name, **more, **printed(event)}
            data = {"machine": self.source.name, "scan": scan, "updated": status["updated"]}
            yield "status", data
        self.scan, self._status = scan, status

    def _lines(self, scan: int) -> Iterator[Chunk]:
        if scan < self.scan:  # the state was lost, and numbers begin anew
            yield "reset", {}
            return
        if scan == self.scan:
            return
        # The status is written after the change list, so that all of them are there.
        yield from self._since(self.scan, scan)
        self.scan = scan

    def _since(self, since: int, upto: int) -> Iterator[Chunk]:
        found = lines_since(self.source.outputs.journal, since, upto, MOST_LINES)
        if not found.reaches:  # too many, or some of them may be gone
            yield "reset", {}
            return
        for line in found.lines:
            yield "change", {"machine": self.source.name, **with_text(line)}

    def missed(self, since: int) -> list[Chunk]:
        """The lines after scan `since` up to those that others were sent. Blocks."""
        if since >= self.scan:
            return []
        try:
            return list(self._since(since, self.scan))
        except _UNREADABLE:
            return [("reset", {})]
