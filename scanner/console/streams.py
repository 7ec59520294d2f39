"""Standard streams that may be closed, full, or stuck.

A reader of standard output may go away, and a disk may be full. Rich and Typer end the program
with 1 in the first case, which means that something was found, and do not handle the second. They
pass on errors that they do not know, so failing writes raise those. Writes to stderr never fail
(see `relay`).
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scanner.console.relay import Relay
from scanner.errors import InventoryError, OutputError


class ReaderGoneError(InventoryError):
    """The reader of our output has ended (head, grep -m1), which is no error."""

    exit_code = 0


class _Guarded(io.RawIOBase):
    """The raw stream with errors of ours. After the first one it drops what it is given."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._has_failed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: object) -> int:
        if self._has_failed:
            return len(data)  # type: ignore[arg-type]
        try:
            return self._raw.write(data) or 0  # type: ignore[arg-type]
        except BrokenPipeError:
            self._has_failed = True
            raise ReaderGoneError("nobody reads the output any more") from None
        except OSError as error:
            self._has_failed = True
            raise OutputError(
                f"Standard output cannot be written: {error.strerror or error}."
            ) from None


END_PATIENCE = 0.3
"""Seconds that the end of the program waits for what was written to stderr."""


def open_missing() -> None:
    """Let closed standard streams lead to nowhere.

    Their numbers would go to the next files that are opened, and a traceback into one of those.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            # The system gives the lowest free number, and those below are in use.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:  # also without a console on Windows (pythonw)
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextmanager
def guarded_stderr() -> Iterator[None]:
    """Let writes to `sys.stderr` neither fail nor wait in this block."""
    plain = sys.stderr
    if not isinstance(plain, io.TextIOWrapper) or plain is not sys.__stderr__:
        yield  # closed, or captured
        return
    if os.name == "nt" and plain.isatty():
        yield  # a console with an encoding of its own
        return
    relay = Relay(plain.fileno())
    guarded = io.TextIOWrapper(
        io.BufferedWriter(relay),
        encoding=plain.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )
    sys.stderr = guarded
    try:
        yield
    finally:
        guarded.flush()
        relay.drain(END_PATIENCE)
        sys.stderr = plain


@contextmanager
def guarded_stdout() -> Iterator[None]:
    """Let writes to `sys.stdout` raise ReaderGoneError and OutputError in this block."""
    plain = sys.stdout
    if not isinstance(plain, io.TextIOWrapper) or plain is not sys.__stdout__:
        yield  # closed, or captured
        return
    # With PYTHONUNBUFFERED, as in many containers, the stream has no buffer between.
    raw = getattr(plain.buffer, "raw", plain.buffer)
    if not isinstance(raw, io.FileIO) or (os.name == "nt" and plain.isatty()):
        yield  # a console with an encoding of its own
        return
    plain.flush()
    guarded = io.TextIOWrapper(
        io.BufferedWriter(_Guarded(raw)),
        encoding=plain.encoding,
        errors="backslashreplace",
        line_buffering=plain.isatty() or raw is plain.buffer,
    )
    sys.stdout = guarded
    try:
        yield
        guarded.flush()
    finally:
        sys.stdout = plain
        with suppress(InventoryError):
            guarded.flush()
