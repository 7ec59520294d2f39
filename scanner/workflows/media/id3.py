"""Texts in MP3: frames TXXX and COMM of ID3v2. Formats: https://id3.org, v2.2.0 to v2.4.0."""

from __future__ import annotations

from scanner.workflows.document import LARGEST
from scanner.workflows.media.source import Source, Texts
from scanner.workflows.media.vorbis import FLAC, flac_texts

SIGNATURE = b"ID3"

_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
"""Flags of the tag."""

_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}

_MOST_FRAMES = 10_000


def id3_texts(source: Source) -> Texts:
    """The texts of the tag at the beginning, and those of FLAC behind it."""
    header = source.at(0, 10)
    if len(header) < 10:
        return
    version, flags = header[3], header[5]
    length = _synchsafe(header[6:10])
    if 2 <= version <= 4 and length <= LARGEST:
        yield from _tag(source, version, flags, source.at(10, length))
    behind = 10 + length
    if source.at(behind, 4) == FLAC:
        yield from flac_texts(source, behind)


def _tag(source: Source, version: int, flags: int, data: bytes) -> Texts:
    if flags & _UNSYNCHRONISED and version < 4:
        data = _synchronised(data)
    at = 0
    if flags & _EXTENDED and version == 3:
        at = 4 + int.from_bytes(data[:4], "big")
    elif flags & _EXTENDED and version == 4:
        at = _synchsafe(data[:4])
    name_length = 3 if version == 2 else 4
    head = 6 if version == 2 else 10
    for _ in range(_MOST_FRAMES):
        header = data[at : at + head]
        if len(header) < head or not header[0]:
            return
        name, size = header[:name_length], header[name_length : 2 * name_length]
        length = _synchsafe(size) if version == 4 else int.from_bytes(size, "big")
        if name in (b"TXXX", b"TXX", b"COMM", b"COM"):
            frame = _plain(source, version, header[9:10], data[at + head : at + head + length])
            yield from _text(source, frame, 3 if name[:1] == b"C" else 0)
        at += head + length


def _plain(source: Source, version: int, flags: bytes, frame: bytes) -> bytes:
    """A frame without compression and unsynchronisation; empty if it is encrypted."""
    flag = flags[0] if flags else 0
    if version == 3:
        if flag & 0x40:
            return b""
        frame = frame[(4 if flag & 0x80 else 0) + (1 if flag & 0x20 else 0) :]
        return source.inflated(frame) if flag & 0x80 else frame
    if version == 4:
        if flag & 0x04:
            return b""
        frame = frame[(1 if flag & 0x40 else 0) + (4 if flag & 0x01 else 0) :]
        if flag & 0x02:
            frame = _synchronised(frame)
        return source.inflated(frame) if flag & 0x08 else frame
    return frame


def _text(source: Source, frame: bytes, language: int) -> Texts:
    """The description and the text of a frame; comments have `language` bytes before."""
    encoding = _ENCODINGS.get(frame[0]) if frame else None
    if encoding is None:
        return
    content = source.text(frame[1 + language :]).decode(encoding, "replace")
    key, _, text = content.partition("\0")
    value = text.strip("\0\ufeff")
    yield key.lower() or "comment", value.encode("utf-8", "surrogatepass")


def _synchronised(data: bytes) -> bytes:
    return data.replace(b"\xff\0", b"\xff")


def _synchsafe(data: bytes) -> int:
    """A number of seven bits in each byte."""
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number
