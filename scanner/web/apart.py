"""Reading a large inventory in a process of its own.

The scanner may be in this one: a second of parsing here is a second in which a scan waits for the
interpreter. And what is only needed while reading never becomes memory of a process that stays.
"""

from __future__ import annotations

import pickle
import sys
from datetime import UTC

from scanner.core.times import Zone, zone_of
from scanner.disk.child import start_child
from scanner.errors import InventoryError
from scanner.output.inventory_text import UnreadableInventoryError
from scanner.views.book import Book, read_book

SMALL = 4_000_000
"""Bytes of an inventory that is read here: starting a process takes longer."""

_READ = "import sys; from scanner.web.apart import main; main(*sys.argv[1:])"


def read_apart(path: str, zone: Zone) -> Book:
    """As `read_book`, in another process. It may hang with the mount of the inventory."""
    try:
        child = start_child(_READ, path, "utc" if zone is UTC else "")
    except OSError:
        return read_book(path, zone)  # no more processes: better slowly than not at all
    with child:
        assert child.stdout is not None
        content = child.stdout.read()
    if child.returncode or not content:
        raise UnreadableInventoryError("the process that read the inventory ended early")
    found = pickle.loads(content)  # from a process of ours, through a pipe of ours
    if isinstance(found, Book):
        return found
    raise UnreadableInventoryError(str(found))


def main(path: str, zone: str) -> None:
    """In the other process: write the book, or the text of an error, to stdout."""
    found: Book | str
    try:
        found = read_book(path, zone_of(bool(zone)))
    except InventoryError as error:
        found = str(error)
    pickle.dump(found, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
