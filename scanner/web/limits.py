"""Limits in time for each connection: requests that come slowly, answers that nobody takes."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""Within which all headers of a request must come."""

BODY_SECONDS = 60.0
"""Within which its body must come: 64 MB at 9 Mbit/s."""

STALL_SECONDS = 10.0
"""Within which a client must take some of an answer that waits for it."""


class PatientProtocol(H11Protocol):
    """HTTP that waits for nobody for ever."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._late: asyncio.TimerHandle | None = None
        self._in_body = False
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._late is None and self.conn.their_state is h11.IDLE:
            self._expect(HEADER_SECONDS)
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            if not self._in_body:
                self._in_body = True
                self._expect(BODY_SECONDS)
        elif state is not h11.IDLE:
            self._relax()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALL_SECONDS, self._look, waiting)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _expect(self, seconds: float) -> None:
        self._relax()
        self._late = self.loop.call_later(seconds, self._cut_off)

    def _relax(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self.conn.their_state is not h11.SEND_BODY:
            self._in_body = False

    def _look(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting >= before:
            self._cut_off()
        else:
            self._stalled = self.loop.call_later(STALL_SECONDS, self._look, waiting)

    def _cut_off(self) -> None:
        # What waits to be written is dropped: `close` would wait for the client to take it.
        self.transport.abort()
