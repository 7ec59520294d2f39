"""Stats of the known entries of a folder, by their names.

Where the times of a folder prove that its names are unchanged, nothing has to be listed: its files
are asked for by name, relative to its descriptor. For 200,000 files in 6,131 folders that takes
0.49 s where a listing takes 0.66 s, since no entry becomes an object and no column is built.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from itertools import islice

from scanner.core.snapshot import DIRECTORY, FILE, Directory, Listing

HAS_DESCRIPTORS = os.stat in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
"""True where names can be looked up relative to a folder."""

PART = 4096
"""Entries between looks at whether to stop."""

_KIND = 0o170000
"""The bits of a mode that `stat.S_IFMT` keeps."""

_KINDS = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR}


def can_ask_by_name(known: Directory) -> bool:
    """True if stats of its entries by name tell all that a listing of `known` would.

    Links may change without their folder, and so may what could not be read. Without stable inode
    numbers a folder may be another one of the same times.
    """
    listing = known.listing
    return bool(
        HAS_DESCRIPTORS
        and known.inode
        and not (listing.targets or listing.unstatted or listing.hard_links)
        and _KINDS.keys() >= set(listing.types)
    )


def are_unchanged(folder: int, listing: Listing, stopped: Callable[[], bool]) -> bool:
    """True if each entry of `listing` has its type, size, mtime and inode in the open `folder`.

    False too if one has further names now, or once `stopped`. Raises OSError if one is gone or
    cannot be read.
    """
    names = os.fsencode(listing.names).split(b"\0") if listing.names else []
    rows = zip(names, listing.types, listing.sizes, listing.mtimes, listing.inodes, strict=True)
    look = os.stat
    while part := list(islice(rows, PART)):
        if stopped():
            return False
        for name, letter, size, mtime, inode in part:
            seen = look(name, dir_fd=folder, follow_symlinks=False)
            if seen.st_ino != inode or seen.st_mode & _KIND != _KINDS[letter]:
                return False
            if letter == FILE and not (
                seen.st_size == size and seen.st_mtime_ns == mtime and seen.st_nlink == 1
            ):
                return False
    return True
