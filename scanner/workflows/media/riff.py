"""Texts in WebP: the chunk EXIF. Format: https://developers.google.com/speed/webp/docs/riff_container"""

from __future__ import annotations

from scanner.workflows.media.exif import exif_texts
from scanner.workflows.media.source import Source, Texts


def webp_texts(source: Source) -> Texts:
    """The texts of all EXIF chunks."""
    at = 12
    while len(header := source.at(at, 8)) == 8:
        length = int.from_bytes(header[4:], "little")
        if header[:4] == b"EXIF":
            yield from exif_texts(source, source.at(at + 8, length))
        at += 8 + length + length % 2
