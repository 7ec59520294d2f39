"""Standard output whose failures are errors of ours.

A reader may go away, and a disk may be full. Rich and Typer end the program with 1 in the first
case, which means that something was found, and do not handle the second. They pass on errors that
they do not know, so failing writes raise those.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
