"""Texts in JPEG: EXIF and comments, which packs write. Format: ITU-T T.81, annex B."""

from __future__ import annotations

from scanner.workflows.media.exif import exif_texts
from scanner.workflows.media.source import Source, Texts, as_utf8

_COMMENT, _APP1, _SCAN, _END = 0xFE, 0xE1, 0xDA, 0xD9
_ALONE = (0x01, *range(0xD0, 0xD9))
"""Markers that have no length."""


def jpeg_texts(source: Source) -> Texts:
    """The texts before the pixels."""
    at = 2
    while len(header := source.at(at, 4)) == 4 and header[0] == 0xFF:
        marker = header[1]
        if marker in (_SCAN, _END):
            return
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = int.from_bytes(header[2:], "big")
        data = source.at(at + 4, length - 2)
        if marker == _APP1 and data.startswith(b"Exif\0\0"):
            yield from exif_texts(source, data)
        elif marker == _COMMENT:
            yield "comment", as_utf8(source.text(data.rstrip(b"\0")))
        at += 2 + max(length, 2)
