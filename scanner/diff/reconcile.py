"""Decide what one scan commits, from what earlier scans left and what this one collected. Pure.

`reconcile` reads as the list of the steps. Each step is a function of values in a file of its own.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from scanner.core.changes import DELETED, Change
from scanner.core.memory import Hold, Memory
from scanner.core.packs import Pack
from scanner.core.paths import nearest_above
from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Entry, Snapshot
from scanner.diff.absence import keep_present, missing_names
from scanner.diff.carry_over import carry_holds, carry_recent, carry_records, carry_unreachable
from scanner.diff.changelist import annotate_packs, carry_fingerprints, compose
from scanner.diff.clock_shift import take_shifts
from scanner.diff.compare import Delta, keep_entries
from scanner.diff.compare_zones import MOUNTED, compare_zones, trust_walks
from scanner.diff.drop import Dropped, Removed, drop_accepted, drop_removed_roots
from scanner.diff.find_moves import find_moves
from scanner.diff.follow_packs import follow_packs
from scanner.diff.growth import settle_growth
from scanner.diff.hold_losses import hold_losses
from scanner.diff.losses import Limits
from scanner.diff.moves import AskFingerprints, Moves
from scanner.diff.other_files import other_files
from scanner.diff.surplus_links import without_surplus_links
from scanner.diff.unread import names_to_look_for, with_unread
from scanner.diff.window import open_window, without_expired
from scanner.settings.schema import Settings
from scanner.walk.absence import Absence
from scanner.walk.rules import ListingRules
from scanner.walk.zone_scan import Collected


class FingerprintsWantedError(Exception):
    """Moves cannot be proven without the fingerprints of `entries`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = entries


class AbsenceWantedError(Exception):
    """Nobody has looked yet at the names at `paths`, which may be gone or not."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__()
        self.paths = paths


class Known(Protocol):
    """The part of the store that deciding needs: what earlier scans have left."""

    @property
    def snapshot(self) -> Snapshot:
        """The listings last committed."""
        ...

    @property
    def memory(self) -> Memory:
        """Everything else that the last scan left."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that one scan commits."""

    collected: Collected
    """With the walks that were compared."""
    directories: Mapping[str, Directory]
    """New and changed directories, as they are now."""
    gone: frozenset[str]
    """Directories that the snapshot loses. One that is in `directories` too is replaced."""
    changes: Sequence[Change]
    """The lines of the change list, baselines first."""
    memory: Memory
    answers: Mapping[int, str]
    """Answers to requests of `accept`, by number of the request."""
    new_holds: Sequence[Hold]
    other_files: frozenset[str]
    """Files whose metadata, if there is any, was read of other files."""
    shifted: Mapping[str, tuple[int, int]]
    """The mtimes before and after of files whose mount's clock moved by an hour, by path."""
    is_visible: bool
    """True if readers of the inventory must see it: project, a root's state, `unreachable`, or a
    file that is `unsettled` now."""
    has_annotations: bool
    """True if the inventory could say more, although project did not change (rule 10)."""


class Seen(NamedTuple):
    """What was looked at on the disks because an earlier attempt to decide wanted it."""

    fingerprints: Mapping[str, bytes]
    """Those taken for this scan, by path; empty where a file could not be read."""
    absences: Mapping[str, Absence]
    """For names that are not listed any more, whether they are gone."""


def reconcile(
    known: Known,
    collected: Collected,
    rules: ListingRules,
    settings: Settings,
    seen: Seen,
) -> Decision:
    """Decide everything between walk and commit. It changes nothing, so it can be done again.

    Raises FingerprintsWantedError if moves turn on fingerprints that are not among `seen`, and
    AbsenceWantedError if deletions turn on names that are not.
    """
    snapshot, old = known.snapshot, known.memory
    found = _find_differences(known, collected, rules, settings, seen)
    collected, delta, moves = found.collected, found.delta, found.moves
    removed, dropped, baselines = found.removed, found.dropped, found.baselines
    changes = compose(delta, moves, snapshot, rules.root_id)

    limits = {zone: _limits(zone, settings) for zone in collected.scans}
    held = hold_losses(changes, collected, delta, moves, snapshot, old, limits, dropped.places)
    keep_entries(delta, snapshot, held.paths)
    changes = [c for c in changes if c.kind != DELETED or c.path not in held.paths]

    every = int(settings.unsettled_every * 1e9)
    growth = settle_growth(delta, moves, found.memory.unsettled, snapshot, collected, every)
    keep_entries(delta, snapshot, growth.growing)
    changes = [change for change in changes if change.path not in growth.growing]

    packs = _without_hidden(old.packs, baselines)
    followed = follow_packs(packs, collected.packs, delta, moves, snapshot, rules.roots)
    view = ChainMap(delta.directories, snapshot)
    changes = annotate_packs(changes, followed.news, view, rules.root_id)

    carry_fingerprints(delta, moves, snapshot)
    others = other_files(delta, moves, snapshot)
    gone, arrived = carry_recent(found.memory, old.arrived, delta, moves, collected.moment.wall)
    # A new mount replaces the folder that it hides: that one is no loss.
    lost = delta.gone - delta.directories.keys()
    records = carry_records(found.memory.roots, collected, lost, held.holds, dropped.missing, rules)
    new = Memory(
        roots=records,
        gone=gone,
        arrived=arrived,
        unsettled=growth.unsettled,
        holds=carry_holds(found.memory.holds, held.holds, collected, records.keys()),
        unreachable=carry_unreachable(found.memory.unreachable, collected),
        packs=old.packs if followed.packs == old.packs else followed.packs,
    )
    lines = [*removed.baselines, *baselines, *changes]
    return Decision(
        collected,
        {path: found for path, found in delta.directories.items() if snapshot.get(path) != found},
        frozenset(delta.gone),
        lines,
        new,
        {**dropped.answers, **held.answers},
        [hold for id_, hold in new.holds.items() if id_ not in old.holds],
        others,
        found.shifted,
        is_visible=bool(lines) or growth.begins or _looks_different(new, old),
        has_annotations=bool(growth.growing or others) or new.packs != old.packs,
    )


class _Differences(NamedTuple):
    """What differs between the snapshot and the walks, before any of it is kept back."""

    collected: Collected
    """With the walks that were compared."""
    removed: Removed
    dropped: Dropped
    delta: Delta
    baselines: Sequence[Change]
    shifted: Mapping[str, tuple[int, int]]
    """As in `Decision`."""
    memory: Memory
    """What earlier scans left, without removed roots and what is past `move_window`."""
    moves: Moves


def _find_differences(
    known: Known,
    collected: Collected,
    rules: ListingRules,
    settings: Settings,
    seen: Seen,
) -> _Differences:
    """Raises what `reconcile` raises."""
    snapshot, old = known.snapshot, known.memory
    removed = drop_removed_roots(old, snapshot, rules.roots)
    dropped = drop_accepted(snapshot, collected, old)
    collected = trust_walks(dropped.collected, old, dropped.missing)
    collected = without_surplus_links(collected, settings.max_paths)

    delta = Delta(
        deleted=dict(dropped.deleted),
        directories=dict(dropped.directories),
        gone={*removed.gone, *dropped.gone},
    )
    baselines = compare_zones(collected, snapshot, old, rules, delta)
    shift_lines, shifted = take_shifts(collected, snapshot, delta)
    baselines += shift_lines

    missing = missing_names(delta, snapshot, dropped.deleted)
    absences = seen.absences
    _want(absences, (*missing, *names_to_look_for(collected)))
    collected = with_unread(absences, collected, snapshot)
    collected = keep_present({path: absences[path] for path in missing}, delta, snapshot, collected)

    memory = without_expired(removed.memory, collected.moment.wall, settings.move_window)
    window = open_window(memory, delta, snapshot, collected)
    moves = find_moves(delta, window, _asker(seen.fingerprints))
    return _Differences(collected, removed, dropped, delta, baselines, shifted, memory, moves)


def _without_hidden(packs: Mapping[str, Pack], baselines: Iterable[Change]) -> Mapping[str, Pack]:
    """`packs` without those that a new mount hides: those that it has are no news of them."""
    mounted = {line.path for line in baselines if line.reason == MOUNTED}
    if not mounted:
        return packs
    return {path: pack for path, pack in packs.items() if nearest_above(path, mounted) is None}


def _want(absences: Mapping[str, Absence], paths: Sequence[str]) -> None:
    wanted = [path for path in paths if path not in absences]
    if wanted:
        raise AbsenceWantedError(wanted)


def _asker(fingerprints: Mapping[str, bytes]) -> AskFingerprints:
    def ask(entries: Sequence[Entry]) -> Mapping[str, bytes]:
        unknown = [entry for entry in entries if entry.path not in fingerprints]
        if unknown:
            raise FingerprintsWantedError(unknown)
        return {
            entry.path: fingerprint
            for entry in entries
            if (fingerprint := fingerprints[entry.path])
        }

    return ask


def _limits(zone: Root, settings: Settings) -> Limits:
    own = settings.for_root(zone)
    return Limits(own.loss_fraction, own.loss_files)


def _looks_different(new: Memory, old: Memory) -> bool:
    """True if the state or the mount of a zone changed, the order in which ComfyUI searches its
    folders, or the list of unreachable folders."""
    return _states(new) != _states(old) or new.unreachable.keys() != old.unreachable.keys()


def _states(memory: Memory) -> dict[str, tuple[object, ...]]:
    return {
        id_: (
            record.state,
            record.reason,
            record.mount_point,
            record.mount_identity,
            record.searched,
        )
        for id_, record in memory.roots.items()
    }
