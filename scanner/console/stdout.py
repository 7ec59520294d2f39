"""Standard output, with failures told in our own words.

Libraries between us and the pipe have views of their own on a reader that goes away (an exit code
of 1, for us "something was found") and none on a full disk. So failing writes leave here as errors
that they do not know.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scanner.errors import InventoryError, OutputError


class ReaderGoneError(InventoryError):
    """Whoever read our output has stopped reading (head, grep -m1): that is its right."""

    exit_code = 0


class _Guarded(io.RawIOBase):
    """The raw stream, with its own errors; silent once one was told."""

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
    """Give `sys.stdout` our errors for a while. Raises ReaderGoneError and OutputError."""
    plain = sys.stdout
    if not isinstance(plain, io.TextIOWrapper) or plain is not sys.__stdout__:
        yield  # closed, or captured
        return
    raw = getattr(plain.buffer, "raw", None)
    if not isinstance(raw, io.FileIO) or (os.name == "nt" and plain.isatty()):
        yield  # a console with an encoding of its own
        return
    plain.flush()
    guarded = io.TextIOWrapper(
        io.BufferedWriter(_Guarded(raw)),
        encoding=plain.encoding,
        errors="backslashreplace",
        line_buffering=plain.isatty(),
    )
    sys.stdout = guarded
    try:
        yield
        guarded.flush()
    finally:
        sys.stdout = plain
        with suppress(InventoryError):
            guarded.flush()
