"""The end of a journal's newest file: the lines that stay there after a crash or damage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from scanner.output.journal_files import parse_line

_BLOCK = 1 << 16
"""Bytes per read when reading backwards: some 250 lines."""

_PIECE = 1 << 20
"""Most bytes of a damaged line that are read at once."""


class Tail(NamedTuple):
    """The end of a journal's newest file."""

    keep: int
    """Bytes that stay. What follows them is no whole line of a complete scan."""
    lacks_newline: bool
    """True if the last line that stays lost its newline and nothing else."""


def tail_of(
    file: BinaryIO, size: int, pending: Mapping[int, Sequence[bytes]], confirmed: int
) -> Tail:
    """Find the end of the lines that stay in `file`, which has `size` bytes.

    A scan of `pending` must have every line: in a power cut the disk may have kept the last block
    and lost an earlier one. Scans up to `confirmed` are known to have been appended, so all that is
    left of them stays. Any other scan is complete if it ends with its last line.
    """
    end = size
    tail: int | None = None
    expected = complete_end = 0
    present: set[int] = set()
    lacks_newline = False
    for offset, line in lines_backwards(file, size):
        fields = parse_line(line)
        if fields is None and offset + len(line) == size and not line.endswith(b"\n"):
            fields = parse_line(line + b"\n")
            lacks_newline = fields is not None
        if fields is None:
            if tail is None:
                end = offset
            continue
        scan, n, of = fields["scan"], fields["n"], fields["of"]
        if tail is None:
            if scan not in pending and (scan <= confirmed or n == of):
                return Tail(end, lacks_newline)
            tail, expected = scan, of
            complete_end = end if n == of == len(pending.get(scan, ())) else 0
        elif scan != tail:
            return Tail(offset + len(line), False)
        present.add(n)
        if n == 1:
            if complete_end and len(present) == expected:
                return Tail(complete_end, lacks_newline)
            return Tail(offset, False)
    return Tail(0, False)


def is_only_pending(file: BinaryIO, start: int, pending: Mapping[int, Sequence[bytes]]) -> bool:
    """True if everything from `start` on is a part of `pending`, and so can be cut and appended
    anew. After a power cut, unwritten blocks read as zeros."""
    file.seek(start)
    lines = {(number, n): line for number, own in pending.items() for n, line in enumerate(own, 1)}
    while piece := file.readline(_PIECE):
        if not lines and b"\0" in piece:
            return False
        fields = parse_line(piece.strip(b"\0\r\n ") + b"\n")
        if fields is not None and (fields["scan"], fields["n"]) in lines:
            continue
        for part in piece.split(b"\0"):
            text = part.strip()
            if text and not any(text in line for line in lines.values()):
                return False
    return True


def lines_backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) from the last line before `end` to the first, with bounded memory.

    Each line includes its newline, except a torn last one.
    """
    data = b""
    start = stop = end
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        data = file.read(step) + data[:stop]
        stop = len(data)
        while (cut := data.rfind(b"\n", 0, max(stop - 1, 0))) >= 0:
            yield start + cut + 1, data[cut + 1 : stop]
            stop = cut + 1
    if stop:
        yield 0, data[:stop]
