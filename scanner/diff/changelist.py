"""Compose the lines of one scan from differences and moves, so that replay is exact (rule 7). Pure.

project(old) + lines = project(new).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from scanner.core.changes import CREATED, DELETED, MODIFIED, MOVED, Change
from scanner.core.packs import PackChange
from scanner.core.paths import join, nearest_above
from scanner.core.snapshot import (
    CONTAINERS,
    FILE,
    TYPE_NAMES,
    Directory,
    Entry,
    Snapshot,
    directories_below,
    entries_of,
)
from scanner.diff.compare import Delta
from scanner.diff.moves import INODE, Move, Moves

_ORDER = {DELETED: 0, MOVED: 1, CREATED: 2, MODIFIED: 3}


def compose(
    delta: Delta, moves: Moves, snapshot: Snapshot, root_of: Callable[[str], str]
) -> list[Change]:
    """One change for everything that differs, sorted by kind and path.

    `root_of` gives the id of the root that owns a path.
    """
    deleted = dict(delta.deleted)
    created = dict(delta.created)
    modified = {path: new for path, (_, new) in delta.modified.items()}
    for move in moves.files:
        deleted.pop(move.source.path, None)
        created.pop(move.target.path, None)
        modified.pop(move.target.path, None)
    moved_here = {move.target.path for move in moves.files}
    sources = {move.source.path: move.target.path for move in moves.directories}
    arrived = {**moves.arrived_before, **delta.created, **modified}
    ordered = sorted(delta.deleted)
    for source, target in sources.items():
        for path in _at_or_below(ordered, source):
            if path not in deleted or nearest_above(path, sources) != source:
                continue
            path_now = target + path[len(source) :]
            now = arrived.get(path_now)
            if now is None or (now.type in CONTAINERS) != (deleted[path].type in CONTAINERS):
                continue
            before = deleted.pop(path)
            created.pop(path_now, None)
            if _project(before) != _project(now) and path_now not in moved_here:
                modified[path_now] = now
    view = ChainMap(delta.directories, snapshot)
    changes = [
        *(_change(DELETED, entry, root_of) for entry in deleted.values()),
        *(_moved_directory(move, view, root_of) for move in moves.directories),
        *(
            _change(MOVED, move.target, root_of, move.source.path, move.evidence)
            for move in moves.files
        ),
        *(_change(CREATED, entry, root_of) for entry in created.values()),
        *(_change(MODIFIED, entry, root_of) for entry in modified.values()),
    ]
    return _sorted(changes)


def _sorted(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: (_ORDER[change.kind], change.path))


def annotate_packs(
    changes: list[Change],
    news: Mapping[str, PackChange],
    view: Mapping[str, Directory],
    root_of: Callable[[str], str],
) -> list[Change]:
    """`changes` with the `news` of node packs, by path (of packs that are gone, the old path).

    The news stands on the line of the pack's folder or file if there is one: on its move, if a pack
    was enabled or disabled by a new name. A pack that changed in its place gets an extra `modified`
    line, which repeats the entry's current values, so replay stays exact. A pack seen for the first
    time gets no line. `view` gives directories as they are after the scan.
    """
    if not news:
        return changes
    lines = list(changes)
    at: dict[str, int] = {}
    sources: dict[str, int] = {}
    deleted: dict[str, int] = {}
    for number, line in enumerate(lines):
        if line.kind == DELETED:
            deleted[line.path] = number
        else:
            at.setdefault(line.path, number)  # a move comes before all else
        if line.source:
            sources[line.source] = number
    for path, pack in news.items():
        index = at.get(path) if pack.after else deleted.get(path, sources.get(path))
        if index is not None and (pack.before or lines[index].kind != MODIFIED):
            lines[index] = lines[index]._replace(pack=pack)
        elif pack.before and pack.after:
            entry = _entry_at(path, view)
            lines.append(_change(MODIFIED, entry, root_of)._replace(pack=pack))
    return _sorted(lines)


def _entry_at(path: str, view: Mapping[str, Directory]) -> Entry:
    folder = os.path.dirname(path)
    return next(entry for entry in entries_of(folder, view[folder]) if entry.path == path)


def carry_fingerprints(delta: Delta, moves: Moves, snapshot: Snapshot) -> None:
    """Give moved files the fingerprints that they had at their old path."""
    by_folder: dict[str, dict[str, bytes]] = {}
    for move in moves.files:
        # A download may have grown until it was renamed, and is taken for itself all the same.
        grew = (move.source.size, move.source.mtime) != (move.target.size, move.target.mtime)
        if move.source.fingerprint and not (grew and move.evidence == INODE):
            folder, name = os.path.split(move.target.path)
            by_folder.setdefault(folder, {})[name] = move.source.fingerprint
    for move in moves.directories:
        top = move.source.path
        for path, old in directories_below(snapshot, top):
            target = move.target.path + path[len(top) :]
            new = delta.directories.get(target)
            if new is not None and old.fingerprints:
                for name, fingerprint in _carried_with_folder(old, new).items():
                    taken = moves.fingerprints.get(join(target, name), fingerprint)
                    by_folder.setdefault(target, {}).setdefault(name, taken)
    for folder, fingerprints in by_folder.items():
        if folder in delta.directories:
            delta.directories[folder] = delta.directories[folder].with_fingerprints(fingerprints)


def _carried_with_folder(old: Directory, new: Directory) -> dict[str, bytes]:
    """Fingerprints of the files that moved with their folder, by name. A file that has another
    inode on the same device is another file."""
    has_inodes = len(old.listing.inodes) and len(new.listing.inodes) and (old.device == new.device)
    before = {
        (row.name, row.size, row.mtime): (row.inode, old.fingerprint(index))
        for index, row in enumerate(old.listing.rows())
        if row.type == FILE
    }
    carried: dict[str, bytes] = {}
    for row in new.listing.rows():
        inode, fingerprint = before.get((row.name, row.size, row.mtime), (0, b""))
        if row.type == FILE and fingerprint and (not has_inodes or inode == row.inode):
            carried[row.name] = fingerprint
    return carried


def _at_or_below(ordered: Sequence[str], top: str) -> Iterator[str]:
    yield top
    prefix = top + os.sep
    index = bisect_left(ordered, prefix)
    while index < len(ordered) and ordered[index].startswith(prefix):
        yield ordered[index]
        index += 1


def _project(entry: Entry) -> tuple[str, int, int]:
    return TYPE_NAMES[entry.type], entry.size, entry.mtime


def _change(
    kind: str,
    entry: Entry,
    root_of: Callable[[str], str],
    source: str = "",
    evidence: str = "",
) -> Change:
    return Change(
        kind,
        TYPE_NAMES[entry.type],
        entry.path,
        root_of(entry.path),
        entry.size,
        entry.mtime,
        source,
        evidence,
    )


def _moved_directory(
    move: Move, view: Mapping[str, Directory], root_of: Callable[[str], str]
) -> Change:
    files = bytes_ = 0
    for _, directory in directories_below(view, move.target.path):
        files += directory.listing.types.count(FILE)
        bytes_ += sum(directory.listing.sizes)
    change = _change(MOVED, move.target, root_of, move.source.path, move.evidence)
    return change._replace(files=files, bytes=bytes_)
