"""What a scan leaves to the next one, besides the snapshot. No I/O."""

from __future__ import annotations

import os
from collections.abc import Sequence

from scanner.core.memory import HELD, OFFLINE, ONLINE, PARTIAL, Gone, RootRecord, UnreachableFolder
from scanner.core.paths import is_below
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import CONTAINERS, Snapshot
from scanner.diff.changelist import carry_fingerprints
from scanner.diff.scan_context import ScanContext
from scanner.walk.rules import ListingRules


def carry_over(context: ScanContext, rules: ListingRules, snapshot: Snapshot) -> None:
    """Bring `context.memory` to what the next scan has to know."""
    carry_fingerprints(context.delta, context.moves, snapshot)
    _remember_links(context, rules.roots)
    _remember_window(context)
    _remember_unreachable(context)
    for root in context.roots:
        if (
            context.zones.is_inner(root)
            and root.path in context.zones.targets
            and (root.id not in context.memory.roots)
        ):
            continue  # the link was removed while what it leads to was walked
        record = context.memory_of(root)
        health = context.health[root.id]
        walked = context.walked.get(root.id)
        state, reason = health.state, health.reason
        if walked is not None:
            record.walked = True
            record.mount_point = health.mount.point
            record.mount_identity = health.mount.identity
            rules.sign(context.zones.root_of(root), record)
            if root.id in context.memory.holds:
                hold = context.memory.holds[root.id]
                state, reason = HELD, f"{hold.files} files are gone; waiting to be sure"
            elif walked.failed:
                state, reason = PARTIAL, f"{len(walked.failed)} folders cannot be read"
        elif state == HELD:
            # Another file system: what the last one lost is judged anew when it is back.
            context.memory.holds.pop(root.id, None)
        elif state == ONLINE:
            state, reason = OFFLINE, "it went away while it was walked"
        record.filesystem = health.mount.type
        record.category = root.category
        record.reason = reason
        if record.state != state or not record.since:
            record.state, record.since = state, context.moment.wall


def _remember_links(context: ScanContext, roots: Sequence[Root]) -> None:
    """Links to folders on other mounts become zones of their own, and end with the link."""
    listed = {path for walked in context.walked.values() for path in walked.listed}
    foreign: dict[str, str] = {}
    for walked in context.walked.values():
        foreign.update(walked.foreign)
    for zone in context.zones.inner:
        record = context.memory.roots.get(zone.id)
        if record is None or not record.target or zone.path in foreign:
            continue
        if os.path.dirname(zone.path) in listed or zone.path in context.delta.gone:
            del context.memory.roots[zone.id]
            context.memory.holds.pop(zone.id, None)
    for path, target in foreign.items():
        root = owner_of(path, roots)
        if root is None or path in context.delta.gone:
            continue
        zone = Root(root.kind, path, root.category)
        record = context.memory.roots.setdefault(
            zone.id, RootRecord(zone.id, zone.kind, path, zone.category, is_inner=True)
        )
        if record.target != target:
            # Elsewhere now: what it leads to is compared, not held against it.
            record.target, record.mount_identity = target, ""


def _remember_window(context: ScanContext) -> None:
    memory, now = context.memory, context.moment.wall
    for path in [p for p in memory.arrived if p in context.delta.deleted]:
        del memory.arrived[path]
    for path, entry in context.delta.deleted.items():
        if entry.type not in CONTAINERS:
            memory.gone[path] = Gone(now, entry)
    for path in context.delta.created:
        memory.gone.pop(path, None)
        memory.arrived[path] = now
    for path, (before, after) in context.delta.modified.items():
        if before.size != after.size:
            memory.arrived[path] = now
    for move in context.moves.files:
        memory.gone.pop(move.source.path, None)
        # A file renamed after it was copied still waits for its source to go.
        arrived = context.old.arrived.get(move.source.path)
        memory.arrived.pop(move.target.path, None)
        if arrived is not None:
            memory.arrived[move.target.path] = arrived
    for move in context.moves.directories:
        for path in [p for p in memory.gone if is_below(p, move.source.path)]:
            del memory.gone[path]
        for path in [p for p in memory.arrived if is_below(p, move.target.path)]:
            del memory.arrived[path]


def _remember_unreachable(context: ScanContext) -> None:
    for root in context.roots:
        walked = context.walked.get(root.id)
        if walked is None:
            continue
        known = {
            path: folder
            for path, folder in context.old.unreachable.items()
            if owner_of(path, context.zones.all) == root
            and not (path == root.path and context.zones.is_inner(root))
        }
        for path in known:
            del context.memory.unreachable[path]
        for path, failure in walked.failed.items():
            since = known[path].since if path in known else context.moment.wall
            context.memory.unreachable[path] = UnreachableFolder(failure.error, since)
