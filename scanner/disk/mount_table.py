"""The mount table, read again only when the kernel says that it has changed."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
import weakref

from scanner.disk.mounts import Mount, read_mounts

FRESH = 0.1
"""Seconds after which it is read again in any case: the kernel tells of mounts that come, go or
move, and not of every option."""

_TABLE = "/proc/self/mountinfo"


class MountTable:
    """The mounts that can be seen, as `read_mounts` gives them.

    A scan asks for them a dozen times, and each reading takes the kernel 40 us and more. poll(2)
    on the table says whether it has changed (proc(5)). `_lock` is held while it is read: a change
    that one thread is told of is told to no other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: select.poll | None = None
        self._mounts: list[Mount] = []
        self._read_at = float("-inf")
        """When it was read, by the monotonic clock."""

    def mounts(self) -> list[Mount]:
        """The mounts of now. Raises InventoryError."""
        if sys.platform != "linux":
            return read_mounts()
        with self._lock:
            if self._changes is None:
                self._changes = self._opened()
            if self._changes is None:
                return read_mounts()
            # Asked before the table is read: what changes meanwhile is told the next time.
            has_changed = bool(self._changes.poll(0))
            now = time.monotonic()
            if has_changed or now - self._read_at >= FRESH:
                # Not known while it cannot be read.
                self._read_at = float("-inf")
                self._mounts = read_mounts()
                self._read_at = now
            return list(self._mounts)

    def _opened(self) -> select.poll | None:
        try:
            table = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        weakref.finalize(self, os.close, table)
        changes = select.poll()
        changes.register(table, select.POLLPRI | select.POLLERR)
        return changes
