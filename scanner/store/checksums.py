"""A checksum in each row of the state: a row that the disk changed is noticed, and not believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xxhash import xxh64_intdigest

CHECKSUM = "checksum"
"""The last column of every table that has checksums. NULL in rows of older versions."""


def checksum_of(values: Sequence[Any]) -> int:
    """The xxh64 of the values of a row, as a signed number.

    It depends on types and lengths, but not on the version of Python. A NULL at the end counts for
    nothing: a column that a later version adds there leaves the checksums of older rows right.
    """
    while values and values[-1] is None:
        values = values[:-1]
    blobs = [value for value in values if type(value) is bytes]
    others = [len(value) if type(value) is bytes else value for value in values]
    return xxh64_intdigest(b"".join((*blobs, ascii(others).encode()))) - 2**63


def with_checksum(row: Sequence[Any]) -> tuple[Any, ...]:
    """`row` with its checksum as the last value."""
    return (*row, checksum_of(row))


def checked(row: Sequence[Any]) -> Sequence[Any]:
    """`row` without its checksum. Raises ValueError if that is another one."""
    values, checksum = row[:-1], row[-1]
    if checksum is not None and checksum != checksum_of(values):
        raise ValueError("a row has another checksum")
    return values
