"""Texts in EXIF, as ComfyUI writes it into WebP and packs write it into JPEG.

ComfyUI gives each text a tag of its own, 0x0110 and from 0x010F downwards: `workflow:{...}`.
Format: TIFF 6.0, section 2, and EXIF 2.32 for UserComment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from scanner.workflows.media.source import Source, Texts, as_utf8

_BYTE, _ASCII, _UNDEFINED = 1, 2, 7
"""Types of values: Pillow writes comments as the first, cameras as the last."""

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286

_MOST_ENTRIES = 1000
"""Most entries that are looked at in a directory; cameras write some 60."""

_KEY = re.compile(rb"([A-Za-z][\w .-]{0,63}):\s*(?=[{\[\"])")


def exif_texts(source: Source, data: bytes) -> Texts:
    """The texts of the first directory, and the user's comment."""
    data = data.removeprefix(b"Exif\0\0")
    if data[:2] not in (b"II", b"MM"):
        return
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    directory = int.from_bytes(data[4:8], order)
    inner = None
    for tag, kind, value in _entries(data, directory, order):
        if tag == _EXIF_IFD and inner is None:
            inner = int.from_bytes(value[:4], order)
        elif kind == _ASCII:
            yield _named(source.text(value))
    if inner is not None:
        for tag, _, value in _entries(data, inner, order):
            if tag == _USER_COMMENT:
                yield _named(_comment(source.text(value), order))


def _entries(
    data: bytes, at: int, order: Literal["little", "big"]
) -> Iterator[tuple[int, int, bytes]]:
    """Tag, type and value of the entries that may hold a text or an offset."""
    count = min(int.from_bytes(data[at : at + 2], order), _MOST_ENTRIES)
    for number in range(count):
        entry = data[at + 2 + 12 * number : at + 14 + 12 * number]
        if len(entry) < 12:
            return
        tag, kind = int.from_bytes(entry[:2], order), int.from_bytes(entry[2:4], order)
        length = int.from_bytes(entry[4:8], order)
        if tag == _EXIF_IFD:
            yield tag, kind, entry[8:]
        elif kind in (_BYTE, _ASCII, _UNDEFINED):
            offset = int.from_bytes(entry[8:], order)
            yield tag, kind, entry[8 : 8 + length] if length <= 4 else data[offset:][:length]


def _comment(value: bytes, order: Literal["little", "big"]) -> bytes:
    """A UserComment in UTF-8: eight bytes name its encoding."""
    encoding, text = value[:8], value[8:]
    if encoding == b"UNICODE\0":
        # The standard leaves the byte order open. Half of the bytes of a JSON text are zeros.
        is_little = text[1::2].count(0) > text[::2].count(0) if any(text) else order == "little"
        decoded = text.decode("utf-16-le" if is_little else "utf-16-be", "replace")
        return decoded.encode("utf-8", "surrogatepass")
    return text if encoding in (b"ASCII\0\0\0", bytes(8)) else value


def _named(value: bytes) -> tuple[str, bytes]:
    """The key and the text of `key:text`; a text without a key is a comment."""
    text = as_utf8(value.rstrip(b"\0"))
    match = _KEY.match(text)
    return (match[1].decode().lower(), text[match.end() :]) if match else ("comment", text)
