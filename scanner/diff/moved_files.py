"""Find files and links that moved by themselves, by inode or by fingerprint (rule 6)."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from scanner.comfyui.downloads import final_names
from scanner.core.snapshot import FILE, Entry
from scanner.diff.move_proofs import MoveProofs, inode_key
from scanner.diff.moves import FINGERPRINT, INODE, Move
from scanner.diff.unpaired import Unpaired


def pair_files(unpaired: Unpaired, proofs: MoveProofs) -> list[Move]:
    """Files and links that moved. They are taken out of `unpaired`."""
    return _Files(unpaired, proofs).pair()


class _Files:
    def __init__(self, unpaired: Unpaired, proofs: MoveProofs) -> None:
        self._unpaired = unpaired
        self._proofs = proofs
        self._moves: list[Move] = []

    def pair(self) -> list[Move]:
        self._pair_inodes()
        self._pair_downloads()
        gone_sizes = {
            entry.size
            for pool in self._unpaired.gone
            for entry in pool.values()
            if entry.fingerprint and entry.type == FILE
        }
        now_sizes = {
            e.size for e in self._unpaired.now_gone.values() if e.fingerprint and e.type == FILE
        }
        wanted = [
            entry
            for pool, sizes in (
                (self._unpaired.now_arrived, gone_sizes),
                (self._unpaired.past_arrived, now_sizes),
            )
            for entry in pool.values()
            if entry.type == FILE and entry.size and entry.size in sizes
        ]
        self._proofs.learn([entry for entry in wanted if not entry.fingerprint])
        self._pair_groups(_known_content, self._content, FINGERPRINT)
        return self._moves

    def _pair_inodes(self) -> None:
        """Files of equal inode, size and mtime, and of equal fingerprint where the old one is
        known."""

        def of_unknown(gone: Entry) -> object:
            return None if gone.fingerprint else inode_key(gone)

        def of_known(gone: Entry) -> object:
            key = inode_key(gone)
            return (key, gone.fingerprint) if key and gone.fingerprint else None

        def with_content(there: Entry) -> object:
            key, known = inode_key(there), self._proofs.content(there)
            return (key, known) if key and known else None

        compared = {
            inode_key(gone)
            for pool in self._unpaired.gone
            for gone in pool.values()
            if gone.fingerprint
        }
        self._proofs.learn(
            [
                there
                for pool in self._unpaired.arrived
                for there in pool.values()
                if not there.fingerprint and there.type == FILE
                if (key := inode_key(there)) and key in compared
            ]
        )
        self._pair_groups(of_known, with_content, INODE)
        self._pair_groups(of_unknown, inode_key, INODE)

    def _pair_downloads(self) -> None:
        """A browser's download that grew until it was renamed: the same inode in the same folder,
        under the name that it has when it is whole, and no smaller.

        Between two scans it gets its last bytes and its name, so that no size or fingerprint can
        be compared. An inode alone would not do: file systems give freed ones away at once.
        """
        for path, gone in list(self._unpaired.now_gone.items()):
            folder, name = os.path.split(path)
            for final in final_names(name) if gone.inode and gone.type == FILE else ():
                there = self._unpaired.now_arrived.get(os.path.join(folder, final))
                if (
                    there is not None
                    and there.type == FILE
                    and (there.device, there.inode) == (gone.device, gone.inode)
                    and there.size >= max(gone.size, 1)
                    and not self._proofs.is_contradicted(gone, there)
                ):
                    self._moves.append(Move(gone, there, INODE))
                    self._unpaired.take(gone, there)
                    break

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
                (gone_key, self._unpaired.gone),
                (arrived_key, self._unpaired.arrived),
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
                    self._moves.append(Move(source, target, evidence))
                    self._unpaired.take(source, target)

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
        source_is_new = source.path in self._unpaired.now_gone
        for path, target in targets.items():
            if path != source.path and (source_is_new or path in self._unpaired.now_arrived):
                return target
        return None

    def _content(self, entry: Entry) -> object:
        """What `_known_content` is for a file that is gone, for one that arrived."""
        if entry.type != FILE or not entry.size:
            return None
        known = self._proofs.content(entry)
        replaced = self._unpaired.replaced.get(entry.path)
        if replaced is not None and replaced.size == entry.size:
            # Touched, or not known to be more than that: then the content was here before.
            was_here = not replaced.fingerprint or replaced.fingerprint == known
            known = b"" if was_here else known
        return (entry.size, known) if known else None


def _known_content(gone: Entry) -> object:
    """Size and fingerprint of a file that is gone: its own, for another file may stand at its path
    by now. Empty files never move alone."""
    if gone.type != FILE or not gone.size or not gone.fingerprint:
        return None
    return gone.size, gone.fingerprint


def _tail(path: str, depth: int) -> str:
    """The last `depth` components of `path`."""
    return os.sep.join(path.rsplit(os.sep, depth)[1:]) if depth else ""
