"""What a list of changes makes of what was there before (design rule 7). Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from scanner.changes import CREATED, DELETED, MODIFIED, MOVED
from scanner.moves import longest_source
from scanner.portable import mtime_of, native

Projection = dict[str, tuple[str, int, int]]
"""What `snapshot.project` gives: absolute path -> (type, size in bytes, mtime in nanoseconds)."""


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
    """Whether a `moved` line stands for everything below its path.

    So does that of a directory, and of a link to one, which is told from other links by `files`.
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
            above[folder] = longest_source(folder, sources)
        source = path if path in sources else above[folder]
        if source is None:
            kept[path] = value
        else:
            moved[sources[source] + path[len(source) :]] = value
    return kept | moved
