"""How many models are likely copies of others, for the header of the inventory."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from scanner.core.snapshot import FILE, FINGERPRINT_BYTES, UNKNOWN_FINGERPRINT
from scanner.output.inventory_layout import Folder, Layout

MOST = 100_000
"""Models up to which copies are counted: a million fingerprints would take a second and 100 MB in
each write of the inventory."""


class Copies(NamedTuple):
    """Files that have the fingerprint of another file, and the bytes of all but one of each."""

    files: int
    bytes: int


def count_copies(layout: Layout) -> Copies | None:
    """Count models with equal fingerprints, which cover size and samples; a file with several
    names counts once. None if there are more than `MOST`."""
    folders = [
        folder
        for folder in layout.folders.values()
        if folder.category and not folder.alias_of and folder.directory.fingerprints
    ]
    if sum(len(folder.directory.listing.types) for folder in folders) > MOST:
        return None
    seen: set[bytes] = set()
    first: set[bytes] = set()
    files = wasted = 0
    for folder in folders:
        for fingerprint, size in _own(folder, layout.owners.get(folder.path, {})):
            if fingerprint in seen:
                # The first of them counts as a file, too, once there is a second one.
                files += 1 if fingerprint in first else 2
                first.add(fingerprint)
                wasted += size
            seen.add(fingerprint)
    return Copies(files, wasted)


def _own(folder: Folder, owners: Container[str]) -> Iterable[tuple[bytes, int]]:
    """Fingerprint and size of each file of `folder` that is not empty and has no other owner."""
    listing, digits = folder.directory.listing, folder.directory.fingerprints
    names = listing.split_names()
    for index, letter in enumerate(listing.types):
        start = index * FINGERPRINT_BYTES
        fingerprint = digits[start : start + FINGERPRINT_BYTES]
        if letter != FILE or not listing.sizes[index] or fingerprint == UNKNOWN_FINGERPRINT:
            continue
        if names[index] in owners:
            continue
        yield fingerprint, listing.sizes[index]
