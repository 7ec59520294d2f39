"""Find files that took the place of others without a visible change (rule 6). Pure.

Whatever was read of the file that stood there before says nothing of them.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import compress, count
from operator import ne

from scanner.core.link_ends import LinkEnds
from scanner.core.paths import join
from scanner.core.snapshot import (
    FILE,
    FILE_LINK,
    Directory,
    Snapshot,
    directories_below,
    unequal_rows,
)
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves


def other_files(delta: Delta, moves: Moves, snapshot: Snapshot) -> frozenset[str]:
    """Files whose size and mtime are those of an earlier file, and whose content may not be.

    These are files whose inode changed in place, files that moved without the proof of a
    fingerprint, and links that lead to other files now. Call it when fingerprints have been
    carried over.
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
    found.update(_links_to_others(delta, snapshot, found))
    links = [move for move in moves.files if move.target.type == FILE_LINK]
    if links:
        before, after = LinkEnds(snapshot), LinkEnds(view)
        for move in links:
            led_to = before.end(*os.path.split(move.source.path))
            if after.end(*os.path.split(move.target.path)) != led_to:
                found.add(move.target.path)
    return frozenset(found)


def _links_to_others(delta: Delta, snapshot: Snapshot, others: AbstractSet[str]) -> set[str]:
    """Links to files, unchanged by size and mtime, that lead elsewhere now or to one of `others`.
    Their fingerprints are taken out of `delta`."""
    has_new_texts = any(
        old is not None and old.listing.targets != new.listing.targets
        for path, new in delta.directories.items()
        for old in [snapshot.get(path)]
    )
    if not has_new_texts and not others:
        return set()
    view = ChainMap(delta.directories, snapshot)
    before, after = LinkEnds(snapshot), LinkEnds(view)
    found: set[str] = set()
    for folder, old in snapshot.items():
        if FILE_LINK not in old.listing.types or (
            folder in delta.gone and folder not in delta.directories
        ):
            continue
        now = view[folder]
        rows = {row.name: row[1:4] for row in now.listing.rows()}
        names = [
            row.name
            for row in old.listing.rows()
            if row.type == FILE_LINK and rows.get(row.name) == row[1:4]
            if (end := after.end(folder, row.name)) in others or end != before.end(folder, row.name)
        ]
        if names:
            delta.directories[folder] = now.with_fingerprints(dict.fromkeys(names, b""))
            found.update(join(folder, name) for name in names)
    return found


def _replaced_in_place(old: Directory, new: Directory) -> Iterator[str]:
    before, after = old.listing, new.listing
    if not len(before.inodes) or not len(after.inodes) or before.inodes == after.inodes:
        return
    if before.names == after.names:
        # Most folders have the same names. An object for each row takes ten times as long.
        unequal, names = set(unequal_rows(before, after)), after.split_names()
        for place in compress(count(), map(ne, before.inodes, after.inodes)):
            if place not in unequal and after.types[place] == FILE:
                yield names[place]
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
