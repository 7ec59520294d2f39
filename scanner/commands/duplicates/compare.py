"""Finds files that are proven the same, and files that are likely the same.

The rule. Files are compared by size, then fingerprint, then content hash; empty files never.

- One file is one copy, under however many paths: hard links (equal device and inode), folders
  reached by several ways, links to the file. The path that design rule 11 would let own it stands
  for it, the others are its `links`.
- Equal content hashes prove equality, different ones difference, whatever else is equal. SHA-256
  has the last word where both hashes are known; of two files that share no algorithm nothing is
  said by their hashes.
- A fingerprint of a file of at most `WHOLE` bytes was taken of all of it: equal ones prove
  equality, unless a content hash contradicts. Those of larger files make it likely.
- So files of one size and fingerprint fall into contents (proven the same) and the rest. Each
  content with two copies is a proven set. The rest make one likely set: together with one copy of
  the content, if one is known; and if several different ones are, those stand in `either`, since
  each of the rest is likely a copy of one of them, and nobody knows of which.
- A file without a fingerprint is compared by its content hash alone, and without that not at all:
  it is counted as `unlooked`. So is a file whose paths were listed with different mtimes, since
  what is known of it is of two moments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from scanner.commands.duplicates.files import _Files
from scanner.commands.duplicates.sets import (
    FINGERPRINT,
    READ_WHOLE,
    Choice,
    Copy,
    DuplicateSet,
    Report,
)
from scanner.core.digests import BLAKE3, SHA256, WHOLE, XXH3
from scanner.core.memory import RootRecord
from scanner.core.snapshot import Directory

Digests = Mapping[str, bytes]

DigestsOf = Callable[[str, int, int], Digests]
"""Content hashes by algorithm of the file at a path, with a size in bytes and an mtime in
nanoseconds; empty where none is known, or only of another size or mtime."""

_STRONGEST = (SHA256, BLAKE3, XXH3)

_NO_DIGESTS: Digests = {}


def find_duplicates(
    snapshot: Mapping[str, Directory],
    roots: Sequence[RootRecord],
    digests_of: DigestsOf,
    *,
    least: int = 1,
    within: Sequence[str] = (),
    skip: Set[str] = frozenset(),
    hashed: Container[str] | None = None,
) -> Report:
    """All sets of files of at least `least` bytes with a path at or below one of `within`, if any.

    `roots` are the records of the state, inner places among them. Files in `skip` are left out.
    Pure but for `digests_of`, which is asked only about files that another may equal, and where
    `hashed` is given, only about those in a folder that it contains.
    """
    files = _Files(snapshot, roots, least, skip)
    finder = _Finder(files, digests_of, hashed)
    choice = Choice(tuple(within))
    sets: list[DuplicateSet] = []
    for size, group in files.of_equal_size():
        if within and not any(files.is_within(file, within) for file in group):
            continue
        sets += filter(choice.takes, finder.find(size, group))
    sets.sort(key=lambda found: (-found.wasted, found.copies[0].path))
    return Report(tuple(sets), finder.unlooked)


def candidates(
    snapshot: Mapping[str, Directory],
    roots: Sequence[RootRecord],
    *,
    least: int = 1,
    skip: Set[str] = frozenset(),
) -> Iterator[tuple[int, list[str]]]:
    """Files that may have a copy and of which only a content hash would tell, largest first:
    (size, one path of each).

    Different fingerprints prove a difference, and equal ones of files read whole prove equality.
    A file without one may equal any of its size.
    """
    files = _Files(snapshot, roots, least, skip)
    for size, group in files.of_equal_size():
        blind, alike = files.by_fingerprint(group)
        if blind:
            yield size, files.paths(group)
        elif size > WHOLE:
            for _, same in alike:
                if len(same) > 1:
                    yield size, files.paths(same)


@dataclass
class _Content:
    """Files that content hashes prove to be the same."""

    digests: dict[str, bytes] = field(default_factory=dict)
    files: list[int] = field(default_factory=list)

    def add(self, file: int, digests: Digests) -> None:
        self.files.append(file)
        for name, digest in digests.items():
            self.digests.setdefault(name, digest)


class _Finder:
    """Makes sets of files of one size."""

    def __init__(self, files: _Files, digests_of: DigestsOf, hashed: Container[str] | None) -> None:
        self._files = files
        self._digests_of = digests_of
        self._hashed = hashed
        self._known: dict[int, Digests] = {}
        """Content hashes of files of the present group, by file."""
        self.unlooked = 0

    def find(self, size: int, group: list[int]) -> Iterator[DuplicateSet]:
        """The sets among all files of `size` bytes."""
        self._known = {}
        blind, alike = self._files.by_fingerprint(group)
        if blind:
            alike = self._with_blind(size, blind, alike)
        for fingerprint, same in alike:
            if len(same) > 1:
                yield from self._judge(size, fingerprint, same)

    def _digests(self, size: int, file: int) -> Digests:
        cached = self._known.get(file)
        if cached is not None or not self._files.is_of_one_moment(file):
            return cached or _NO_DIGESTS
        digests: dict[str, bytes] = {}
        for row in self._files.rows(file):
            if self._hashed is None or self._files.folder(row) in self._hashed:
                path, mtime = self._files.path(row), self._files.mtime(row)
                digests = {**self._digests_of(path, size, mtime), **digests}
        if digests:  # of a million files that nobody hashed nothing is to be remembered
            self._known[file] = {name: digests[name] for name in _STRONGEST if name in digests}
        return self._known.get(file, _NO_DIGESTS)

    def _with_blind(
        self, size: int, blind: Sequence[int], alike: Iterator[tuple[bytes, list[int]]]
    ) -> Iterator[tuple[bytes, list[int]]]:
        """`alike` with the files without a fingerprint put where their content hashes say, and
        those that fit nowhere under an empty one."""
        hashed = [file for file in blind if self._digests(size, file)]
        self.unlooked += len(blind) - len(hashed)
        if not hashed:
            return alike
        joined = dict(alike)
        fingerprints: defaultdict[tuple[str, bytes], set[bytes]] = defaultdict(set)
        common = set(_STRONGEST)
        for fingerprint, same in joined.items():
            for file in same:
                digests = self._digests(size, file)
                common &= digests.keys()
                for item in digests.items():
                    fingerprints[item].add(fingerprint)
        joined[b""] = []
        for file in hashed:
            digests = self._digests(size, file)
            common &= digests.keys()
            fitting = set().union(*(fingerprints[item] for item in digests.items()))
            joined[fitting.pop() if len(fitting) == 1 else b""].append(file)
        if not common:  # some two of them say nothing of each other
            self.unlooked += len(joined[b""])
        return iter(joined.items())

    def _judge(self, size: int, fingerprint: bytes, same: Sequence[int]) -> Iterator[DuplicateSet]:
        """The sets among files of one size and fingerprint, which is empty for those that have
        none and are known by their content hashes alone."""
        contents, rest = self._contents(size, same)
        # Contents differ where they have an algorithm in common, else they would be one.
        known = {name: [c for c in contents if name in c.digests] for name in _STRONGEST}
        different = max(known.values(), key=len)
        if fingerprint and size <= WHOLE and len(different) < 2 and (rest or len(contents) > 1):
            copies = self._copies(size, same)
            yield DuplicateSet(size, True, READ_WHOLE, fingerprint.hex(), copies)
            return
        for content in contents:
            if len(content.files) > 1:
                yield self._proven(size, content)
        if not fingerprint:
            return
        either = [self._first(content) for content in different]
        rest += [self._first(c) for c in contents if not any(c is other for other in different)]
        if not rest:
            return
        if len(either) < 2:
            rest, either = rest + either, []
        if either or len(rest) > 1:
            copies, others = self._copies(size, rest), self._copies(size, either)
            yield DuplicateSet(size, False, FINGERPRINT, fingerprint.hex(), copies, others)

    def _contents(self, size: int, same: Sequence[int]) -> tuple[list[_Content], list[int]]:
        """The contents that content hashes prove, and the files of which they prove nothing."""
        contents: list[_Content] = []
        rest = list(same)
        for algorithm in _STRONGEST:
            known: defaultdict[bytes, list[_Content]] = defaultdict(list)
            for content in contents:
                if algorithm in content.digests:
                    known[content.digests[algorithm]].append(content)
            waiting, rest = rest, []
            for file in waiting:
                digests = self._digests(size, file)
                if algorithm not in digests:
                    rest.append(file)
                    continue
                twins = known[digests[algorithm]]
                if not twins:
                    twins.append(_Content())
                    contents.append(twins[0])
                if len(twins) == 1:
                    twins[0].add(file, digests)
                else:
                    rest.append(file)  # xxh3 is not safe from collisions made on purpose
        return contents, rest

    def _proven(self, size: int, content: _Content) -> DuplicateSet:
        """`content` as a set, with the strongest hash that all of its files have."""
        common = [
            name
            for name in _STRONGEST
            if all(name in self._digests(size, file) for file in content.files)
        ]
        # Where none is, a weaker one joined those that have it to those that have both.
        joined = (name for name in reversed(_STRONGEST) if name in content.digests)
        evidence = common[0] if common else next(joined)
        copies = self._copies(size, content.files)
        return DuplicateSet(size, True, evidence, content.digests[evidence].hex(), copies)

    def _first(self, content: _Content) -> int:
        return min(content.files, key=self._files.rank)

    def _copies(self, size: int, files: Iterable[int]) -> tuple[Copy, ...]:
        ordered = sorted(files, key=self._files.rank)
        return tuple(self._files.copy(file, bool(self._digests(size, file))) for file in ordered)
