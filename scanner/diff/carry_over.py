"""The memory that a scan leaves to the next one, one function for each table. Pure."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from copy import copy
from typing import NamedTuple

from scanner.core.memory import (
    HELD,
    OFFLINE,
    ONLINE,
    PARTIAL,
    STALLED,
    Gone,
    Hold,
    Memory,
    RootRecord,
    UnreachableFolder,
)
from scanner.core.mount_identity import AUTOMOUNTER
from scanner.core.paths import is_below, nearest_above
from scanner.core.roots import Root
from scanner.core.snapshot import CONTAINERS
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves
from scanner.walk.rules import ListingRules
from scanner.walk.zone_scan import Collected, ZoneScan


def carry_records(
    records: Mapping[str, RootRecord],
    collected: Collected,
    gone: Collection[str],
    holds: Mapping[str, Hold],
    missing: Collection[Root],
    rules: ListingRules,
) -> dict[str, RootRecord]:
    """The record of each zone after this scan.

    `gone` are directories that the snapshot loses; `missing` the offline zones that a person
    dropped.
    """
    new = {id_: copy(record) for id_, record in records.items()}
    _follow_links(new, collected, gone)
    for scan in collected.scans.values():
        zone = scan.zone
        if zone.id not in new:
            if scan.is_inner and zone.path in collected.zones.targets:
                continue  # the link was removed while what it leads to was walked
            new[zone.id] = RootRecord(
                zone.id, zone.kind, zone.path, zone.category, is_inner=scan.is_inner
            )
        record = new[zone.id]
        if zone in missing and scan.is_inner and not record.target:
            del new[zone.id]  # it is looked at anew if something is mounted there
            continue
        if zone in missing:
            record.walked = False
        if scan.walked is not None:
            record.walked = True
            if not scan.is_inner:
                record.target = collected.zones.real.get(zone.path, zone.path)
            record.mount_point = scan.health.mount.point
            is_automounter = scan.health.mount.type == AUTOMOUNTER
            identity = scan.health.mount.identity.completed_by(record.mount_identity)
            record.mount_identity = None if is_automounter else identity
            rules.sign(scan.root, record)
        state, reason = _state(scan, holds.get(zone.id))
        if state != STALLED or record.state != STALLED:
            # Each attempt at a mount that hangs ends in other words, and nothing has changed.
            record.reason = reason
        if scan.health.state == ONLINE or not record.filesystem:
            # Else it is that of the empty folder where its mount belongs.
            record.filesystem = scan.health.mount.type
        record.category, record.named_by = zone.category, zone.named_by
        record.searched = zone.searched
        if record.state != state or not record.since:
            record.state, record.since = state, collected.moment.wall
    return new


def _state(scan: ZoneScan, hold: Hold | None) -> tuple[str, str]:
    """State of a zone, and the reason in words."""
    state = scan.health.state
    if scan.walked is not None and hold is not None:
        return HELD, f"{hold.files} files are gone; waiting to be sure"
    if scan.walked is not None and scan.walked.failed:
        return PARTIAL, _unread_text(len(scan.walked.failed), len(scan.walked.surplus))
    if scan.walked is None and state == ONLINE:
        return OFFLINE, "it went away while it was walked"
    return state, scan.health.reason


def _unread_text(failed: int, surplus: int) -> str:
    texts = []
    if failed > surplus:
        texts.append(f"{failed - surplus} of its paths cannot be read")
    if surplus:
        folders = "1 folder" if surplus == 1 else f"{surplus} folders"
        texts.append(f"more paths than max_paths lead to {folders}")
    return "; ".join(texts)


def _follow_links(
    records: dict[str, RootRecord], collected: Collected, gone: Collection[str]
) -> None:
    """Links to folders on other mounts become zones of their own, and end with the link."""
    foreign = {path for _, walked in collected.walks for path in walked.foreign}
    for record in [r for r in records.values() if r.is_point and r.path in collected.zones.stale]:
        del records[record.id]
    links = {
        zone.path: zone.id
        for zone in collected.zones.inner
        if zone.id in records and records[zone.id].target and zone.path not in foreign
    }
    holders = {path: os.path.dirname(path) for path in links}
    to_find = set(holders.values())
    listed = {p for _, walked in collected.walks for p in walked.listed if p in to_find}
    closed = {path for _, walked in collected.walks for path in walked.closed}
    for path, id_ in links.items():
        was_listed = holders[path] in listed and not records[id_].is_point
        # What a link leads to may never have been walked: then only its folder is known to be gone.
        is_gone = path in gone or holders[path] in gone
        if was_listed or is_gone or nearest_above(path, closed) is not None:
            del records[id_]
    for scan, walked in collected.walks:
        for path, target in (*walked.foreign.items(), *walked.points.items()):
            if path in gone:
                continue
            zone = Root(scan.root.kind, path, scan.root.category)
            record = records.setdefault(
                zone.id, RootRecord(zone.id, zone.kind, path, zone.category, is_inner=True)
            )
            record.is_point = path in walked.points
            if record.target != target:
                # The link's target changed: compare with the new target instead of reporting
                # another file system.
                record.target, record.mount_identity = target, None
    points = collected.zones.points
    for zone in (zone for zone in collected.scans if zone.path in points and zone.path not in gone):
        record = records.setdefault(
            zone.id, RootRecord(zone.id, zone.kind, zone.path, zone.category, is_inner=True)
        )
        record.target, record.is_point = collected.zones.targets[zone.path], True


def carry_holds(
    previous: Mapping[str, Hold],
    holds: Mapping[str, Hold],
    collected: Collected,
    records: Collection[str],
) -> dict[str, Hold]:
    """The holds after this scan: those of zones that were walked now are `holds`.

    A hold ends with the record of its zone (`records` are their ids), and where another file system
    stands in the zone's place: the loss is judged anew when the last one is back.
    """
    ended = {
        scan.zone.id
        for scan in collected.scans.values()
        if scan.walked is not None or scan.health.state == HELD
    }
    kept = {id_: hold for id_, hold in previous.items() if id_ not in ended}
    return {id_: hold for id_, hold in {**kept, **holds}.items() if id_ in records}


class Recent(NamedTuple):
    """Deletions and arrivals of the last `move_window`, by path."""

    gone: dict[str, Gone]
    arrived: dict[str, int]


def carry_recent(
    memory: Memory, arrived_before: Mapping[str, int], delta: Delta, moves: Moves, now: int
) -> Recent:
    """The recent deletions and arrivals that have no partner yet. `now` in nanoseconds.

    `arrived_before` are the arrivals that the last scan left, with those that have expired since.
    """
    gone = dict(memory.gone)
    arrived = {path: time for path, time in memory.arrived.items() if path not in delta.deleted}
    for path, entry in delta.deleted.items():
        if entry.type not in CONTAINERS:
            gone[path] = Gone(now, entry)
    for path in delta.created:
        gone.pop(path, None)
        arrived[path] = now
    for path, (before, after) in delta.modified.items():
        if before.size != after.size:
            arrived[path] = now
    for move in moves.files:
        gone.pop(move.source.path, None)
        # A file renamed after it was copied still waits for its source to go.
        time = arrived_before.get(move.source.path)
        arrived.pop(move.target.path, None)
        if time is not None:
            arrived[move.target.path] = time
    for move in moves.directories:
        for path in [p for p in gone if is_below(p, move.source.path)]:
            del gone[path]
        for path in [p for p in arrived if is_below(p, move.target.path)]:
            del arrived[path]
    return Recent(gone, arrived)


def carry_unreachable(
    previous: Mapping[str, UnreachableFolder], collected: Collected
) -> dict[str, UnreachableFolder]:
    """Folders that answer with an error: what the walks say of their zones replaces what was
    known."""
    unreachable: dict[str, UnreachableFolder] = {}
    known: dict[str, UnreachableFolder] = {}
    for path, folder in previous.items():
        scan = collected.scan_of(path)
        is_outer = scan is not None and scan.is_inner and scan.zone.path == path
        if scan is None or scan.walked is None or is_outer:
            unreachable[path] = folder
        else:
            known[path] = folder
    for _, walked in collected.walks:
        for path, failure in walked.failed.items():
            since = known[path].since if path in known else collected.moment.wall
            unreachable[path] = UnreachableFolder(failure.error, since)
    return unreachable
