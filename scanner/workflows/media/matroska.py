"""Texts in Matroska and WebM: `Segment/Tags/Tag/SimpleTag`. Format: RFC 9559, section 5.1.8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scanner.workflows.media.source import Source, Texts

SIGNATURE = b"\x1a\x45\xdf\xa3"

_SEGMENT, _TAGS, _TAG, _SIMPLE = 0x18538067, 0x1254C367, 0x7373, 0x67C8
_NAME, _STRING, _BINARY = 0x45A3, 0x4487, 0x4485

_MOST_DEPTH = 8
"""Simple tags within each other that are looked into."""


class _Element(NamedTuple):
    kind: int
    begin: int
    """Of its content."""
    end: int


def matroska_texts(source: Source) -> Texts:
    """The texts of all tags. Clusters of pictures and sound are stepped over."""
    for segment in _elements(source, 0, source.size):
        if segment.kind == _SEGMENT:
            for tags in _elements(source, segment.begin, segment.end):
                if tags.kind == _TAGS:
                    for tag in _elements(source, tags.begin, tags.end):
                        if tag.kind == _TAG:
                            yield from _simple_tags(source, tag, 0)


def _simple_tags(source: Source, around: _Element, depth: int) -> Texts:
    name = ""
    for element in _elements(source, around.begin, around.end):
        length = element.end - element.begin
        if element.kind == _SIMPLE and depth < _MOST_DEPTH:
            yield from _simple_tags(source, element, depth + 1)
        elif element.kind == _NAME:
            name = source.at(element.begin, min(length, 256)).decode("utf-8", "replace").lower()
        elif element.kind in (_STRING, _BINARY):
            yield name, source.text(source.at(element.begin, length).rstrip(b"\0"))


def _elements(source: Source, at: int, end: int) -> Iterator[_Element]:
    """The elements from `at` to `end`; one of unknown length is taken to reach to the end."""
    while at < end:
        header = source.at(at, min(12, end - at))
        kind_length = _length_of(header[:1], 4)
        size_length = _length_of(header[kind_length : kind_length + 1], 8)
        begin = at + kind_length + size_length
        if not kind_length or not size_length or begin > at + len(header):
            return
        kind = int.from_bytes(header[:kind_length], "big")
        all_ones = (1 << 7 * size_length) - 1
        size = int.from_bytes(header[kind_length : kind_length + size_length], "big") & all_ones
        yield _Element(kind, begin, end if size == all_ones else min(begin + size, end))
        if size == all_ones:
            return
        at = begin + size


def _length_of(first: bytes, most: int) -> int:
    """Bytes of a number that begins so: the leading zeros tell them. 0 if it is none."""
    length = 9 - first[0].bit_length() if first and first[0] else 0
    return length if length <= most else 0
