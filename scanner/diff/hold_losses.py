"""Measure what each zone of a scan lost, and hold back what looks like a lost mount (rule 2). Pure.

`losses` has the rule for one zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from scanner.core.changes import DELETED, Change
from scanner.core.memory import Hold, Memory, RootRecord
from scanner.core.paths import folders_above, is_below, nearest_above
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, Snapshot, directories_below, is_empty
from scanner.diff.compare import Delta
from scanner.diff.losses import FolderLoss, Limits, Loss, alarming_folders, hold_back
from scanner.diff.moves import Moves
from scanner.walk.zone_scan import Collected, ZoneScan

ONLY_A_PERSON = frozenset(("models", "custom_nodes", "workflows", "extra"))
"""Kinds of remote roots that are not confirmed to be empty until a person says so (rule 2)."""


class Held(NamedTuple):
    """Deletions that are kept back, and the holds that keep them."""

    paths: frozenset[str]
    holds: dict[str, Hold]
    """By id of the zone, for the zones that were walked."""
    answers: dict[int, str]
    """By number of the request."""


def hold_losses(
    changes: Iterable[Change],
    collected: Collected,
    delta: Delta,
    moves: Moves,
    snapshot: Snapshot,
    old: Memory,
    limits: Mapping[Root, Limits],
    dropped: Collection[str],
) -> Held:
    """The deletions among `changes` that are kept back. `old` is what the last scan left;
    `dropped` are paths whose entries a person dropped."""
    deletions = [change for change in changes if change.kind == DELETED]
    losses, unproven = _by_zone(
        deletions, _sure_deletions(collected, delta, moves, dropped), collected
    )
    held = set(unproven)
    new_holds: dict[str, Hold] = {}
    answers: dict[int, str] = {}
    for scan, _ in collected.walks:
        accepted: set[str] = set()
        for request in collected.requests:
            if request.root != scan.zone.id:
                continue
            if request.paths or _is_other_mount(scan, old.roots.get(scan.zone.id)):
                paths = request.paths or delta.deleted.keys()
                accepted |= paths
                count = len(paths & delta.deleted.keys())
                answers[request.id] = f"{request.root}: accepted, {count} deletions committed"
            else:
                answers[request.id] = f"{request.root}: the known file system is back"
        own_limits = limits[scan.zone]
        verdict = hold_back(
            _loss(scan, losses.get(scan.zone, ()), collected, delta, snapshot, own_limits),
            old.holds.get(scan.zone.id),
            own_limits,
            collected.moment,
            frozenset(accepted),
        )
        held |= verdict.held
        if verdict.hold is not None:
            new_holds[scan.zone.id] = verdict.hold
    return Held(frozenset(held), new_holds, answers)


def _is_other_mount(scan: ZoneScan, record: RootRecord | None) -> bool:
    """True if the zone lives on another mount than at its last walk."""
    known = None if record is None else record.mount_identity
    return known is not None and not known.is_same(scan.health.mount.identity)


def _sure_deletions(
    collected: Collected, delta: Delta, moves: Moves, dropped: Collection[str]
) -> frozenset[str]:
    """Paths whose deletion cannot be a lost mount: something else stands there now, they moved
    away, a person dropped them, or they are links."""
    return frozenset(
        (
            *(delta.deleted.keys() & delta.created.keys()),
            *(move.source.path for move in moves.directories),
            *dropped,
            *(collected.zones.targets.keys() & delta.deleted.keys()),
        )
    )


def _by_zone(
    deletions: Iterable[Change], sure: Collection[str], collected: Collected
) -> tuple[dict[Root, list[Change]], list[str]]:
    """Deletions by the zone that was walked, but for those at or below `sure` paths; and the paths
    of those in zones that were not walked, which this scan cannot have proven gone (rule 1)."""
    by_zone: defaultdict[Root, list[Change]] = defaultdict(list)
    unproven = []
    for change in deletions:
        if nearest_above(change.path, sure) is not None:
            continue
        scan = collected.scan_of(change.path)
        if scan is None or scan.walked is None:
            unproven.append(change.path)
        else:
            by_zone[scan.zone].append(change)
    return by_zone, unproven


def _loss(
    scan: ZoneScan,
    deletions: Sequence[Change],
    collected: Collected,
    delta: Delta,
    snapshot: Snapshot,
    limits: Limits,
) -> Loss:
    zone = scan.zone

    def count_files(top: str) -> int:
        return sum(
            directory.listing.types.count(FILE)
            for path, directory in directories_below(snapshot, top)
            if is_alone or collected.zones.owner(path) == zone
        )

    # What lies on mounts below the zone is not its own.
    is_alone = all(
        other == zone or not is_below(other.path, zone.path) for other in collected.zones.all
    )
    if not deletions:
        return Loss(zone.id, (), 0, lists_empty=False)
    is_remote = scan.health.mount.is_remote
    losses = _folder_losses(zone.path, deletions, delta, snapshot, count_files) if is_remote else ()
    return Loss(
        zone.id,
        deletions,
        count_files(zone.path),
        lists_empty=is_empty(delta.directories.get(zone.path) or snapshot[zone.path]),
        needs_accept=is_remote and zone.kind in ONLY_A_PERSON,
        folders=alarming_folders(losses, limits),
    )


def _folder_losses(
    top: str,
    deletions: Iterable[Change],
    delta: Delta,
    snapshot: Snapshot,
    count_files: Callable[[str], int],
) -> list[FolderLoss]:
    """Losses of the folders at or below `top`, also of those that are gone."""
    lost: defaultdict[str, int] = defaultdict(int)
    for change in deletions:
        for folder in folders_above(change.path, top) if change.type == "file" else ():
            lost[folder] += 1
    losses = []
    for folder, count in lost.items():
        now = delta.directories.get(folder) or snapshot.get(folder)
        known = count_files(folder)
        lists_empty = now is not None and is_empty(now)
        losses.append(FolderLoss(folder, known, count, lists_empty))
    return losses
