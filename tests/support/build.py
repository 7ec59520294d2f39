"""Builders of the values that the program compares: rows, entries, listings and directories.

A row is named, an entry has a path. Sizes are in bytes, times in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scanner.core.snapshot import DIRECTORY, FILE, Directory, Entry, Row, listing_of


def fingerprint_of(content: str) -> bytes:
    """A fingerprint that stands for `content`; empty content was never fingerprinted."""
    return content.encode().ljust(16, b".") if content else b""


def file_row(name: str, size: int = 10, mtime: int = 1, inode: int = 0) -> Row:
    return Row(name, FILE, size, mtime, inode)


def folder_row(name: str) -> Row:
    return Row(name, DIRECTORY, 0, 0, 0)


def file_entry(
    path: str, content: str = "", *, size: int = 10, mtime: int = 1, inode: int = 0
) -> Entry:
    """A file on device 1, with the fingerprint of `content`."""
    return Entry(path, FILE, size, mtime, inode, 1, fingerprint_of(content))


def folder_entry(path: str) -> Entry:
    return Entry(path, DIRECTORY, 0, 0)


def by_path(*entries: Entry) -> dict[str, Entry]:
    return {entry.path: entry for entry in entries}


def directory_of(*rows: Row, targets: Iterable[tuple[str, str]] = (), **fields: Any) -> Directory:
    """A directory that lists `rows`; `targets` are names and texts of its links."""
    return Directory(listing_of(rows, targets=targets), **fields)


def directory_of_entries(*entries: Entry) -> Directory:
    """A directory that lists `entries`, with their fingerprints."""
    named = {entry.path.rpartition("/")[2]: entry for entry in entries}
    rows = [Row(name, e.type, e.size, e.mtime, e.inode) for name, e in named.items()]
    fingerprints = {name: entry.fingerprint for name, entry in named.items() if entry.fingerprint}
    return directory_of(*rows).with_fingerprints(fingerprints)
