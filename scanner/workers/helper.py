"""The process that lists folders of a local disk for a long walk (see `scanner.workers.helped`).

A frame on either pipe is a length in four bytes and marshalled plain values: both ends are this
program. Decoding a listing takes 8 us so, and 40 us from a pickle of its objects. This module
imports only what listing needs: the walk goes on without help until the helper has started.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from scanner.core.snapshot import (
    NO_NAMES,
    Directory,
    Listing,
    column_from,
    narrow_from,
    shared,
)
from scanner.disk.filesystem import DiskFileSystem, FileSystem

LENGTH = struct.Struct("<I")

_PART = 1 << 17
"""Bytes of columns after which answers are sent, some forty folders."""

Plain = tuple[Any, ...]
"""A listing, or an error as (path, errno, text)."""

ERROR = 3
"""The length of an error."""


def frame_of(values: Any) -> bytes:
    """The bytes of a frame."""
    body = marshal.dumps(values)
    return LENGTH.pack(len(body)) + body


def read_frame(pipe: BinaryIO) -> Any:
    """The next values; None at the end of the pipe."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = pipe.read(length)
    return marshal.loads(body) if len(body) == length else None  # of our own process


def plain_of(path: str, directory: Directory) -> Plain:
    """A listing as plain values."""
    listing = directory.listing
    return (
        path,
        listing.names,
        listing.types,
        listing.sizes.tobytes(),
        listing.mtimes.tobytes(),
        listing.inodes.tobytes(),
        listing.targets,
        listing.unstatted,
        listing.hard_links,
        directory.mtime,
        directory.device,
        directory.inode,
        directory.ignored,
        directory.ctime,
    )


def directory_of(values: Plain) -> Directory:
    """Inverse of `plain_of`, but for the path."""
    _, names, types, sizes, mtimes, inodes, targets, unstatted, hard_links = values[:9]
    mtime, device, inode, ignored, ctime = values[9:]
    listing = Listing(
        names,
        sys.intern(types),
        narrow_from(sizes, len(types), "q"),
        column_from(mtimes, "q"),
        narrow_from(inodes, len(types), "Q"),
        targets,
        unstatted,
        hard_links,
    )
    ctime = mtime if ctime == mtime else ctime  # one object of 32 bytes for both
    return Directory(listing, mtime, shared(device), inode, ignored or NO_NAMES, ctime=ctime)


def error_text(error: OSError) -> str:
    """The error in words."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))


def answers(files: FileSystem, requests: Sequence[Plain]) -> Iterator[tuple[float, list[Plain]]]:
    """The answers to the fields of `ListDirectory` requests, and the seconds that they took, in
    parts of some `_PART` bytes."""
    found: list[Plain] = []
    size, started = 0, time.perf_counter()
    for request in requests:
        try:
            directory = files.list_directory(*request)
        except OSError as error:
            found.append((request[0], error.errno or 0, error_text(error)))
            continue
        found.append(plain_of(request[0], directory))
        size += len(directory.listing.names) + 25 * len(directory.listing)
        if size >= _PART:
            now = time.perf_counter()
            yield now - started, found
            found, size, started = [], 0, time.perf_counter()
    yield time.perf_counter() - started, found


def serve(files: FileSystem, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until `source` ends. An empty answer comes first: the process has started."""
    requests: Any = []
    while requests is not None:
        for part in answers(files, requests):
            sink.write(frame_of(part))
            sink.flush()
        requests = read_frame(source)


def main() -> None:
    """Serve until the parent closes the pipe."""
    serve(DiskFileSystem(at_once=True), sys.stdin.buffer, sys.stdout.buffer)
