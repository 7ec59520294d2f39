"""Sets of duplicates, the space that they waste, and the choice among them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from scanner.console.filters import CategoryFilter, RootFilter
from scanner.core.memory import RootRecord, roots_of
from scanner.core.paths import is_below
from scanner.core.serialize import printable, readable
from scanner.errors import SettingsError

FINGERPRINT = "fingerprint"

READ_WHOLE = "read whole"
"""Evidence besides the names of content hashes: of files read in samples, and of small ones."""


class Copy(NamedTuple):
    """One file of a set."""

    path: str
    root: str
    """Id of its root."""
    category: str
    mtime: int
    """Nanoseconds since 1970."""
    links: tuple[str, ...] = ()
    """Other paths of the same file, sorted: they take no room."""
    hashed: bool = False
    """True if a content hash of it is known."""


class DuplicateSet(NamedTuple):
    """Files with the same content, proven or likely."""

    size: int
    """Bytes of each."""
    proven: bool
    evidence: str
    """The evidence for it: `sha256`, `blake3`, `xxh3`, `read whole` or `fingerprint`."""
    digest: str
    """The hash or fingerprint in hex."""
    copies: tuple[Copy, ...]
    """At least two, or one if there is `either`. They stand in the order of rule 11 (links as
    ComfyUI follows them): the first counts as the one that is needed."""
    either: tuple[Copy, ...] = ()
    """One copy of each of several different contents: each of `copies` is likely the same as one
    of them."""

    @property
    def surplus(self) -> tuple[Copy, ...]:
        """The copies that are one too many."""
        return self.copies if self.either else self.copies[1:]

    @property
    def wasted(self) -> int:
        """Bytes that the surplus copies take."""
        return self.size * len(self.surplus)

    @property
    def roots(self) -> list[str]:
        """Ids of the roots that it spans, sorted."""
        return sorted({copy.root for copy in (*self.copies, *self.either)})


class Total(NamedTuple):
    """Sets, the surplus files in them, and their bytes."""

    sets: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Report:
    """The sets that were found."""

    sets: tuple[DuplicateSet, ...]
    """Most wasted bytes first, then by path."""
    unlooked: int = 0
    """Files of a size that others have, which could not be compared with all of those: no
    fingerprint of them was taken yet, or it contradicts itself."""

    @cached_property
    def total(self) -> Total:
        """The total of all sets."""
        return _total(self.sets)

    @cached_property
    def proven(self) -> Total:
        """The total of the proven sets."""
        return _total(found for found in self.sets if found.proven)

    @cached_property
    def likely(self) -> Total:
        """The total of the sets that are only likely."""
        return _total(found for found in self.sets if not found.proven)

    @cached_property
    def over_roots(self) -> Total:
        """The total of the sets that span several roots."""
        return _total(found for found in self.sets if len(found.roots) > 1)

    @cached_property
    def unhashed(self) -> int:
        """Files whose equality is only likely as long as no content hash of them is known."""
        copies = (copy for found in self.sets if not found.proven for copy in found.copies)
        return sum(not copy.hashed for copy in copies)

    @cached_property
    def by_category(self) -> dict[str, Total]:
        """Surplus files counted where they stand; these add up to `total` but for `sets`."""
        return _totals_by(self.sets, lambda copy: copy.category)

    @cached_property
    def by_root(self) -> dict[str, Total]:
        """The same by id of the root."""
        return _totals_by(self.sets, lambda copy: copy.root)

    @cached_property
    def by_pair(self) -> dict[tuple[str, str], Total]:
        """Sets with copies in both of two roots, with files and bytes as if each stood there once.

        A set that spans three roots counts in three pairs.
        """
        totals: defaultdict[tuple[str, str], Total] = defaultdict(Total)
        for duplicate in self.sets:
            for pair in combinations(duplicate.roots, 2):
                sets, files, bytes_ = totals[pair]
                totals[pair] = Total(sets + 1, files + 1, bytes_ + duplicate.size)
        return dict(totals)


def _total(sets: Iterable[DuplicateSet]) -> Total:
    total = Total()
    for duplicate in sets:
        files = len(duplicate.surplus)
        total = Total(total.sets + 1, total.files + files, total.bytes + duplicate.wasted)
    return total


def _totals_by(sets: Iterable[DuplicateSet], place_of: Callable[[Copy], str]) -> dict[str, Total]:
    totals: defaultdict[str, Total] = defaultdict(Total)
    for duplicate in sets:
        for place, files in Counter(map(place_of, duplicate.surplus)).items():
            total = totals[place]
            totals[place] = Total(
                total.sets + 1, total.files + files, total.bytes + files * duplicate.size
            )
    return dict(totals)


# Choosing among sets

SORTS: Mapping[str, Callable[[DuplicateSet], int]] = {
    "wasted": lambda found: found.wasted,
    "count": lambda found: len(found.copies),
    "size": lambda found: found.size,
}
"""The orders of sets, largest first."""


@dataclass(frozen=True)
class Choice:
    """The wanted sets. All copies of a wanted set are reported, wherever they stand."""

    within: tuple[str, ...] = ()
    """A path of a copy must be one of these or lie below one; any will do where there are none."""
    roots: frozenset[str] = frozenset()
    """A copy must stand in a root with one of these ids; any will do where there are none."""
    categories: CategoryFilter | None = None
    """The same for its category."""
    only_proven: bool = False
    """True if likely sets are left out."""

    def takes(self, duplicate: DuplicateSet) -> bool:
        """True if `duplicate` is wanted."""
        copies = (*duplicate.copies, *duplicate.either)
        return (
            (duplicate.proven or not self.only_proven)
            and (not self.roots or any(copy.root in self.roots for copy in copies))
            and (
                self.categories is None
                or any(self.categories.selects(copy.category) for copy in copies)
            )
            and (not self.within or any(map(self._is_within, copies)))
        )

    def _is_within(self, copy: Copy) -> bool:
        return any(is_below(path, top) for path in (copy.path, *copy.links) for top in self.within)


def choice_of(
    records: Iterable[RootRecord],
    *,
    paths: Iterable[str] = (),
    roots: RootFilter | None = None,
    categories: CategoryFilter | None = None,
    only_proven: bool = False,
) -> Choice:
    """The choice of a user among sets of the roots in `records`; `paths` are absolute.

    Raises SettingsError for a place that was not scanned: that nothing is found there would be
    taken for good news.
    """
    scanned = roots_of(records)
    within = tuple(paths)
    for path in within:
        if not any(is_below(path, root.path) or is_below(root.path, path) for root in scanned):
            raise SettingsError(f"{printable(path)} lies in none of the folders that were scanned.")
    ids: frozenset[str] = frozenset()
    if roots is not None:
        shown = roots.ids(readable(root.id) for root in scanned)
        ids = frozenset(root.id for root in scanned if readable(root.id) in shown)
    return Choice(within, ids, categories, only_proven)


def chosen(report: Report, choice: Choice, sort: str = "wasted") -> Report:
    """The sets of `report` that `choice` takes, sorted by one of `SORTS`."""
    sets = sorted(filter(choice.takes, report.sets), key=SORTS[sort], reverse=True)
    return replace(report, sets=tuple(sets))
