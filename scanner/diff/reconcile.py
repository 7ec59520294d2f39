"""Everything between walk and commit: what differs, what moved, what is believed. No I/O."""

from __future__ import annotations

import os
from collections import ChainMap, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from scanner.comfyui.downloads import Signs
from scanner.comfyui.packs import KIND, differs, pack_of_file, pack_places, record_of
from scanner.core.changes import BASELINE, DELETED, Change
from scanner.core.memory import MISSING, OFFLINE, Gone, Memory
from scanner.core.packs import PackChange
from scanner.core.paths import is_below, nearest_above
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import FILE, Directory, Entry, Snapshot, directories_below, entries_of
from scanner.diff.carry_over import carry_over
from scanner.diff.changelist import compose, tell_packs
from scanner.diff.compare import adopt, compare, keep_entries
from scanner.diff.growth import find_growing
from scanner.diff.losses import FolderLoss, Limits, Loss, alarming_folders, hold_back
from scanner.diff.moves import Window, find_moves
from scanner.diff.scan_context import ScanContext
from scanner.settings.schema import Settings
from scanner.walk.health import Health
from scanner.walk.ignore import IgnoreRules
from scanner.walk.rules import ListingRules, rules_of, scope_of
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones

ONLY_A_PERSON = frozenset(("models", "custom_nodes", "extra"))
"""Kinds of remote roots that are not believed to be empty until a person says so (rule 2)."""


class FingerprintsWantedError(Exception):
    """Moves cannot be told without the fingerprints of `entries`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = entries


class Known(Protocol):
    """What earlier scans have left, as far as deciding needs it."""

    snapshot: Snapshot
    memory: Memory

    def note_annotations(self) -> None:
        """Remember that the inventory could say more, though nothing changed (rule 10)."""
        ...


class Reconciler:
    """Judges passes over the roots of one output, from what its store holds."""

    def __init__(self, store: Known, settings: Settings, rules: ListingRules) -> None:
        self._store = store
        self._settings = settings
        self._rules = rules
        self._roots = rules.roots

    def reconcile(self, context: ScanContext, fingerprints: Mapping[str, bytes]) -> None:
        """Everything between walk and commit, without I/O, so that it can be done again.

        Raises FingerprintsWantedError where moves turn on fingerprints not yet taken.
        """
        self._drop_removed_roots(context)
        self._drop_on_request(context)
        self._compare(context)
        self._find_moves(context, fingerprints)
        self._hold_back(context)
        self._settle_growth(context)
        self._follow_packs(context)
        carry_over(context, self._rules, self._store.snapshot)

    def has_new_rules(self, zone: Root, zones: Zones) -> bool:
        root = zones.root_of(zone)
        record = self._store.memory.roots.get(root.id)
        if record is None or not record.walked:
            # A root that is new inside or around others takes over what they have walked.
            return root.path in self._store.snapshot
        if record.patterns is None:
            return True  # the inventory does not say by which rules it was made
        own = self._store.memory.roots.get(zone.id)
        return self._rules.differs_from(root, own if own is not None and own.walked else record)

    # Compare

    def _compare(self, context: ScanContext) -> None:
        old_rules = rules_of(context.old.roots.values())
        for root in context.roots:
            walked = context.walked.get(root.id)
            if walked is None:
                continue
            if root.path in walked.failed:
                # The folder itself answers with an error: the root is offline (rule 2).
                context.health[root.id] = Health(
                    OFFLINE if context.memory_of(root).walked else MISSING,
                    walked.failed[root.path].error,
                    context.health[root.id].mount,
                )
                del context.walked[root.id]
                continue
            self._refuse_loops(context, walked)
            has_new_rules = self.has_new_rules(root, context.zones)
            if root.path in self._store.snapshot:
                scope = scope_of(
                    root,
                    context.zones,
                    walked,
                    self._rules,
                    self._rules_before(root, context, old_rules) if has_new_rules else None,
                )
                compare(self._store.snapshot, walked, context.delta, scope)
            else:
                adopt(walked, context.delta)
            reason = self._baseline_reason(root, context.zones, has_new_rules)
            if reason:
                root_id = context.zones.root_of(root).id
                context.baselines.append(
                    _baseline(root_id, root.path, walked.files, walked.bytes, reason)
                )

    def _rules_before(self, zone: Root, context: ScanContext, old: ListingRules) -> ListingRules:
        """`old` as the last walk of `zone` had it: the root around it may have been walked
        since."""
        record = context.old.roots.get(zone.id)
        if record is None or not record.walked or not context.zones.is_inner(zone):
            return old
        rules = IgnoreRules(record.patterns or ())
        root = context.zones.root_of(zone)
        return replace(old, rules={**old.rules, root.id: rules}, follow_links=record.follow_links)

    def _refuse_loops(self, context: ScanContext, walked: Walked) -> None:
        """Links to other mounts that lead back to where they were met are not entered."""
        for path, target in list(walked.foreign.items()):
            if context.zones.is_loop(path, target):
                del walked.foreign[path]
                walked.closed.add(path)

    def _baseline_reason(self, root: Root, zones: Zones, has_new_rules: bool) -> str:
        record = self._store.memory.roots.get(root.id)
        if record is None or not record.walked:
            return "mounted" if zones.is_inner(root) else "added"
        if record.patterns is None and not zones.is_inner(root):
            return "state lost"
        return "rules changed" if has_new_rules else ""

    def _drop_removed_roots(self, context: ScanContext) -> None:
        """Forget what only roots of earlier settings held: a baseline each (rule 9)."""
        configured = {root.id for root in self._roots}
        paths = {root.path for root in self._roots}
        for root_id, record in context.old.roots.items():
            if root_id in configured or (
                record.is_inner
                and record.path not in paths
                and owner_of(record.path, self._roots) is not None
            ):
                continue
            del context.memory.roots[root_id]
            context.memory.holds.pop(root_id, None)
            files = bytes_ = 0
            for path, directory in directories_below(self._store.snapshot, record.path):
                files += directory.listing.types.count(FILE)
                bytes_ += directory.listing.bytes
                if owner_of(path, self._roots) is None:
                    context.delta.gone.add(path)
            for table in (
                context.memory.unreachable,
                context.memory.unsettled,
                context.memory.arrived,
            ):
                for path in [p for p in table if owner_of(p, self._roots) is None]:
                    del table[path]
            if record.walked and not record.is_inner:
                context.baselines.append(_baseline(root_id, record.path, files, bytes_, "removed"))

    def _drop_on_request(self, context: ScanContext) -> None:
        """Delete what a person said is gone for good: below an offline root or an error."""
        for request in context.requests:
            root = owner_of(request.path, context.zones.all) if request.path else None
            if root is None or root.id not in context.health:
                continue
            failed = context.walked[root.id].failed if root.id in context.walked else {}
            is_offline = root.path == request.path and (
                root.path in failed or context.health[root.id].state in (OFFLINE, MISSING)
            )
            if not is_offline and request.path not in failed:
                context.answers[request.id] = f"{request.path} is neither offline nor unreachable"
                continue
            before = len(context.delta.deleted)
            for path, directory in directories_below(self._store.snapshot, request.path):
                context.delta.gone.add(path)
                context.delta.deleted.update(
                    (entry.path, entry) for entry in entries_of(path, directory)
                )
            if is_offline:
                context.memory_of(root).walked = False
                context.health[root.id] = replace(context.health[root.id], state=MISSING)
            count = len(context.delta.deleted) - before
            context.answers[request.id] = f"{count} entries below {request.path} deleted"

    # Moves

    def _find_moves(self, context: ScanContext, fingerprints: Mapping[str, bytes]) -> None:
        def ask(entries: Sequence[Entry]) -> Mapping[str, bytes]:
            unknown = [entry for entry in entries if entry.path not in fingerprints]
            if unknown:
                raise FingerprintsWantedError(unknown)
            return {
                entry.path: fingerprint
                for entry in entries
                if (fingerprint := fingerprints[entry.path])
            }

        context.moves = find_moves(context.delta, self._window(context), ask)
        context.changes = compose(context.delta, context.moves, self._store.snapshot, self._root_id)

    def _window(self, context: ScanContext) -> Window:
        """What earlier scans reported and may be half of a move, as it is now."""
        oldest = context.moment.wall - int(self._settings.move_window * 1e9)
        for table in (context.memory.gone, context.memory.arrived):
            for path in [p for p, item in table.items() if _time(item) < oldest]:
                del table[path]
        arrived: dict[str, Entry] = {}
        if context.delta.deleted and context.memory.arrived:
            view = ChainMap(context.delta.directories, self._store.snapshot)
            wanted = context.memory.arrived.keys()
            for folder in {os.path.dirname(path) for path in wanted}:
                directory = view.get(folder)
                if directory is not None and folder not in context.delta.gone:
                    for entry in entries_of(folder, directory):
                        if entry.path in wanted:
                            arrived[entry.path] = entry
        return Window({path: gone.entry for path, gone in context.memory.gone.items()}, arrived)

    def _root_id(self, path: str) -> str:
        owner = owner_of(path, self._roots)
        return owner.id if owner else ""

    # Hold and growth

    def _hold_back(self, context: ScanContext) -> None:
        """Keep back deletions that look like a lost mount (rule 2)."""
        deletions: dict[str, list[Change]] = {}
        sure = dict.fromkeys(self._sure_deletions(context), "")
        for change in context.changes:
            if change.kind == DELETED and nearest_above(change.path, sure) is None:
                owner = owner_of(change.path, context.zones.all)
                deletions.setdefault(owner.id if owner else "", []).append(change)
        # What belongs to a zone that was not walked now cannot have been proven gone.
        held = {
            change.path
            for zone_id, changes in deletions.items()
            if zone_id not in context.walked
            for change in changes
        }
        for root in context.roots:
            if root.id not in context.walked:
                continue
            hold = context.old.holds.get(root.id)
            verdict = hold_back(
                self._loss(root, deletions.get(root.id, []), context),
                hold,
                self._limits(root),
                context.moment,
                self._accepted(root, context),
            )
            held |= verdict.held
            context.memory.holds.pop(root.id, None)
            if verdict.hold is not None:
                context.memory.holds[root.id] = verdict.hold
        if held:
            keep_entries(context.delta, self._store.snapshot, held)
            context.changes = [
                change
                for change in context.changes
                if change.kind != DELETED or change.path not in held
            ]

    def _sure_deletions(self, context: ScanContext) -> list[str]:
        """Zones whose deletions cannot be a lost mount: something else stands there now, they
        moved away, or a person asked for it."""
        replaced = [path for path in context.delta.deleted if path in context.delta.created]
        moved = [move.source.path for move in context.moves.directories]
        asked = [request.path for request in context.requests if request.path]
        links = [path for path in context.zones.targets if path in context.delta.deleted]
        return [*replaced, *moved, *asked, *links]

    def _loss(self, root: Root, deletions: Sequence[Change], context: ScanContext) -> Loss:
        if not deletions:
            return Loss(root.id, (), 0, lists_empty=False)
        known = sum(
            directory.listing.types.count(FILE)
            for _, directory in directories_below(self._store.snapshot, root.path)
        )
        top = context.delta.directories.get(root.path) or self._store.snapshot[root.path]
        is_remote = context.health[root.id].mount.is_remote
        return Loss(
            root.id,
            deletions,
            known,
            lists_empty=_is_empty(top),
            needs_accept=is_remote and root.kind in ONLY_A_PERSON,
            folders=self._alarming_folders(root, deletions, context) if is_remote else frozenset(),
        )

    def _alarming_folders(
        self, zone: Root, deletions: Sequence[Change], context: ScanContext
    ) -> frozenset[str]:
        """Folders of a remote mount that are still there and lost as much as a lost mount would."""
        lost: dict[str, int] = defaultdict(int)
        for change in deletions:
            folder = os.path.dirname(change.path)
            while change.type == "file" and is_below(folder, zone.path):
                if folder not in context.delta.gone:
                    lost[folder] += 1
                folder = os.path.dirname(folder)
        losses = []
        for folder, count in lost.items():
            now = context.delta.directories.get(folder) or self._store.snapshot.get(folder)
            known = sum(
                directory.listing.types.count(FILE)
                for _, directory in directories_below(self._store.snapshot, folder)
            )
            losses.append(
                FolderLoss(folder, known, count, lists_empty=now is not None and _is_empty(now))
            )
        return alarming_folders(losses, self._limits(zone))

    def _limits(self, root: Root) -> Limits:
        own = self._settings.for_root(root)
        return Limits(own.loss_fraction, own.loss_files)

    def _accepted(self, root: Root, context: ScanContext) -> frozenset[str]:
        accepted: set[str] = set()
        for request in context.requests:
            if request.root == root.id:
                paths = request.paths or frozenset(context.delta.deleted)
                accepted |= paths
                gone = len(paths.intersection(context.delta.deleted))
                context.answers[request.id] = f"{root.id}: accepted, {gone} deletions committed"
        return frozenset(accepted)

    def _settle_growth(self, context: ScanContext) -> None:
        def listed_now(folder: str) -> Directory | None:
            known = None if folder in context.delta.gone else self._store.snapshot.get(folder)
            return context.delta.directories.get(folder, known)

        walked = [root for root in context.roots if root.id in context.walked]
        arrived = {move.target.path for move in context.moves.files}
        for move in context.moves.directories:
            # Their line is the folder's: whatever they were before, it says what they are now.
            arrived.update(p for p in context.delta.modified if is_below(p, move.target.path))
        growth = find_growing(
            context.delta,
            context.memory.unsettled,
            unfinished=Signs(listed_now),
            was_unfinished=Signs(self._store.snapshot.get),
            moved=arrived,
            was_walked=lambda path: owner_of(path, context.zones.all) in walked,
            now=context.moment.wall,
            every=int(self._settings.unsettled_every * 1e9),
        )
        context.memory.unsettled = growth.unsettled
        if growth.growing:
            self._store.note_annotations()
            keep_entries(context.delta, self._store.snapshot, set(growth.growing))
            context.changes = [
                change for change in context.changes if change.path not in growth.growing
            ]

    # Packs

    def _follow_packs(self, context: ScanContext) -> None:
        """Bring the records of node packs to what was read of them, and where they stand now.

        Like a file's fingerprint a record stays until something better is known: of packs that
        were not read now, and of those below what is offline.
        """
        old = context.old.packs
        view = ChainMap(context.delta.directories, self._store.snapshot)
        moves = [*context.moves.directories, *context.moves.files]
        origins = {move.target.path: move.source.path for move in moves}
        told: dict[str, PackChange] = {}
        followed: set[str] = set()
        context.memory.packs = {}
        for path, is_directory in self._pack_places(context, view):
            origin = _origin(path, origins)
            followed.add(origin if origin in old else path)
            known = old.get(origin) or old.get(path)
            found = context.packs.get(path) if is_directory else pack_of_file(path)
            pack = record_of(path, found, known)
            if pack is not None:
                context.memory.packs[path] = pack
                if known is None or differs(pack, known):
                    told[path] = PackChange(known, pack)
        for path in old.keys() - context.memory.packs.keys() - followed:
            told[path] = PackChange(old[path], None)
        context.changes = tell_packs(context.changes, told, view, self._root_id)
        if context.memory.packs == old:
            context.memory.packs = old
        else:
            self._store.note_annotations()

    def _pack_places(
        self, context: ScanContext, view: Mapping[str, Directory]
    ) -> list[tuple[str, bool]]:
        def is_there(path: str) -> bool:
            return path not in context.delta.gone or path in context.delta.directories

        return [
            (path, is_directory)
            for root in self._roots
            if root.kind == KIND and is_there(root.path)
            for path, is_directory in pack_places(view, root.path)
            if not is_directory or is_there(path)
        ]


def _origin(path: str, origins: Mapping[str, str]) -> str:
    """Where `path` was before what moved in this scan, by target, moved; `path` itself if it did
    not."""
    above = nearest_above(path, origins)
    return path if above is None else origins[above] + path[len(above) :]


def _is_empty(directory: Directory) -> bool:
    """Whether the folder lists nothing at all, ignored names included."""
    return not (len(directory.listing) or directory.listing.unstatted or directory.ignored)


def _time(item: Gone | int) -> int:
    return item.time if isinstance(item, Gone) else item


def _baseline(root_id: str, path: str, files: int, bytes_: int, reason: str) -> Change:
    return Change(BASELINE, "directory", path, root_id, files=files, bytes=bytes_, reason=reason)
