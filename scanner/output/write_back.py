"""Having the disk write what has been written so far, while more is being made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

STRIDE = 1 << 21
"""Bytes after which the disk is asked to begin. 58 MB took 43 ms to copy and to force to a local
disk, 31 with strides of 8 MB, 33 with 16. 6 MB took 7.0 ms with strides of 2 MB, 8.2 with 8; with
1 MB it took 6.4, or 9 where other programs wrote as well."""

_WRITE = 2
"""SYNC_FILE_RANGE_WRITE: begin, and do not wait."""


def begin_write_back(descriptor: int, start: int, length: int) -> None:
    """Have the system begin to write this range of a file to the disk. It promises nothing: the
    fsync at the end waits for what is left, and reports errors."""
    begin = _sync_file_range()
    if begin is not None:
        begin(descriptor, start, length, _WRITE)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The function of Linux that Python does not have; None on other systems."""
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function
