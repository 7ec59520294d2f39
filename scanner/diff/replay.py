"""Apply a list of changes to an old projection (rule 7). Pure."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from scanner.core.changes import CREATED, DELETED, MODIFIED, MOVED
from scanner.core.paths import nearest_above
from scanner.core.serialize import mtime_of, native
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    OTHER,
    Directory,
    Listing,
    Row,
    Snapshot,
    carried_fingerprints,
    listing_of,
    project,
)

Projection = dict[str, tuple[str, int, int]]
"""As `snapshot.project` gives it: absolute path -> (type, size in bytes, mtime in nanoseconds)."""


def replay(
    projection: Mapping[str, tuple[str, int, int]],
    lines: Iterable[Mapping[str, Any]],
    base: str | None,
) -> Projection:
    """`projection` after the changes in `lines`, those of one scan standing together.

    Within a scan: first `deleted` paths and the `from` of moved files go (already gone is fine);
    then all directory moves are applied at once, each remaining path taking the longest matching
    `from`, once; then `created`, `modified` and the `path` of moved files are added or replaced.

    A `baseline` stands for changes that have no lines (design rule 9), and is passed over, as are
    kinds that are not known. ValueError or KeyError where a line is damaged.
    """
    result = dict(projection)
    for _, scan in groupby(lines, key=lambda line: line["scan"]):
        result = _replay_scan(result, list(scan), base)
    return result


def _replay_scan(
    before: Projection, lines: Iterable[Mapping[str, Any]], base: str | None
) -> Projection:
    after = before
    sources: dict[str, str] = {}
    added: Projection = {}
    for line in lines:
        kind = line["kind"]
        if kind == DELETED:
            after.pop(native(line, base), None)
        elif kind == MOVED and moves_a_tree(line):
            sources[native(line, base, "from")] = native(line, base)
        elif kind == MOVED:
            after.pop(native(line, base, "from"), None)
        if kind in (CREATED, MODIFIED) or (kind == MOVED and not moves_a_tree(line)):
            added[native(line, base)] = (line["type"], line.get("size", 0), mtime_of(line))
    if sources:
        after = _move_directories(after, sources)
    after.update(added)
    return after


def moves_a_tree(line: Mapping[str, Any]) -> bool:
    """True if a `moved` line stands for everything below its path.

    The line of a directory does, and that of a link to one: unlike other links it has `files`.
    """
    return line["type"] == "directory" or "files" in line


def _move_directories(before: Projection, sources: Mapping[str, str]) -> Projection:
    """Every path under the longest of `sources` at or above it moves with that one, at once."""
    above: dict[str, str | None] = {}
    kept: Projection = {}
    moved: Projection = {}
    for path, value in before.items():
        folder = os.path.dirname(path)
        if folder not in above:
            above[folder] = nearest_above(folder, sources)
        source = path if path in sources else above[folder]
        if source is None:
            kept[path] = value
        else:
            moved[sources[source] + path[len(source) :]] = value
    return kept | moved


def replayed_snapshot(
    snapshot: Mapping[str, Directory],
    tops: Collection[str],
    lines: Iterable[Mapping[str, Any]],
    base: str | None,
) -> Snapshot:
    """`snapshot` below `tops` after the changes in `lines`.

    What a projection does not tell is taken from `snapshot` where a path has it: whether a link
    leads to a folder, targets, fingerprints. Raises as `replay` does.
    """
    projection = replay(project(snapshot, tops), lines, base)
    rows: dict[str, list[Row]] = {top: [] for top in tops}
    for path in projection:
        rows.setdefault(os.path.dirname(path), [])
    for path, (word, size, mtime) in projection.items():
        folder, name = os.path.split(path)
        letter = _letter(word, size, has_listing=path in rows or path in snapshot)
        rows[folder].append(Row(name, letter, size, mtime, 0))
        if letter == DIRECTORY:
            rows.setdefault(path, [])
    result: Snapshot = {}
    for path, entries in rows.items():
        old = snapshot.get(path, Directory(Listing()))
        names = {row.name for row in entries}
        targets = [pair for pair in old.listing.targets if pair[0] in names]
        new = replace(old, listing=listing_of(entries, targets=targets))
        result[path] = replace(new, fingerprints=carried_fingerprints(old, new))
    return result


def _letter(word: str, size: int, *, has_listing: bool) -> str:
    if word == "symlink":
        return DIRECTORY_LINK if has_listing else FILE_LINK if size else BROKEN_LINK
    return {"file": FILE, "directory": DIRECTORY}.get(word, OTHER)
