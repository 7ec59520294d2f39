"""Texts in FLAC and in Ogg (Opus, Vorbis, FLAC): Vorbis comments.

Formats: RFC 9639 for FLAC, RFC 3533 for Ogg, RFC 7845 for Opus, and for the comments
https://xiph.org/vorbis/doc/v-comment.html.
"""

from __future__ import annotations

from scanner.workflows.media.source import MOST_TEXT, Source, Texts

FLAC = b"fLaC"
OGG = b"OggS"

_COMMENT_BLOCK = 4
"""Type of a block of FLAC."""

_MOST_COMMENTS = 10_000

_MOST_STREAMS = 16

_BEGINNINGS = ((b"OpusTags", 8), (b"\3vorbis", 7), (b"\x81theora", 7))


def flac_texts(source: Source, at: int = 0) -> Texts:
    """The texts of a FLAC file that begins at `at`."""
    at += len(FLAC)
    while len(header := source.at(at, 4)) == 4:
        length = int.from_bytes(header[1:], "big")
        if header[0] & 0x7F == _COMMENT_BLOCK:
            yield from _comments(source, source.at(at + 4, length))
        if header[0] & 0x80:
            return
        at += 4 + length


def ogg_texts(source: Source) -> Texts:
    """The texts of each stream: those in its second packet, which may take many pages."""
    packets: dict[bytes, list[bytes]] = {}
    """The second packet of each stream, as far as it is read, in pieces."""
    done: set[bytes] = set()
    begun: set[bytes] = set()
    left = MOST_TEXT
    at = 0
    while len(header := source.at(at, 27)) == 27 and header[:4] == OGG:
        stream, sizes = header[14:18], source.at(at + 27, header[26])
        if header[5] & 2 and len(packets) < _MOST_STREAMS:
            packets[stream] = []
        begin = at + 27 + header[26]
        at = begin + sum(sizes)
        if stream not in packets or stream in done:
            if len(done) == len(packets):
                return
            continue
        # Segments of 255 bytes go on, a shorter one ends its packet.
        start = 0
        if stream not in begun:
            first = next((number for number, size in enumerate(sizes) if size < 255), None)
            if first is None:
                continue
            begun.add(stream)
            start = first + 1
        last = next((n for n in range(start, len(sizes)) if sizes[n] < 255), None)
        end = len(sizes) if last is None else last + 1
        piece = source.at(begin + sum(sizes[:start]), sum(sizes[start:end]))
        packets[stream].append(piece)
        left -= len(piece)
        if left < 0:
            return
        if last is not None:
            done.add(stream)
            yield from _packet(source, b"".join(packets[stream]))
            packets[stream] = []


def _packet(source: Source, packet: bytes) -> Texts:
    for beginning, length in _BEGINNINGS:
        if packet.startswith(beginning):
            yield from _comments(source, packet[length:])
    if packet[:1] and packet[0] & 0x7F == _COMMENT_BLOCK:  # FLAC within Ogg
        yield from _comments(source, packet[4:])


def _comments(source: Source, data: bytes) -> Texts:
    at = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    for _ in range(min(count, _MOST_COMMENTS)):
        if at + 4 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "little")
        key, _, text = data[at + 4 : at + 4 + length].partition(b"=")
        yield key.decode("utf-8", "replace").lower(), source.text(text)
        at += 4 + length
