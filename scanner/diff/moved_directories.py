"""Find directories that moved: at least half of the files in them stand in another one (rule 6)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

from scanner.core.paths import nearest_above
from scanner.core.snapshot import CONTAINERS, FILE, Entry
from scanner.diff.move_proofs import MoveProofs
from scanner.diff.moves import FINGERPRINT, INODE, Move
from scanner.diff.unpaired import Unpaired

PROOFS = 64
"""A moved directory with more files than this is proven by this many, spread over it (rule 6)."""


def pair_directories(unpaired: Unpaired, proofs: MoveProofs) -> list[Move]:
    """Directories that moved. Files that moved with them are taken out of `unpaired`."""
    return _Directories(unpaired, proofs).pair()


class _Directories:
    def __init__(self, unpaired: Unpaired, proofs: MoveProofs) -> None:
        self._unpaired = unpaired
        self._proofs = proofs
        self._arrived = {**unpaired.past_arrived, **unpaired.now_arrived}
        self._new = {p for p, e in self._arrived.items() if e.type in CONTAINERS}

    def pair(self) -> list[Move]:
        if not self._new:
            return []
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path, entry in self._arrived.items():
            if entry.type == FILE and entry.size:
                self._by_name[os.path.basename(path)].append(path)
        moves: list[Move] = []
        used: set[str] = set()
        moved: dict[str, str] = {}
        for source in self._unpaired.deleted_directories():
            if self._moved_with_parent(source.path, moved):
                continue
            found = self._target_of(source, used)
            if found is not None:
                moves.append(found)
                used.add(found.target.path)
                moved[source.path] = found.target.path
        for source_path, target_path in moved.items():
            self._settle_below(source_path, target_path, moved)
        return moves

    def _moved_with_parent(self, path: str, moved: Mapping[str, str]) -> bool:
        """True if a directory went where the nearest moved directory above it would put it."""
        above = nearest_above(path, moved)
        return above is not None and moved[above] + path[len(above) :] in self._new

    def _target_of(self, source: Entry, used: set[str]) -> Move | None:
        files = [e for e in self._unpaired.deleted_below(source.path) if e.type == FILE and e.size]
        if not files:
            return None
        votes: dict[str, int] = defaultdict(int)
        for probe in _spread(files, PROOFS):
            tail = probe.path[len(source.path) :]
            for path in self._by_name.get(os.path.basename(probe.path), ()):
                if self._arrived[path].size == probe.size and path.endswith(tail):
                    votes[path[: -len(tail)]] += 1
        candidates = [p for p in votes if p in self._new and p not in used]
        candidates.sort(
            key=lambda path: (
                -votes[path],
                os.path.basename(path) != os.path.basename(source.path),
                -_common_tail(path, source.path),
                path,
            )
        )
        for candidate in candidates:
            evidence = self._proof(source.path, files, candidate)
            if evidence:
                return Move(source, self._arrived[candidate], evidence)
        return None

    def _proof(self, source: str, files: Sequence[Entry], target: str) -> str:
        """Evidence that at least half of `files` stand below `target`; empty without it."""
        standing = []
        for file in files:
            there = self._arrived.get(target + file.path[len(source) :])
            if there is not None and there.type == FILE and there.size == file.size:
                standing.append((file, there))
        if 2 * len(standing) < len(files):
            return ""
        sample = list(_spread(standing, PROOFS))
        self._proofs.learn(
            [there for gone, there in sample if gone.fingerprint and not there.fingerprint]
        )
        proofs = [self._proofs.evidence(gone, there) for gone, there in sample]
        proven = sum(1 for proof in proofs if proof)
        if not proven or 2 * proven * len(standing) < len(files) * len(sample):
            return ""
        return INODE if all(proof != FINGERPRINT for proof in proofs) else FINGERPRINT

    def _settle_below(self, source: str, target: str, moved: Mapping[str, str]) -> None:
        """Take files that moved with their directory out of the search for single files."""
        for gone in self._unpaired.deleted_below(source):
            if nearest_above(gone.path, moved) != source:
                continue
            path = target + gone.path[len(source) :]
            there = self._arrived.get(path)
            if there is None or there.type != gone.type:
                continue
            known = self._proofs.content(there)
            same = (gone.size, gone.mtime) == (there.size, there.mtime)
            if gone.fingerprint and known:
                same = gone.fingerprint == known
            if same:
                self._unpaired.take(gone, there)


_Item = TypeVar("_Item")


def _spread(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """At most `most` of `items`, at equal distances."""
    if len(items) <= most:
        return items
    return [items[index * (len(items) - 1) // (most - 1)] for index in range(most)]


def _common_tail(path: str, other: str) -> int:
    """How many components at the end are equal."""
    count = 0
    for one, two in zip(reversed(path.split(os.sep)), reversed(other.split(os.sep)), strict=False):
        if one != two:
            break
        count += 1
    return count
