"""Drop entries without looking for them: roots were removed, or a person asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from scanner.core.changes import Change, baseline
from scanner.core.memory import MISSING, OFFLINE, Memory, RootRecord
from scanner.core.paths import folders_above, is_below, nearest_above
from scanner.core.roots import Root
from scanner.core.snapshot import (
    FILE,
    Directory,
    Entry,
    Snapshot,
    directories_below,
    entries_of,
)
from scanner.diff.compare import keep_folder
from scanner.diff.drop_names import drop_names
from scanner.walk.zone_scan import Collected


class Removed(NamedTuple):
    """The effect of roots that the settings do not name any more."""

    memory: Memory
    """Without everything that only these roots held."""
    gone: frozenset[str] = frozenset()
    """Directories that the snapshot loses."""
    baselines: tuple[Change, ...] = ()


def drop_removed_roots(memory: Memory, snapshot: Snapshot, roots: Sequence[Root]) -> Removed:
    """Forget everything that no root of the settings holds: one baseline for each removed root
    (rule 9)."""
    removed = [record for record in memory.roots.values() if not _is_configured(record, roots)]
    if not removed:
        return Removed(memory)
    gone: set[str] = set()
    baselines = []
    for record in removed:
        files = bytes_ = 0
        for path, directory in directories_below(snapshot, record.path):
            files += directory.listing.types.count(FILE)
            bytes_ += directory.listing.bytes
            if not _is_inside(path, roots):
                gone.add(path)
        if record.walked and not record.is_inner:
            baselines.append(baseline(record.id, record.path, files, bytes_, "removed"))
    ids = {record.id for record in removed}
    left = replace(
        memory,
        roots={id_: record for id_, record in memory.roots.items() if id_ not in ids},
        holds={id_: hold for id_, hold in memory.holds.items() if id_ not in ids},
        unreachable=_inside(memory.unreachable, roots),
        unsettled=_inside(memory.unsettled, roots),
        arrived=_inside(memory.arrived, roots),
    )
    return Removed(left, frozenset(gone), tuple(baselines))


class Dropped(NamedTuple):
    """The effect of requests to drop entries that cannot be looked at."""

    collected: Collected
    """With walks that say nothing of names that were dropped."""
    deleted: dict[str, Entry]
    directories: dict[str, Directory]
    """Folders that were dropped but for the way to mounts below them that are not lost."""
    gone: frozenset[str]
    """Directories that the snapshot loses."""
    missing: frozenset[Root]
    """Offline zones that were dropped as a whole."""
    places: frozenset[str]
    """Paths at and below which everything was dropped."""
    answers: dict[int, str]
    """By number of the request."""


def drop_accepted(snapshot: Snapshot, collected: Collected, memory: Memory) -> Dropped:
    """Delete what a person said is gone for good: an offline zone, a folder that answers with
    an error, or a name that could not be looked at. Mounts below it that are not offline stay."""
    deleted: dict[str, Entry] = {}
    directories: dict[str, Directory] = {}
    gone: set[str] = set()
    missing: set[Root] = set()
    places: set[str] = set()
    answers: dict[int, str] = {}
    for request in collected.requests:
        path = request.path
        scan = collected.scan_of(path) if path else None
        if scan is None:
            continue
        failed = scan.walked.failed if scan.walked is not None else {}
        is_offline = scan.zone.path == path and (
            path in failed or scan.health.state in (OFFLINE, MISSING)
        )
        points = _mounts_below(path, scan.zone, collected, memory)
        names = None if scan.walked is None else drop_names(path, scan.walked, snapshot, points)
        if names is not None and (names.deleted or path not in failed):
            places.add(path)
            deleted.update(names.deleted)
            collected = collected.with_scan(replace(scan, walked=names.walked))
            answers[request.id] = names.answer
        elif is_offline or path in failed:
            places.add(path)
            before = len(deleted)
            way = {*points, *(f for point in points for f in folders_above(point, path))}
            for folder, directory in directories_below(snapshot, path):
                if nearest_above(folder, points) is not None:
                    continue
                if folder in way:
                    directories[folder] = keep_folder(folder, directory, way)
                else:
                    gone.add(folder)
                entries = entries_of(folder, directory)
                deleted.update((entry.path, entry) for entry in entries if entry.path not in way)
            if is_offline:
                missing.add(scan.zone)
            kept = f"; what is on {', '.join(sorted(points))} stays" if points else ""
            answers[request.id] = f"{len(deleted) - before} entries below {path} deleted{kept}"
        elif scan.walked is not None and path in scan.walked.surplus:
            answers[request.id] = f"{path} is not entered: {scan.walked.surplus[path]}"
        else:
            answers[request.id] = f"{path} is neither offline nor unreachable"
    return Dropped(
        collected,
        deleted,
        directories,
        frozenset(gone),
        frozenset(missing),
        frozenset(places),
        answers,
    )


def _mounts_below(path: str, zone: Root, collected: Collected, memory: Memory) -> frozenset[str]:
    """The mounts below `path` that are zones of their own and are not lost: a person who drops the
    folder around them has not said anything about them."""
    points: set[str] = set()
    for other in collected.zones.inner:
        if other == zone or other.path == path or not is_below(other.path, path):
            continue
        scan, record = collected.scans.get(other), memory.roots.get(other.id)
        state = scan.health.state if scan is not None else record.state if record else MISSING
        points.update([other.path] if state not in (OFFLINE, MISSING) else ())
    return frozenset(points)


def _is_configured(record: RootRecord, roots: Sequence[Root]) -> bool:
    """True if `record` is that of a root of the settings, or of a mount below one."""
    if any(record.id == root.id for root in roots):
        return True
    is_root = any(record.path == root.path for root in roots)
    return record.is_inner and not is_root and _is_inside(record.path, roots)


def _is_inside(path: str, roots: Iterable[Root]) -> bool:
    return any(is_below(path, root.path) for root in roots)


_Item = TypeVar("_Item")


def _inside(table: dict[str, _Item], roots: Sequence[Root]) -> dict[str, _Item]:
    return {path: item for path, item in table.items() if _is_inside(path, roots)}
