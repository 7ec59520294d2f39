"""Texts in MP4 and MOV: `moov/udta/meta` with `keys` and `ilst`, as FFmpeg writes them.

Formats: ISO/IEC 14496-12, and QuickTime File Format, "Metadata" and "User data atoms".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scanner.workflows.media.source import Source, Texts, as_utf8

BEGINNINGS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""Types of the first box in files of this kind."""

_MOST_KEYS = 1000

_COMMENTS = {b"\xa9cmt": "comment", b"\xa9des": "comment", b"desc": "comment", b"ldes": "comment"}


class _Box(NamedTuple):
    kind: bytes
    begin: int
    """Of its content."""
    end: int


def mp4_texts(source: Source) -> Texts:
    """The texts of the whole file, not of its tracks."""
    for moov in _boxes(source, 0, source.size):
        if moov.kind != b"moov":
            continue
        for box in _boxes(source, moov.begin, moov.end):
            if box.kind == b"meta":
                yield from _meta(source, box)
            elif box.kind == b"udta":
                for inner in _boxes(source, box.begin, box.end):
                    if inner.kind == b"meta":
                        yield from _meta(source, inner)
                    elif inner.kind in _COMMENTS or inner.kind[:1] == b"\xa9":
                        yield from _user_text(source, inner)


def _boxes(source: Source, at: int, end: int) -> Iterator[_Box]:
    while at + 8 <= end and len(header := source.at(at, 16)) >= 8:
        length, kind, begin = int.from_bytes(header[:4], "big"), header[4:8], at + 8
        if length == 1:
            length, begin = int.from_bytes(header[8:16], "big"), at + 16
        elif length == 0:
            length = end - at
        if length < begin - at:
            return
        yield _Box(kind, begin, min(at + length, end))
        at += length


def _meta(source: Source, meta: _Box) -> Texts:
    # A full box has four bytes before its boxes, QuickTime's has not.
    begin = meta.begin + (0 if source.at(meta.begin + 4, 4) == b"hdlr" else 4)
    keys: list[str] = []
    items: list[_Box] = []
    for box in _boxes(source, begin, meta.end):
        if box.kind == b"keys":
            keys = _keys(source, box)
        elif box.kind == b"ilst":
            items.append(box)
    for ilst in items:
        for item in _boxes(source, ilst.begin, ilst.end):
            number = int.from_bytes(item.kind, "big")
            key = _COMMENTS.get(item.kind, "")
            if 0 < number <= len(keys):
                key = keys[number - 1]
            yield from _item(source, item, key)


def _keys(source: Source, box: _Box) -> list[str]:
    count = int.from_bytes(source.at(box.begin + 4, 4), "big")
    entries = _boxes(source, box.begin + 8, box.end)
    return [
        source.at(entry.begin, min(entry.end - entry.begin, 256)).decode("utf-8", "replace").lower()
        for _, entry in zip(range(min(count, _MOST_KEYS)), entries, strict=False)
    ]


def _item(source: Source, item: _Box, key: str) -> Texts:
    """The text of one item; `name` names it where iTunes' own form `----` is used."""
    for box in _boxes(source, item.begin, item.end):
        content = box.end - box.begin
        if box.kind == b"name":
            name = source.at(box.begin + 4, min(content - 4, 256))
            key = name.decode("utf-8", "replace").lower()
        elif box.kind == b"data":
            yield key or "comment", as_utf8(source.text(source.at(box.begin + 8, content - 8)))


def _user_text(source: Source, box: _Box) -> Texts:
    """QuickTime's text: its length in two bytes, its language in two.

    The length of a longer text has lost its upper digits; the box tells them.
    """
    length = int.from_bytes(source.at(box.begin, 2), "big")
    room = box.end - box.begin - 4
    if room % (1 << 16) == length:
        length = room
    yield "comment", as_utf8(source.text(source.at(box.begin + 4, min(length, room))))
