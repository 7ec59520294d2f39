"""How many models are likely copies of others, for the header of the inventory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import compress
from operator import ne
from typing import NamedTuple

from scanner.core.snapshot import FILE, FINGERPRINT_BYTES, UNKNOWN_FINGERPRINT
from scanner.output.inventory_layout import Folder, Layout, alias_of, shared_names

MOST = 100_000
"""Models up to which copies are counted: a million fingerprints would take a second and 100 MB."""


class Copies(NamedTuple):
    """Files that have the fingerprint of another file, and the bytes of all but one of each."""

    files: int
    bytes: int


class LikelyCopies:
    """Models with equal fingerprints, counted from one write of an inventory to the next: only
    folders whose fingerprints differ are looked at again."""

    def __init__(self) -> None:
        self._repeats = _Repeats()

    def count(self, layout: Layout) -> Copies | None:
        """Count models with equal fingerprints, which cover size and samples; a file with several
        names counts once. None if there are more than `MOST`."""
        digits = {
            path: folder.directory.fingerprints
            for path, folder in layout.folders.items()
            if folder.category and folder.directory.fingerprints
        }
        if sum(map(len, digits.values())) > MOST * FINGERPRINT_BYTES:
            self._repeats = _Repeats()
            return None
        self._repeats.look(digits)
        sizes: defaultdict[bytes, list[int]] = defaultdict(list)
        for path in self._repeats.folders():
            for fingerprint, size in _own(layout.folders[path], layout):
                sizes[fingerprint].append(size)
        several = [found for found in sizes.values() if len(found) > 1]
        return Copies(sum(map(len, several)), sum(sum(found) - max(found) for found in several))


class _Repeats:
    """Where the first half of a fingerprint stands several times, links included.

    Some 70 bytes for each fingerprint.
    """

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}
        """The fingerprints of each folder."""
        self._first: dict[int, str] = {}
        """One folder of each half."""
        self._others: dict[int, list[str]] = {}
        """The folders of its further places."""

    def look(self, digits: Mapping[str, bytes]) -> None:
        """Take over the fingerprints of now, by folder."""
        known = self._known
        for path in list(compress(digits, map(ne, digits.values(), map(known.get, digits)))):
            self._replace(path, digits[path])
        if len(known) != len(digits):
            for path in known.keys() - digits.keys():
                self._replace(path, b"")
                del known[path]

    def folders(self) -> set[str]:
        """The folders in which one of several equal halves stands."""
        return {self._first[half] for half in self._others}.union(*self._others.values())

    def _replace(self, path: str, digits: bytes) -> None:
        before = self._known.get(path, b"")
        self._known[path] = digits
        old, new = _halves(before), _halves(digits)
        if len(old) == len(new):
            differ = list(map(ne, old, new))
            old, new = list(compress(old, differ)), list(compress(new, differ))
        for half in filter(None, old):
            self._remove(half, path)
        first = self._first
        for half in filter(None, new):
            if half in first:
                self._others.setdefault(half, []).append(path)
            else:
                first[half] = path

    def _remove(self, half: int, path: str) -> None:
        others = self._others.get(half)
        if others is None:
            del self._first[half]
            return
        if path in others:
            others.remove(path)
        else:
            self._first[half] = others.pop()
        if not others:
            del self._others[half]


def _halves(fingerprints: bytes) -> list[int]:
    """The first half of each fingerprint; 0 where it is unknown."""
    return memoryview(fingerprints).cast("Q")[::2].tolist()


def _own(folder: Folder, layout: Layout) -> Iterable[tuple[bytes, int]]:
    """Fingerprint and size of each file of `folder` that is not empty and has no other owner."""
    listing, digits = folder.directory.listing, folder.directory.fingerprints
    names = listing.split_names()
    shared = shared_names(folder, layout.folders)
    for index, letter in enumerate(listing.types):
        start = index * FINGERPRINT_BYTES
        fingerprint = digits[start : start + FINGERPRINT_BYTES]
        if letter != FILE or not listing.sizes[index] or fingerprint == UNKNOWN_FINGERPRINT:
            continue
        if not alias_of(folder, names[index], letter, shared, layout):
            yield fingerprint, listing.sizes[index]
