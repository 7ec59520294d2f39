"""Changes in words, for the log. Many changes in one folder become one line."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from scanner.core.changes import BASELINE, CREATED, DELETED, MODIFIED, MOVED, Change
from scanner.core.packs import SHORT, Pack, PackChange
from scanner.core.serialize import printable, shown
from scanner.core.wording import count_text, size_text

CROWD = 10
"""Number of changes of one kind in one folder from which one line stands for all of them."""

_VERBS = {CREATED: "created", DELETED: "deleted", MODIFIED: "modified", MOVED: "moved"}

_REASONS = {"added": "first scan", "removed": "no longer scanned"}


def _path(path: str, base: str | None) -> str:
    return printable(shown(path, base))


def change_lines(changes: Sequence[Change], base: str | None) -> list[str]:
    """Describe changes in lines: node packs first, then one line for each change, or for many
    changes in one folder."""
    lines = [pack_line(change.pack) for change in changes if change.pack is not None]
    groups = folded([change for change in changes if not is_of_pack_alone(change)])
    return lines + [group_line(group, base) for group in groups]


def group_line(group: Sequence[Change], base: str | None) -> str:
    """Describe one change, or the changes that `folded` has put together."""
    return _line(group[0], base) if len(group) == 1 else _summary(group, base)


def is_of_pack_alone(change: Change) -> bool:
    """True if the change only reports a change of a pack."""
    return change.pack is not None and change.kind == MODIFIED and change.type != "file"


def pack_line(change: PackChange) -> str:
    """Describe the change of a node pack: `pack ComfyUI-Foo updated: 1.2.0 -> 1.3.0`."""
    before, after = change
    parts = []
    if after is None:
        parts.append("removed")
    elif before is None:
        release = after.version or after.commit[:SHORT]
        parts.append(f"added: {release}" if release else "added")
        if not after.enabled:
            parts.append("disabled")
    else:
        if before.id != after.id:
            parts.append(f"was {before.id}")
        if before.enabled != after.enabled:
            parts.append("enabled" if after.enabled else "disabled")
        if (before.version, before.commit) != (after.version, after.commit):
            parts.append(f"updated: {_update(before, after)}")
    shown = after or before
    assert shown is not None
    return printable(f"pack {shown.name} {', '.join(parts)}")


def _update(before: Pack, after: Pack) -> str:
    if before.version != after.version:
        return f"{before.version or 'unknown'} -> {after.version or 'unknown'}"
    return f"{before.commit[:SHORT] or 'unknown'} -> {after.commit[:SHORT] or 'unknown'}"


def folded(changes: Sequence[Change]) -> list[list[Change]]:
    """Group the changes that become one line: entries created or deleted with their folder, and
    `CROWD` or more changes of one kind in one folder."""
    tops: dict[tuple[str, str], list[Change]] = {}
    crowds: dict[tuple[str, str], list[Change]] = defaultdict(list)
    groups: list[list[Change]] = []
    for change in changes:
        if change.kind in (BASELINE, MOVED) and change.type == "directory":
            groups.append([change])
            continue
        above = _top_above(change, tops)
        if above is not None:
            tops[above].append(change)
        elif change.kind in (CREATED, DELETED) and change.type == "directory":
            tops[change.kind, change.path] = [change]
        else:
            crowds[change.kind, os.path.dirname(change.path)].append(change)
    groups.extend(tops.values())
    for crowd in crowds.values():
        groups.extend([crowd] if len(crowd) >= CROWD else [[change] for change in crowd])
    return groups


def _top_above(change: Change, tops: dict[tuple[str, str], list[Change]]) -> tuple[str, str] | None:
    path = change.path
    while (parent := os.path.dirname(path)) != path:
        if (change.kind, parent) in tops:
            return change.kind, parent
        path = parent
    return None


def _line(change: Change, base: str | None) -> str:
    path = _path(change.path, base)
    if change.kind == BASELINE:
        size = f"{count_text(change.files, 'file')}, {size_text(change.bytes)}"
        return f"baseline {path} ({size}; {_REASONS.get(change.reason, change.reason)})"
    if change.kind == MOVED:
        line = f"moved {_path(change.source, base)} -> {path}"
        if change.files >= 0:
            line += f" ({count_text(change.files, 'file')}, {size_text(change.bytes)})"
        return line
    if change.type == "directory":
        return f"{_VERBS[change.kind]} {path}/"
    return f"{_VERBS[change.kind]} {path} ({size_text(change.size)})"


def _summary(group: Sequence[Change], base: str | None) -> str:
    files = [change for change in group if change.type != "directory"]
    size = f"{count_text(len(files), 'file')}, {size_text(sum(c.size for c in files))}"
    first = group[0]
    if first.type == "directory":
        return f"{_VERBS[first.kind]} {_path(first.path, base)}/ with {size}"
    folder = _path(os.path.dirname(first.path), base)
    if first.kind == MOVED:
        sources = {os.path.dirname(change.source) for change in group}
        origin = f"{_path(sources.pop(), base)}/" if len(sources) == 1 else "several folders"
        return f"moved {size} from {origin} to {folder}/"
    return f"{_VERBS[first.kind]} {size} in {folder}/"


def counts_text(changes: Iterable[Change]) -> str:
    """Count changes by kind: `2 created, 1 moved`, or `no changes`."""
    counts: dict[str, int] = defaultdict(int)
    for change in changes:
        if change.kind != BASELINE:
            counts[change.kind] += 1
    texts = [f"{counts[kind]:,} {_VERBS[kind]}" for kind in _VERBS if counts[kind]]
    return ", ".join(texts) or "no changes"
