"""The lock of an output: held by the only process that may write it, and ended with it.

It is that of `flock`, which `status_file` asks for, and of the package filelock. That package takes
12 ms to import, a tenth of an unchanged scan, so it is used only where there is no `flock`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform != "win32":
    import fcntl

POLL = 0.01
"""Seconds between attempts."""


class LockHeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` in this block. The file stays, so that all wait for the same one.

    Raises LockHeldError after `patience` in seconds, and OSError if the lock cannot be taken.
    """
    if sys.platform == "win32":
        from filelock import FileLock, Timeout

        lock = FileLock(path)
        try:
            lock.acquire(timeout=patience, poll_interval=POLL)
        except Timeout:
            raise LockHeldError from None
        try:
            yield
        finally:
            lock.release()
    else:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        handle = os.open(path, flags, 0o644)
        try:
            _wait(handle, time.monotonic() + patience)
            yield
        finally:
            os.close(handle)


if sys.platform != "win32":

    def _wait(handle: int, until: float) -> None:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # some file systems say EACCES
                if time.monotonic() >= until:
                    raise LockHeldError from None
                time.sleep(POLL)
            else:
                return
