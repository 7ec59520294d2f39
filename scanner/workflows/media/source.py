"""Bounded reading of a file at any place in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from scanner.workflows.document import LARGEST
from scanner.workflows.uses import WorkflowError

MOST_READ = LARGEST + (32 << 20)
"""Most bytes that are read of one file: the texts, and the structure around them."""

MOST_READS = 20_000
"""Most reads of one file. A video of two hours has some 2,000 clusters. A picture of 8,192 x 8,192
pixels has 1,000 to 20,000 chunks, and its texts stand before them."""

MOST_TEXT = LARGEST
"""Most bytes of all texts of one file together, after decompression."""

MOST_STEPS = 200_000
"""Most headers of one file that are looked at, many of them with one read."""

_WINDOW = 4096
"""Bytes that a small read fetches, so that neighbouring headers cost one read together."""

Texts = Iterator[tuple[str, Any]]
"""Keys in lower case, with their values: bytes of a JSON text, or a JSON document."""


class Source:
    """A file that is read at any place, and how much may still be read of it.

    Reads past the end return less. Raises WorkflowError where a file asks for more than the limits.
    OSError is passed on.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        """Of the file, in bytes."""
        self._file = file
        self._steps = 0
        self._reads = 0
        self._bytes = 0
        self._text = 0
        self._window = b""
        self._window_at = 0

    def at(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset` on."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise WorkflowError(f"it has more than {MOST_STEPS:,} headers")
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        start = offset - self._window_at
        if start >= 0 and start + length <= len(self._window):
            return self._window[start : start + length]
        if length >= _WINDOW:
            return self._read(offset, length)
        self._window = self._read(offset, min(_WINDOW, self.size - offset))
        self._window_at = offset
        return self._window[:length]

    def _read(self, offset: int, length: int) -> bytes:
        self._reads += 1
        self._bytes += length
        if self._reads > MOST_READS or self._bytes > MOST_READ:
            raise WorkflowError(
                f"it has more headers than are read: {MOST_READ >> 20} MB, or {MOST_READS:,} reads"
            )
        self._file.seek(offset)
        parts = []
        while length > 0:
            part = self._file.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def text(self, value: bytes) -> bytes:
        """`value`, counted as one of the texts of the file."""
        self._text += len(value)
        if self._text > MOST_TEXT:
            raise WorkflowError(f"its texts are larger than {MOST_TEXT >> 20} MB")
        return value

    def inflated(self, value: bytes) -> bytes:
        """`value` decompressed, and counted; empty if it is damaged."""
        try:
            return self.text(zlib.decompressobj().decompress(value, MOST_TEXT + 1))
        except zlib.error:
            return b""


def as_utf8(value: bytes) -> bytes:
    """A text in UTF-8, made from Latin-1 where it is no UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


def members(document: Any) -> Texts:
    """The texts in a JSON object of keys and values, as some kinds of files hold them."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, str):
                yield key.lower(), value.encode("utf-8", "surrogatepass")
            else:
                yield key.lower(), value
