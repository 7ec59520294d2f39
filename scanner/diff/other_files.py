"""Find files that took the place of others without a visible change (rule 6). Pure.

Whatever was read of the file that stood there before says nothing of them.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator

from scanner.core.paths import join
from scanner.core.snapshot import FILE, Directory, Snapshot, directories_below
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves


def other_files(delta: Delta, moves: Moves, snapshot: Snapshot) -> frozenset[str]:
    """Files whose size and mtime are those of an earlier file, and whose content may not be.

    These are files whose inode changed in place, and files that moved without the proof of a
    fingerprint. Call it when fingerprints have been carried over.
    """
    found: set[str] = set()
    for path, new in delta.directories.items():
        old = snapshot.get(path)
        if old is not None and old.listing is not new.listing:
            found.update(join(path, name) for name in _replaced_in_place(old, new))
    found.update(
        move.target.path
        for move in moves.files
        if move.target.type == FILE and not move.source.fingerprint
    )
    view = ChainMap(delta.directories, snapshot)
    for move in moves.directories:
        top = move.source.path
        for path, old in directories_below(snapshot, top):
            target = move.target.path + path[len(top) :]
            now = view.get(target)
            if now is not None:
                found.update(join(target, name) for name in _unproven(old, now))
    return frozenset(found)


def _replaced_in_place(old: Directory, new: Directory) -> Iterator[str]:
    before, after = old.listing, new.listing
    if not len(before.inodes) or not len(after.inodes) or before.inodes == after.inodes:
        return
    known = {row.name: row for row in before.rows() if row.type == FILE}
    for row in after.rows():
        last = known.get(row.name)
        if last is not None and last.inode != row.inode and last._replace(inode=row.inode) == row:
            yield row.name


def _unproven(old: Directory, now: Directory) -> Iterator[str]:
    known = {
        (row.name, row.type, row.size, row.mtime): old.fingerprint(index)
        for index, row in enumerate(old.listing.rows())
        if row.type == FILE
    }
    for index, row in enumerate(now.listing.rows()):
        last = known.get((row.name, row.type, row.size, row.mtime))
        if last is not None and (not last or now.fingerprint(index) != last):
            yield row.name
