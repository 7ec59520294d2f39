"""Find deletions and creations that are one file or directory that moved. Pure, with one question.

Rule 6 (a move is the same content, proven): equal size and fingerprint prove it. Equal inode, size
and mtime prove it only if inodes are stable and no fingerprint of the old file is known: file
systems use freed inodes again. Only a download may have grown on the way. A function is asked for
fingerprints that are not known yet, only those of files whose size equals that of a file that is
gone.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from scanner.comfyui.downloads import final_names
from scanner.core.paths import nearest_above
from scanner.core.snapshot import BROKEN_LINK, CONTAINERS, FILE, FILE_LINK, Entry
from scanner.diff.compare import Delta

INODE = "inode"

FINGERPRINT = "fingerprint"

PROOFS = 64
"""A moved directory with more files than this is proven by this many, spread over it (rule 6)."""

AskFingerprints = Callable[[Sequence[Entry]], Mapping[str, bytes]]
"""Fingerprints of the files asked for, by path; those that could not be taken are left out."""


class Move(NamedTuple):
    """`source` is what is gone; `target` what arrived."""

    source: Entry
    target: Entry
    evidence: str


@dataclass
class Moves:
    """Everything that moved. A file that moved with its directory is in neither list."""

    files: list[Move] = field(default_factory=list)
    directories: list[Move] = field(default_factory=list)
    arrived_before: dict[str, Entry] = field(default_factory=dict)
    """Entries that earlier scans reported as created, as they are now, by path."""
    fingerprints: dict[str, bytes] = field(default_factory=dict)
    """Fingerprints that were taken for the proof, by path of the file that arrived."""


@dataclass(frozen=True)
class Window:
    """Entries that earlier scans of the last `move_window` reported, still without a partner."""

    gone: Mapping[str, Entry] = field(default_factory=dict)
    arrived: Mapping[str, Entry] = field(default_factory=dict)
    """Files and directories, as they are now."""


def find_moves(delta: Delta, window: Window, ask: AskFingerprints) -> Moves:
    """Pair entries that are gone with entries that arrived, one to one, directories first."""
    return _Pairing(delta, window, ask).run()


class _Pairing:
    def __init__(self, delta: Delta, window: Window, ask: AskFingerprints) -> None:
        self._delta = delta
        self._ask = ask
        self._now_gone = {p: e for p, e in delta.deleted.items() if e.type not in CONTAINERS}
        self._gone_paths = sorted(delta.deleted)
        self._past_gone = {
            path: entry for path, entry in window.gone.items() if path not in delta.deleted
        }
        replaced = {path: new for path, (_, new) in delta.modified.items()}
        self._now_arrived = {**delta.created, **replaced}
        self._replaced = {path: old for path, (old, _) in delta.modified.items()}
        self._past_arrived = {
            path: entry
            for path, entry in window.arrived.items()
            if path not in self._now_arrived and path not in delta.deleted
        }
        self._moves = Moves(arrived_before=dict(self._past_arrived))
        self._fingerprints = self._moves.fingerprints

    def run(self) -> Moves:
        if self._now_gone:
            self._pair_directories()
        if self._now_gone or (self._past_gone and self._now_arrived):
            self._pair_files()
        return self._moves

    # Directories

    def _pair_directories(self) -> None:
        arrived = {**self._past_arrived, **self._now_arrived}
        self._new_directories = {p for p, e in arrived.items() if e.type in CONTAINERS}
        if not self._new_directories:
            return
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path, entry in arrived.items():
            if entry.type == FILE and entry.size:
                self._by_name[os.path.basename(path)].append(path)
        used: set[str] = set()
        moved: dict[str, str] = {}
        for top in self._gone_paths:
            source = self._delta.deleted[top]
            if source.type not in CONTAINERS or self._moved_with_parent(top, moved):
                continue
            found = self._target_of(source, arrived, used)
            if found is not None:
                self._moves.directories.append(found)
                used.add(found.target.path)
                moved[top] = found.target.path
        for source_path, target_path in moved.items():
            self._settle_below(source_path, target_path, moved, arrived)

    def _moved_with_parent(self, path: str, moved: Mapping[str, str]) -> bool:
        """True if a directory went where the nearest moved directory above it would put it."""
        above = nearest_above(path, moved)
        return above is not None and moved[above] + path[len(above) :] in self._new_directories

    def _target_of(
        self, source: Entry, arrived: Mapping[str, Entry], used: set[str]
    ) -> Move | None:
        files = [e for e in self._gone_below(source.path) if e.type == FILE and e.size]
        if not files:
            return None
        votes: dict[str, int] = defaultdict(int)
        for probe in _spread(files, PROOFS):
            tail = probe.path[len(source.path) :]
            for path in self._by_name.get(os.path.basename(probe.path), ()):
                if arrived[path].size == probe.size and path.endswith(tail):
                    votes[path[: -len(tail)]] += 1
        candidates = [p for p in votes if p in self._new_directories and p not in used]
        candidates.sort(
            key=lambda path: (
                -votes[path],
                os.path.basename(path) != os.path.basename(source.path),
                -_common_tail(path, source.path),
                path,
            )
        )
        for candidate in candidates:
            evidence = self._proof(source.path, files, candidate, arrived)
            if evidence:
                return Move(source, arrived[candidate], evidence)
        return None

    def _proof(
        self, source: str, files: Sequence[Entry], target: str, arrived: Mapping[str, Entry]
    ) -> str:
        """Evidence that at least half of `files` stand below `target`; empty without it."""
        standing = []
        for file in files:
            there = arrived.get(target + file.path[len(source) :])
            if there is not None and there.type == FILE and there.size == file.size:
                standing.append((file, there))
        if 2 * len(standing) < len(files):
            return ""
        sample = list(_spread(standing, PROOFS))
        self._learn([there for gone, there in sample if gone.fingerprint and not there.fingerprint])
        proofs = [self._evidence(gone, there) for gone, there in sample]
        proven = sum(1 for proof in proofs if proof)
        if not proven or 2 * proven * len(standing) < len(files) * len(sample):
            return ""
        return INODE if all(proof != FINGERPRINT for proof in proofs) else FINGERPRINT

    def _settle_below(
        self, source: str, target: str, moved: Mapping[str, str], arrived: Mapping[str, Entry]
    ) -> None:
        """Take files that moved with their directory out of the search for single files."""
        for gone in self._gone_below(source):
            if nearest_above(gone.path, moved) != source:
                continue
            path = target + gone.path[len(source) :]
            there = arrived.get(path)
            if there is None or there.type != gone.type:
                continue
            known = self._content(there)
            same = (gone.size, gone.mtime) == (there.size, there.mtime)
            if gone.fingerprint and known:
                same = gone.fingerprint == known
            if same:
                self._now_gone.pop(gone.path, None)
                self._now_arrived.pop(path, None)
                self._past_arrived.pop(path, None)

    def _gone_below(self, top: str) -> Iterator[Entry]:
        prefix = top + os.sep
        index = bisect_left(self._gone_paths, prefix)
        while index < len(self._gone_paths) and self._gone_paths[index].startswith(prefix):
            yield self._delta.deleted[self._gone_paths[index]]
            index += 1

    # Files

    def _pair_files(self) -> None:
        self._pair_inodes()
        self._pair_downloads()
        gone_sizes = {
            entry.size
            for pool in (self._now_gone, self._past_gone)
            for entry in pool.values()
            if entry.fingerprint and entry.type == FILE
        }
        now_sizes = {e.size for e in self._now_gone.values() if e.fingerprint and e.type == FILE}
        wanted = [
            entry
            for pool, sizes in ((self._now_arrived, gone_sizes), (self._past_arrived, now_sizes))
            for entry in pool.values()
            if entry.type == FILE and entry.size and entry.size in sizes
        ]
        self._learn([entry for entry in wanted if not entry.fingerprint])
        self._pair_groups(self._fingerprint_key, self._fingerprint_key, FINGERPRINT)

    def _pair_inodes(self) -> None:
        """Files of equal inode, size and mtime, and of equal fingerprint where the old one is
        known."""

        def of_unknown(gone: Entry) -> object:
            return None if gone.fingerprint else _inode_key(gone)

        def with_content(entry: Entry) -> object:
            key, known = _inode_key(entry), self._content(entry)
            return (key, known) if key and known else None

        compared = {
            _inode_key(gone)
            for pool in (self._now_gone, self._past_gone)
            for gone in pool.values()
            if gone.fingerprint
        }
        self._learn(
            [
                there
                for pool in (self._now_arrived, self._past_arrived)
                for there in pool.values()
                if not there.fingerprint and there.type == FILE
                if (key := _inode_key(there)) and key in compared
            ]
        )
        self._pair_groups(with_content, with_content, INODE)
        self._pair_groups(of_unknown, _inode_key, INODE)

    def _pair_downloads(self) -> None:
        """A browser's download that grew until it was renamed: the same inode in the same folder,
        under the name that it has when it is whole, and no smaller.

        Between two scans it gets its last bytes and its name, so that no size or fingerprint can
        be compared. An inode alone would not do: file systems give freed ones away at once.
        """
        for path, gone in list(self._now_gone.items()):
            folder, name = os.path.split(path)
            for final in final_names(name) if gone.inode and gone.type == FILE else ():
                there = self._now_arrived.get(os.path.join(folder, final))
                if (
                    there is not None
                    and there.type == FILE
                    and (there.device, there.inode) == (gone.device, gone.inode)
                    and there.size >= max(gone.size, 1)
                    and not self._is_contradicted(gone, there)
                ):
                    self._moves.files.append(Move(gone, there, INODE))
                    del self._now_gone[path], self._now_arrived[there.path]
                    break

    def _is_contradicted(self, gone: Entry, there: Entry) -> bool:
        """True if two files of equal size and mtime have different fingerprints."""
        if (gone.size, gone.mtime) != (there.size, there.mtime) or not gone.fingerprint:
            return False
        return self._content(there) != gone.fingerprint

    def _pair_groups(
        self,
        gone_key: Callable[[Entry], object],
        arrived_key: Callable[[Entry], object],
        evidence: str,
    ) -> None:
        """Pair files whose keys are equal; one whose key is None is left out."""
        groups: dict[object, tuple[list[Entry], list[Entry]]] = {}
        for side, (key_of, pools) in enumerate(
            (
                (gone_key, (self._now_gone, self._past_gone)),
                (arrived_key, (self._now_arrived, self._past_arrived)),
            )
        ):
            for pool in pools:
                for entry in pool.values():
                    key = key_of(entry)
                    if key is not None:
                        groups.setdefault(key, ([], []))[side].append(entry)
        for gone, arrived in groups.values():
            if gone and arrived:
                for source, target in self._pair_alike(gone, arrived):
                    self._moves.files.append(Move(source, target, evidence))
                    for pool in (self._now_gone, self._past_gone):
                        pool.pop(source.path, None)
                    for pool in (self._now_arrived, self._past_arrived):
                        pool.pop(target.path, None)

    def _pair_alike(self, gone: list[Entry], arrived: list[Entry]) -> Iterator[tuple[Entry, Entry]]:
        """One-to-one pairs among files of equal content.

        Longest common path tail first (so the same name before all others), then sorted order.
        A pair that both stand in the journal already has no line left to be written in.
        """
        sources = {entry.path: entry for entry in sorted(gone)}
        targets = {entry.path: entry for entry in sorted(arrived)}
        deepest = max(path.count(os.sep) for path in sources)
        for depth in range(deepest, -1, -1):
            by_tail: dict[str, dict[str, Entry]] = defaultdict(dict)
            for path, entry in targets.items():
                by_tail[_tail(path, depth)][path] = entry
            for source in list(sources.values()):
                alike = by_tail.get(_tail(source.path, depth), {})
                target = self._first_new_pair(source, alike)
                if target is not None:
                    yield source, target
                    del sources[source.path], targets[target.path], alike[target.path]
            if not sources or not targets:
                return

    def _first_new_pair(self, source: Entry, targets: Mapping[str, Entry]) -> Entry | None:
        source_is_new = source.path in self._now_gone
        for path, target in targets.items():
            if path != source.path and (source_is_new or path in self._now_arrived):
                return target
        return None

    # Evidence

    def _learn(self, entries: Sequence[Entry]) -> None:
        unknown = [entry for entry in entries if entry.path not in self._fingerprints]
        if unknown:
            self._fingerprints.update(self._ask(unknown))

    def _content(self, entry: Entry) -> bytes:
        """The fingerprint of an entry; empty if it is not known."""
        return self._fingerprints.get(entry.path) or entry.fingerprint

    def _evidence(self, gone: Entry, there: Entry) -> str:
        if gone.fingerprint and self._content(there) != gone.fingerprint:
            return ""
        if _same_inode(gone, there):
            return INODE
        return FINGERPRINT if gone.fingerprint else ""

    def _fingerprint_key(self, entry: Entry) -> object:
        """Fingerprints cover the size; empty files never move alone."""
        if entry.type != FILE or not entry.size:
            return None
        known = self._content(entry)
        replaced = self._replaced.get(entry.path)
        if replaced is not None and replaced.size == entry.size:
            # Touched, or not known to be more than that: then the content was here before.
            was_here = not replaced.fingerprint or replaced.fingerprint == known
            known = b"" if was_here else known
        return (entry.size, known) if known else None


def _inode_key(entry: Entry) -> object:
    if not entry.inode or entry.type in CONTAINERS:
        return None
    if entry.type == FILE and not entry.size:
        return None
    if entry.type not in (FILE, FILE_LINK, BROKEN_LINK):
        return None
    return entry.type, entry.device, entry.inode, entry.size, entry.mtime


def _same_inode(gone: Entry, there: Entry) -> bool:
    return bool(gone.inode) and (gone.device, gone.inode, gone.size, gone.mtime) == (
        there.device,
        there.inode,
        there.size,
        there.mtime,
    )


_Item = TypeVar("_Item")


def _spread(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """At most `most` of `items`, at equal distances."""
    if len(items) <= most:
        return items
    return [items[index * (len(items) - 1) // (most - 1)] for index in range(most)]


def _tail(path: str, depth: int) -> str:
    """The last `depth` components of `path`."""
    return os.sep.join(path.rsplit(os.sep, depth)[1:]) if depth else ""


def _common_tail(path: str, other: str) -> int:
    """How many components at the end are equal."""
    count = 0
    for one, two in zip(reversed(path.split(os.sep)), reversed(other.split(os.sep)), strict=False):
        if one != two:
            break
        count += 1
    return count
