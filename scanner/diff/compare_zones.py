"""Compare the snapshot with every walk of a scan, zone by zone. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from scanner.core.changes import Change, baseline
from scanner.core.memory import MISSING, OFFLINE, Memory, RootRecord
from scanner.core.roots import Root
from scanner.core.snapshot import Snapshot, directories_below, is_empty
from scanner.diff.compare import Delta, adopt, compare
from scanner.walk.ignore import IgnoreRules
from scanner.walk.rules import ListingRules, rules_of, scope_of
from scanner.walk.walked import Walked
from scanner.walk.zone_scan import Collected, ZoneScan
from scanner.walk.zones import Zones

MOUNTED = "mounted"
"""The reason of the baseline of a mount that was not there before."""


def trust_walks(collected: Collected, memory: Memory, missing: Collection[Root] = ()) -> Collected:
    """`collected` with the walks that can be compared.

    A zone whose own folder answered with an error is offline (rule 2 (a lost mount deletes
    nothing)). `missing` are the offline zones that a person dropped.
    """

    def trusted(scan: ZoneScan) -> ZoneScan:
        if scan.zone in missing:
            scan = replace(scan, health=replace(scan.health, state=MISSING))
        walked = scan.walked
        if walked is None:
            return scan
        if scan.zone.path in walked.failed:
            record = memory.roots.get(scan.zone.id)
            is_known = record is not None and record.walked and scan.zone not in missing
            state = OFFLINE if is_known else MISSING
            error = walked.failed[scan.zone.path].error
            return replace(
                scan, health=replace(scan.health, state=state, reason=error), walked=None
            )
        return replace(scan, walked=_without_loops(walked, collected.zones))

    return replace(collected, scans={zone: trusted(scan) for zone, scan in collected.scans.items()})


def compare_zones(
    collected: Collected,
    snapshot: Snapshot,
    memory: Memory,
    rules: ListingRules,
    delta: Delta,
) -> list[Change]:
    """Add to `delta` everything that differs between `snapshot` and the walks; the baselines.

    A zone that is walked for the first time is taken over without a change (rule 9), and so is a
    mount that comes where no entry was known.
    """
    baselines = []
    old_rules = rules_of(memory.roots.values())
    walked_paths = {record.path for record in memory.roots.values() if record.walked}
    for scan, walked in collected.walks:
        record = memory.roots.get(scan.zone.id)
        is_new_mount = _is_new_mount(scan, record, snapshot, walked_paths)
        if scan.zone.path in snapshot and not is_new_mount:
            old = _rules_before(scan, record, old_rules) if scan.has_new_rules else None
            scope = scope_of(scan.zone, collected.zones, walked, rules, old)
            compare(snapshot, walked, delta, scope)
        else:
            delta.gone |= _known_below(scan.zone, collected.zones, snapshot)
            adopt(walked, delta)
        reason = MOUNTED if is_new_mount else _baseline_reason(scan, record)
        if reason:
            baselines.append(
                baseline(scan.root.id, scan.zone.path, walked.files, walked.bytes, reason)
            )
    return baselines


def _is_new_mount(
    scan: ZoneScan, record: RootRecord | None, snapshot: Snapshot, walked_paths: Collection[str]
) -> bool:
    """True if nothing that was known at the place of the zone is known of its mount: a mount below
    a root that was never walked hides a folder, and another mount came over an empty root."""
    zone = scan.zone
    if scan.is_inner and zone.path not in walked_paths:
        return True
    if record is None or record.mount_identity is None or zone.path not in snapshot:
        return False
    if not is_empty(snapshot[zone.path]):
        return False
    return not record.mount_identity.is_same(scan.health.mount.identity)


def _known_below(zone: Root, zones: Zones, snapshot: Snapshot) -> set[str]:
    """Known folders of `zone`, its own included: its new mount hides them."""
    return {path for path, _ in directories_below(snapshot, zone.path) if zones.owner(path) == zone}


def _without_loops(walked: Walked, zones: Zones) -> Walked:
    """`walked`; links to other mounts that lead back to where they were met are not entered."""
    loops = {path for path, target in walked.foreign.items() if zones.is_loop(path, target)}
    if not loops:
        return walked
    foreign = {path: target for path, target in walked.foreign.items() if path not in loops}
    return replace(walked, foreign=foreign, closed=walked.closed | loops)


def _rules_before(scan: ZoneScan, record: RootRecord | None, old: ListingRules) -> ListingRules:
    """`old` as the last walk of the zone had it: the root around it may have been walked since."""
    if record is None or not record.walked or not scan.is_inner:
        return old
    rules = {**old.rules, scan.root.id: IgnoreRules(record.patterns or ())}
    return replace(old, rules=rules, follow_links=record.follow_links, max_paths=record.max_paths)


def _baseline_reason(scan: ZoneScan, record: RootRecord | None) -> str:
    if record is None or not record.walked:
        return MOUNTED if scan.is_inner else "added"
    if record.patterns is None:
        return "state lost"
    return "rules changed" if scan.has_new_rules else ""
