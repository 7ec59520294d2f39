"""Checks that the headers of safetensors and GGUF files have in common."""

from __future__ import annotations

from collections.abc import Iterable

LARGEST = 2**62
"""Numbers of bytes or elements above this are not the size of anything."""


def add_once(seen: set[int], name: bytes, most: int) -> None:
    """Add `name` to the names seen in a header.

    `seen` holds hashes of 64 bits, because the names may be as large as the header.
    Raises ValueError if `name` was seen before, OverflowError if there are `most` names already.
    """
    mark = hash(name)
    if mark in seen:
        raise ValueError(f"The header has the name {quoted(name)} twice.")
    if len(seen) >= most:
        raise too_many(most)
    seen.add(mark)


def too_many(most: int) -> OverflowError:
    """The error for a header with more than `most` names."""
    return OverflowError(f"The header has more than the {most} names that are read.")


def quoted(name: bytes) -> str:
    """The first characters of `name`, for messages."""
    return repr(name[:80].decode("utf-8", "ignore"))


def elements_of(name: bytes, shape: Iterable[int]) -> int:
    """Number of elements of the tensor `name`. Raises ValueError if no file can have so many."""
    elements = 1
    for length in shape:
        elements *= length
        if elements > LARGEST or length > LARGEST:
            raise ValueError(f"Tensor {quoted(name)} has more elements than any file.")
    return elements


def data_end(spans: list[int]) -> int:
    """Number of bytes up to the end of the last tensor's data.

    `spans` holds the data of each tensor as begin << 64 | end, in bytes, and is sorted here.
    Raises ValueError if tensors overlap.
    """
    spans.sort()
    end = 0
    for span in spans:
        begin = span >> 64
        if begin < end:
            raise ValueError(f"The data of two tensors overlap at byte {begin} of the data.")
        end = end_of(span)
    return end


def end_of(span: int) -> int:
    """The end of a span, in bytes."""
    return span & (2**64 - 1)
