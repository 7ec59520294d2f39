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
from scanner.disk.statx import BATCH, Stats, raw_names, stats_of

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


def are_unchanged(
    folder: int, listing: Listing, stopped: Callable[[], bool], *, at_once: bool = False
) -> bool:
    """True if each entry of `listing` has its type, size, mtime and inode in the open `folder`.

    False too if one has further names now, or once `stopped`. Raises OSError if one is gone or
    cannot be read. `at_once`: many are asked for in one go.
    """
    names = raw_names(listing.names)
    start = 0
    if at_once:
        for start in range(0, len(names), BATCH):
            if stopped():
                return False
            end = start + BATCH
            stats = stats_of(folder, names[start:end])
            if stats is None:
                break
            if not _are_those(stats, listing, start, end):
                return False
        else:
            return True
    known = zip(names, listing.types, listing.sizes, listing.mtimes, listing.inodes, strict=True)
    rows = islice(known, start, None)
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


def _are_those(stats: Stats, listing: Listing, start: int, end: int) -> bool:
    """True if `stats` are those of these rows of `listing`."""
    types, inodes = listing.types[start:end], listing.inodes[start:end].tolist()
    sizes, mtimes = listing.sizes[start:end].tolist(), listing.mtimes[start:end].tolist()
    if types.count(FILE) == len(types):
        return bool(
            stats.inodes == inodes
            and stats.sizes == sizes
            and stats.mtimes == mtimes
            and all(mode & _KIND == stat.S_IFREG for mode in set(stats.modes))
            and max(stats.links) == 1
        )
    rows = zip(types, inodes, zip(sizes, mtimes, strict=True), strict=True)
    seen = zip(stats.modes, stats.inodes, stats.sizes, stats.mtimes, stats.links, strict=True)
    for (letter, inode, known), (mode, number, size, mtime, links) in zip(rows, seen, strict=True):
        if number != inode or mode & _KIND != _KINDS[letter]:
            return False
        if letter == FILE and not ((size, mtime) == known and links == 1):
            return False
    return True
