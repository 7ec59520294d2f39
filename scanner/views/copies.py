"""Files of the same content, by the hashes and fingerprints that an inventory has.

A report must do without the state, which stays on the machine that scans. `comfy-inventory
duplicates` reads that and looks more closely.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scanner.core.digests import WHOLE
from scanner.core.serialize import printable


class Same(NamedTuple):
    """Files with the same content, proven or likely."""

    size: int
    """Bytes of each."""
    proven: bool
    paths: tuple[str, ...]

    @property
    def wasted(self) -> int:
        """Bytes that all but one of them take."""
        return self.size * (len(self.paths) - 1)


class _File(NamedTuple):
    path: str
    size: int
    hash: str
    """SHA-256, xxh3_128 or BLAKE3 of all of it, with the name of the algorithm; may be empty."""


class Copies:
    """Groups files as they come."""

    def __init__(self) -> None:
        self._groups: defaultdict[str, list[_File]] = defaultdict(list)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take a file. Files that are empty or still change are left out."""
        if not entry["size"] or entry.get("status") == "unsettled":
            return
        hashes = [f"{name}:{entry[name]}" for name in ("sha256", "hash", "blake3") if name in entry]
        key = entry.get("fingerprint") or (hashes[0] if hashes else "")
        if key:
            file = _File(printable(entry["path"]), entry["size"], hashes[0] if hashes else "")
            self._groups[key].append(file)

    def sets(self) -> list[Same]:
        """The sets, most wasted bytes first."""
        found = [
            same for group in self._groups.values() if len(group) > 1 for same in _sets_in(group)
        ]
        return sorted(found, key=lambda same: (-same.wasted, same.paths))


def _sets_in(group: Sequence[_File]) -> Iterator[Same]:
    """The sets among files of one fingerprint. Equal hashes prove equality, and different ones of
    one algorithm difference; a file without a hash is likely the same as the others."""
    size = group[0].size
    contents: defaultdict[str, list[str]] = defaultdict(list)
    for file in group:
        contents[file.hash].append(file.path)
    rest = contents.pop("", [])
    by_algorithm: defaultdict[str, int] = defaultdict(int)
    for hash_ in contents:
        by_algorithm[hash_.partition(":")[0]] += 1
    differ = max(by_algorithm.values(), default=0) > 1
    if size <= WHOLE and not differ:  # the fingerprint was taken of all of it
        yield Same(size, True, tuple(file.path for file in group))
        return
    for paths in contents.values():
        if len(paths) > 1:
            yield Same(size, True, tuple(paths))
    if not differ:  # one of each content that is likely the same stands for all of it
        rest += [paths[0] for paths in contents.values()]
    if len(rest) > 1:
        yield Same(size, False, tuple(sorted(rest)))
