"""Marks of files, by which a later look finds out if they are as they were left."""

from __future__ import annotations

import os

_ROUNDED = 10_000_000
"""Nanoseconds. An mtime that is a multiple of it may have been rounded."""

_FAT_STEP = 2 * 10**9
"""Nanoseconds: the mtime granularity of FAT."""


def mark_of(status: os.stat_result) -> str:
    """Size, mtime and inode of a file, as they stand in the state."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def is_same_file(written: str, now: str, *, is_local: bool) -> bool:
    """True if two marks may be of the same file.

    Some file systems round the mtime of a file some time after it was written, to 10 ms (exFAT) or
    up to 2 s (FAT). They, and those that know whole seconds only, have no stable inodes either. On
    a network mount (not `is_local`) the server may set another mtime after the client's.
    """
    if not written or not now:
        return False
    size, mtime, _ = map(int, now.split())
    try:
        old_size, old_mtime, _ = map(int, written.split())
    except ValueError:
        return False
    if not is_local or mtime % _ROUNDED == 0:
        return size == old_size and abs(mtime - old_mtime) <= _FAT_STEP
    return now == written


def mark_at(path: str) -> str:
    """The mark of the file at `path`; empty if there is none."""
    try:
        return mark_of(os.stat(path))
    except OSError:
        return ""
