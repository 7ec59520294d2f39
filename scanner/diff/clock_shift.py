"""All times of a FAT mount at once move by an hour: the clock was shifted (rule 4). Pure.

FAT keeps local time. When summer time begins or ends, or a disk is mounted with another offset,
each of its files shows an mtime that is one hour off, and no file has changed.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable

from scanner.core.changes import Change, baseline
from scanner.core.snapshot import FILE, Directory, Snapshot
from scanner.diff.compare import Delta
from scanner.walk.walked import Walked
from scanner.walk.zone_scan import Collected, ZoneScan

HOUR = 3600 * 10**9
"""Nanoseconds."""

REASON = "clock shifted"


Mtimes = dict[str, tuple[int, int]]
"""The mtimes of files before and after, by path."""


def take_shifts(
    collected: Collected, snapshot: Snapshot, delta: Delta
) -> tuple[list[Change], Mtimes]:
    """Take the files out of `delta` that an hour of the clock alone makes look modified.

    Returns a baseline for each of their zones, since the times that readers know do change, and
    the mtimes of these files before and after, by path. Their fingerprints stay.
    """
    by_mount: defaultdict[Hashable, list[tuple[ZoneScan, Walked]]] = defaultdict(list)
    for scan, walked in collected.walks:
        if scan.health.mount.keeps_local_time:
            by_mount[scan.health.mount].append((scan, walked))
    lines: list[Change] = []
    mtimes: Mtimes = {}
    for scans in by_mount.values():
        shifted = _shifted([walked for _, walked in scans], snapshot, delta)
        mtimes |= shifted
        for scan, walked in scans if shifted else ():
            lines.append(baseline(scan.root.id, scan.zone.path, walked.files, walked.bytes, REASON))
    names: defaultdict[str, set[str]] = defaultdict(set)
    for path in mtimes:
        del delta.modified[path]
        folder, name = os.path.split(path)
        names[folder].add(name)
    for folder, shifted_names in names.items():
        known = _fingerprints(snapshot[folder], shifted_names)
        if known:
            delta.directories[folder] = delta.directories[folder].with_fingerprints(known)
    return lines, mtimes


def _fingerprints(directory: Directory, names: Collection[str]) -> dict[str, bytes]:
    """The fingerprints that are known of `names`."""
    return {
        name: fingerprint
        for index, name in enumerate(directory.listing.split_names())
        if name in names and (fingerprint := directory.fingerprint(index))
    }


def _shifted(walks: Iterable[Walked], snapshot: Snapshot, delta: Delta) -> Mtimes:
    """The mtimes before and after of the files of one mount that moved by the same hour; none if
    one of its files stayed as it was, or less than half of those that changed moved so."""
    steps: Counter[int] = Counter()
    moved: Mtimes = {}
    for walked in walks:
        for folder in walked.listed:
            old, new = snapshot.get(folder), walked.observed.get(folder)
            if old is None:
                continue
            if new is None or new.listing == old.listing:
                if FILE in old.listing.types:
                    return {}  # nothing of it has moved
                continue
            before = {row.name: row for row in old.listing.rows() if row.type == FILE}
            for row in new.listing.rows():
                last = before.get(row.name)
                if last is None or (row.type, row.size) != (FILE, last.size):
                    continue
                if row.mtime == last.mtime:
                    return {}
                path = os.path.join(folder, row.name)
                steps[row.mtime - last.mtime] += 1
                if abs(row.mtime - last.mtime) == HOUR and path in delta.modified:
                    moved[path] = last.mtime, row.mtime
    if not steps:
        return {}
    step, count = steps.most_common(1)[0]
    if abs(step) != HOUR or 2 * count <= sum(steps.values()):
        return {}
    return {path: times for path, times in moved.items() if times[1] - times[0] == step}
