"""Content hashes: all of a file read once, and every wanted digest taken in that one reading.

A file of 20 GB takes minutes, and its mount may hang in any of them, so it is read in pieces: each
is one request to the worker, opens the file, reads on from where the last one ended, and closes it
again, so that nothing of ours keeps a share from being unmounted. What has been hashed so far is
kept here, in the worker's process; if that ends, the file is begun anew.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import NamedTuple

import xxhash

from scanner.core.digests import BLAKE3, SHA256
from scanner.disk.filesystem import FileSystem, Stat
from scanner.disk.hash_feed import BLOCK, Digest, HashFeed

MOST_JOBS = 256
"""Files under way at a time that are remembered, a few hundred bytes each: one for each reader of
this process, and some that were given up."""


class Piece(NamedTuple):
    """The result of one piece. `size` in bytes and `mtime` in nanoseconds are those of the file."""

    read: int
    """Bytes read by this piece."""
    done: int
    """Bytes hashed so far, from the start of the file."""
    size: int
    mtime: int
    digests: dict[str, bytes] | None
    """By algorithm, once all of the file was read; None before that."""
    has_changed: bool = False
    """True if the file has changed since its first piece: nothing of it is of use."""
    identity: bytes = b""
    """`Stat.identity` of the file, once all of it was read."""


class _Job:
    """A file under way."""

    def __init__(self, first: Stat, algorithms: tuple[str, ...]) -> None:
        self.first = first
        self.size = first.size
        self.mtime = first.mtime
        self.done = 0
        self.digests: dict[str, Digest] = {name: _new(name) for name in algorithms}


_JOBS: OrderedDict[tuple[str, int], _Job] = OrderedDict()

_LOCK = threading.Lock()


def hash_piece(
    files: FileSystem,
    path: str,
    job: int,
    algorithms: tuple[str, ...],
    most: int,
    seconds: float,
    has_inodes: bool = False,
) -> Piece:
    """Hash the next piece of a file: up to `most` bytes and `seconds`, at least one block.

    `job` distinguishes readings of the same `path`. The file is stat-ed before its first byte and
    after each piece; if size or mtime differ, the piece says `has_changed`. If its mount
    `has_inodes` that are stable, so do device, inode and ctime: another file may have been renamed
    to its path, with the same size and mtime. Raises OSError.
    """
    key = (path, job)
    with _LOCK:
        known = _JOBS.pop(key, None)
    if known is None:
        known = _Job(files.stat(path), algorithms)
    started, begun_at = files.monotonic(), known.done
    is_over = False
    is_short = min(known.size - known.done, most) <= BLOCK
    # The feed ends before the file is closed, and has then hashed all that was read.
    with files.open(path) as file, HashFeed(known.digests, is_short=is_short) as feed:
        _advise_sequential(file)
        file.seek(known.done)
        while not is_over:
            count = file.readinto(feed.buffer())  # type: ignore[attr-defined]
            feed.take(count)
            known.done += count
            is_over = not count or known.done > known.size
            if known.done - begun_at >= most or files.monotonic() - started >= seconds:
                break
    after = files.stat(path)
    read = known.done - begun_at
    is_same = (after.size, after.mtime) == (known.size, known.mtime)
    is_same = is_same and (after == known.first or not has_inodes)
    # A file that ends early by itself, with its old size, is read again like one that changed.
    if not is_same or known.done > known.size or (is_over and known.done < known.size):
        return Piece(read, known.done, known.size, known.mtime, None, has_changed=True)
    if known.done == known.size:
        digests = {name: digest.digest() for name, digest in known.digests.items()}
        identity = known.first.identity
        return Piece(read, known.done, known.size, known.mtime, digests, identity=identity)
    with _LOCK:
        _JOBS[key] = known
        while len(_JOBS) > MOST_JOBS:
            _JOBS.popitem(last=False)
    return Piece(read, known.done, known.size, known.mtime, None)


def _new(name: str) -> Digest:
    if name == SHA256:
        import hashlib  # which loads OpenSSL

        return hashlib.sha256()
    if name == BLAKE3:
        from blake3 import blake3  # optional

        return blake3()  # one thread: `HashFeed` gives it one
    return xxhash.xxh3_128()


def _advise_sequential(file: object) -> None:
    if hasattr(os, "posix_fadvise"):
        try:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)  # type: ignore[attr-defined]
        except (OSError, AttributeError):
            pass  # advice only; a fake file has no descriptor
