"""Texts in PNG and APNG: the chunks tEXt, zTXt, iTXt, eXIf, and ComfyUI's own `comf`.

Formats: https://www.w3.org/TR/png-3/, and for `comf` `SaveAnimatedPNG` in ComfyUI.
"""

from __future__ import annotations

from scanner.workflows.media.exif import exif_texts
from scanner.workflows.media.source import Source, Texts, as_utf8

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"comf", b"eXIf")


def png_texts(source: Source) -> Texts:
    """The texts before and after the pixels."""
    at = len(SIGNATURE)
    while len(header := source.at(at, 8)) == 8:
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind == b"IEND":
            return
        if kind in _TEXTS:
            yield from _chunk(source, kind, source.at(at + 8, length))
        at += 12 + length


def _chunk(source: Source, kind: bytes, data: bytes) -> Texts:
    if kind == b"eXIf":
        yield from exif_texts(source, data)
        return
    key, _, rest = data.partition(b"\0")
    name = key.decode("latin-1").lower()
    if kind == b"zTXt":
        yield name, as_utf8(source.inflated(rest[1:]))
    elif kind == b"iTXt":
        is_compressed = rest[:1] == b"\1"
        _, _, rest = rest[2:].partition(b"\0")
        _, _, text = rest.partition(b"\0")
        yield name, source.inflated(text) if is_compressed else source.text(text)
    else:
        yield name, as_utf8(source.text(rest))
