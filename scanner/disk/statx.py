"""The stat that the lookup of a name has just brought, without a second question to the server.

A stat by the kernel's FUSE client is two questions where its caches are off: a lookup of the name,
whose answer brings all attributes, and then the attributes once more. statx(2) can say that those
of the lookup will do. Python has no statx before 3.15, so that of the C library is called. Where
there is none, the stat is an ordinary one.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from functools import cache

AT_SYMLINK_NOFOLLOW = 0x100
AT_NO_AUTOMOUNT = 0x800
AT_EMPTY_PATH = 0x1000
AT_STATX_DONT_SYNC = 0x4000
STATX_BASIC_STATS = 0x7FF
"""From linux/fcntl.h and linux/stat.h: the same on all machines."""

STATX_BYTES = 256
"""The size of `struct statx`."""

_FIELDS = struct.Struct("=16xI8xHxxQQ16x32xqI4xqI4x8xII")
"""nlink, mode, ino, size, ctime, mtime (seconds and nanoseconds), and major and minor of the
device, of `struct statx`."""

Call = Callable[[int, bytes, int, int, object], int]
"""Folder, name, flags, wanted fields and where to write them; 0 if that was done."""


def stat_by_lookup(name: str, dir_fd: int, *, follow: bool = True) -> os.stat_result:
    """The stat of `name` in the folder `dir_fd`, or of that folder itself if it is empty, as its
    lookup brought it.

    Only where each lookup asks the server (`Mount.lookups_bring_stats`), and not for the folder
    on which something is mounted: that is never looked up. Raises OSError.
    """
    call = statx_call()
    if call is None:
        return _plain(name, dir_fd, follow=follow)
    import ctypes

    buffer = ctypes.create_string_buffer(STATX_BYTES)
    flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT
    flags |= (0 if name else AT_EMPTY_PATH) | (0 if follow else AT_SYMLINK_NOFOLLOW)
    if call(dir_fd, os.fsencode(name), flags, STATX_BASIC_STATS, buffer):
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EPERM):  # EPERM: what some containers answer
            return _plain(name, dir_fd, follow=follow)
        raise OSError(number, os.strerror(number), name)
    nlink, mode, inode, size, ctime, ctime_ns, mtime, mtime_ns, major, minor = _FIELDS.unpack_from(
        buffer
    )
    device = os.makedev(major, minor)
    return os.stat_result(
        (mode, inode, device, nlink, 0, 0, size, 0, 0, 0),
        {"st_mtime_ns": mtime * 10**9 + mtime_ns, "st_ctime_ns": ctime * 10**9 + ctime_ns},
    )


def _plain(name: str, dir_fd: int, *, follow: bool) -> os.stat_result:
    return os.stat(name, dir_fd=dir_fd, follow_symlinks=follow) if name else os.fstat(dir_fd)


@cache
def statx_call() -> Call | None:
    """statx of the C library; None if it has none. Loaded by the first stat that wants it."""
    try:
        import ctypes

        call: Call = ctypes.CDLL(None, use_errno=True).statx
    except (ImportError, OSError, TypeError, AttributeError):
        return None
    return call
