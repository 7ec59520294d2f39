"""One pass: guard, walk, guard, compare, moves, hold or commit, publish."""

from __future__ import annotations

import logging
import os
import threading
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from scanner.changelist import carry_fingerprints, compose
from scanner.changes import BASELINE, DELETED, Change
from scanner.compare import Delta, adopt, compare, keep_entries
from scanner.filesystem import FileSystem, Stat
from scanner.growth import judge_growth
from scanner.guard import (
    HELD,
    MISSING,
    OFFLINE,
    ONLINE,
    PARTIAL,
    STALLED,
    FolderLoss,
    Health,
    Hold,
    KnownMount,
    Limits,
    Loss,
    Moment,
    alarming_folders,
    examine,
    judge,
    stayed_healthy,
)
from scanner.ignore import rules_for
from scanner.inventory import RootView, Unreachable, View
from scanner.membership import Members, members_of, scope_of
from scanner.mounts import Mount, mount_of
from scanner.moves import Moves, Window, find_moves, longest_source
from scanner.places import Places, find_places
from scanner.portable import shown
from scanner.roots import Root, owner_of
from scanner.settings import Settings
from scanner.snapshot import (
    CONTAINERS,
    FILE,
    Directory,
    Entry,
    directories_below,
    entries_of,
    is_below,
)
from scanner.state import Gone, Memory, Request, RootRecord, Unread
from scanner.store import Commit, Store, copy_memory
from scanner.verification import Terms, Verification
from scanner.walk import LookAt, Progress, Walk, Walked
from scanner.walker import Failed, Fingerprinted, SampleFile, Stated, StatPath
from scanner.walkers import InProcess, LostWalkerError, Walkers

log = logging.getLogger(__name__)

ONLY_A_PERSON = frozenset(("models", "custom_nodes", "extra"))
"""Kinds of remote roots that are not believed to be empty until a person says so (rule 2)."""


@dataclass
class Outcome:
    """What one pass did. `started` in nanoseconds, `seconds` of elapsed time; states by root id."""

    scan: int
    started: int
    seconds: float = 0.0
    directories: int = 0
    files: int = 0
    bytes: int = 0
    changes: list[Change] = field(default_factory=list)
    places: frozenset[str] = frozenset()
    """Ids of what was walked, mounts below roots among them."""
    states: dict[str, str] = field(default_factory=dict)
    new_holds: list[Hold] = field(default_factory=list)
    is_complete: bool = True
    """False where the pass was abandoned, and nothing committed."""

    def merge(self, other: Outcome) -> None:
        """Add what a pass over further places did."""
        self.scan, self.states = other.scan, other.states
        self.seconds += other.seconds
        self.directories += other.directories
        self.files += other.files
        self.bytes += other.bytes
        self.changes += other.changes
        self.new_holds += other.new_holds
        self.places |= other.places
        self.is_complete = other.is_complete


class RootState(NamedTuple):
    """State of a root, why, since when (nanoseconds), and the type of its file system."""

    state: str
    reason: str
    since: int
    filesystem: str


@dataclass
class _Pass:
    """What the steps of one pass hand to each other."""

    places: Places
    roots: Sequence[Root]
    """The places that this pass walks."""
    moment: Moment
    requests: Sequence[Request]
    health: dict[str, Health]
    old: Memory
    memory: Memory
    walked: dict[str, Walked] = field(default_factory=dict)
    delta: Delta = field(default_factory=Delta)
    moves: Moves = field(default_factory=Moves)
    baselines: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)

    def memory_of(self, root: Root) -> RootRecord:
        """What is known of `root`, to be changed by this pass."""
        if root.id not in self.memory.roots:
            self.memory.roots[root.id] = RootRecord(
                root.id,
                root.kind,
                root.path,
                root.category,
                is_inner=self.places.is_inner(root),
            )
        return self.memory.roots[root.id]


class _FingerprintsWantedError(Exception):
    """Moves cannot be told without the fingerprints of `entries`."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = entries


class Scanner:
    """Scans the roots of one output. Passes over different roots may run in several threads."""

    def __init__(
        self,
        files: FileSystem,
        store: Store,
        settings: Settings,
        roots: Sequence[Root],
        walkers: Walkers | None = None,
    ) -> None:
        self.files = files
        self.walkers = walkers or InProcess(files)
        self.store = store
        self.roots = tuple(roots)
        self.commit_lock = threading.RLock()
        self.unfingerprinted = dict.fromkeys(store.snapshot, files.monotonic())
        """Directories that may hold files without a fingerprint, and when their listing was last
        seen to change, by the monotonic clock."""
        self._settings = settings
        self._members = Members(
            self.roots,
            {root.id: rules_for(settings, root) for root in roots},
            settings.follow_links,
        )
        self._verifications: dict[str, Verification] = defaultdict(Verification)

    def places(self) -> Places:
        """Roots, and the mounts that begin below them, as they are now."""
        return find_places(
            self.roots,
            self.files.mounts(),
            list(self.store.memory.roots.values()),
            lambda path: self._members.has(path, True),
        )

    def scan(
        self,
        roots: Sequence[Root],
        *,
        interval: float,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] | None = None,
    ) -> Outcome:
        """Walk `roots` (some of `places().all`) and commit what differs. `interval` in seconds
        between passes.

        Raises OutputError; nothing is lost then, the next pass finds the same again.
        """
        moment = Moment(self.files.now(), self.files.monotonic(), interval)
        places = self.places()
        requests = self.store.state.requests()
        before = self._examine(roots, places, requests)
        found = {
            root.id: self._walk(root, places, before[root.id], moment, stopped, progress)
            for root in roots
            if before[root.id].state == ONLINE
        }
        outcome = Outcome(self.store.scan, moment.wall)
        if stopped():
            outcome.is_complete = False
            return outcome
        after = self._examine(roots, places, requests)
        walked = {
            root_id: walk
            for root_id, walk in found.items()
            if walk is not None and stayed_healthy(before[root_id], after[root_id])
        }
        fingerprints: dict[str, bytes] = {}
        while True:
            # Nothing is read from a disk under the lock: other lanes never wait for this one.
            with self.commit_lock:
                old = self.store.memory
                run = _Pass(
                    places,
                    roots,
                    moment,
                    requests,
                    dict(after),
                    old,
                    copy_memory(old),
                    dict(walked),
                )
                try:
                    self._judge(run, fingerprints)
                except _FingerprintsWantedError as wanted:
                    entries = wanted.entries
                else:
                    outcome.scan = self._commit(run)
                    break
            taken = self.take_fingerprints(entries, stopped)
            if stopped():
                outcome.is_complete = False
                return outcome
            fingerprints.update({entry.path: taken.get(entry.path, b"") for entry in entries})
        outcome.new_holds = [
            hold for root_id, hold in run.memory.holds.items() if root_id not in old.holds
        ]
        outcome.changes = [*run.baselines, *run.changes]
        outcome.places = frozenset(root.id for root in roots)
        outcome.states = {root.id: state.state for root, state in self.root_states()}
        outcome.directories = sum(walk.directories for walk in run.walked.values())
        outcome.files = sum(walk.files for walk in run.walked.values())
        outcome.bytes = sum(walk.bytes for walk in run.walked.values())
        outcome.seconds = self.files.monotonic() - moment.monotonic
        return outcome

    def _judge(self, run: _Pass, fingerprints: Mapping[str, bytes]) -> None:
        """Everything between walk and commit, without I/O, so that it can be done again.

        Raises _FingerprintsWantedError where moves turn on fingerprints not yet taken.
        """
        self._drop_removed_roots(run)
        self._drop_on_request(run)
        self._compare(run)
        self._find_moves(run, fingerprints)
        self._hold_back(run)
        self._settle_growth(run)
        self._remember(run)

    # Guard and walk

    def _examine(
        self, roots: Iterable[Root], places: Places, requests: Iterable[Request]
    ) -> dict[str, Health]:
        """Health of each root, by id. A mount that a person accepted is not held against it."""
        mounts = self.files.mounts()
        accepted = {request.root for request in requests if not request.paths}
        found = {}
        for root in roots:
            record = self.store.memory.roots.get(root.id)
            known = None
            if record is not None and record.walked:
                known = KnownMount(record.mount_point, record.mount_identity)
                if root.id in accepted:
                    known = KnownMount("", "")
            mount = places.mount_of(root, mounts)
            try:
                stat = self._stat(root.path, mount)
            except LostWalkerError as lost:
                state = STALLED if lost.is_stalled else OFFLINE
                found[root.id] = Health(state, str(lost), mount)
            else:
                lives = replace(root, path=places.targets.get(root.path, root.path))
                found[root.id] = examine(lives, stat, mounts, known)
        return found

    def _stat(self, path: str, mount: Mount) -> Stat | Failed:
        walker = self.walkers.of(mount)
        walker.ask(StatPath(path))
        answer = walker.answer()
        walker.answer()
        assert isinstance(answer, Stated | Failed)
        return answer.stat if isinstance(answer, Stated) else answer

    def _walk(
        self,
        root: Root,
        places: Places,
        health: Health,
        moment: Moment,
        stopped: Callable[[], bool],
        progress: Callable[[Progress], None] | None,
    ) -> Walked | None:
        """What is below `root`; None where its walker was lost on the way."""

        def look_at(path: str, where: str) -> Stat | Failed | None:
            owner = owner_of(where, places.all)
            mount = places.mount_of(owner, mounts) if owner else mount_of(where, mounts)
            try:
                return self._stat(path, mount)
            except LostWalkerError:
                return None

        mounts = self.files.mounts()
        started = self.files.monotonic()
        try:
            walk = self._make_walk(root, places, health, moment, look_at)
            walked = walk.run(stopped, progress)
        except LostWalkerError as lost:
            log.debug("%s: %s", root.id, lost)
            return None
        if not stopped():
            self._learn(root, health.mount, walked, started)
        return walked

    def _learn(self, root: Root, mount: Mount, walked: Walked, started: float) -> None:
        """What a walk says of the mount's directory mtimes, and of its own cost (rule 5)."""
        verification = self._verifications[root.id]
        trust = self.store.trust_of(mount)
        for path in walked.listed:
            old, new = self.store.snapshot.get(path), walked.observed.get(path)
            was_at_rest = verification.saw(path, started, mount.settle, has_changed=new is not None)
            if was_at_rest and old and new and old.listing.names != new.listing.names:
                trust.learn(mount, path, has_moved=old.mtime != new.mtime)
        for path in walked.failed:
            verification.lost(path)
        verification.measured(
            self.files.monotonic() - started, len(walked.listed), walked.directories
        )

    def _must_list(self, root: Root, mount: Mount, moment: Moment) -> Callable[[str], bool]:
        """Which known directories a walk of `root` lists although their mtime has not moved."""
        memory = self.store.memory
        restless = {os.path.dirname(path) for path in memory.unsettled} | memory.unreachable.keys()

        def is_hot(path: str) -> bool:
            return path in restless or bool(self.store.snapshot[path].listing.unread)

        terms = Terms(moment.interval, self._settings.verify_within, self._settings.duty)
        return self._verifications[root.id].plan(
            terms, is_trusted=self.store.trust_of(mount).is_earned(mount), hot=is_hot
        )

    def verification_period(self, root: Root) -> float:
        """Seconds within which every file of `root` is read again, as things stand."""
        return self._verifications[root.id].period

    def _make_walk(
        self,
        root: Root,
        places: Places,
        health: Health,
        moment: Moment,
        look_at: LookAt,
    ) -> Walk:
        return Walk(
            self.walkers.of(health.mount),
            root.path,
            self.store.snapshot,
            self._members.of_walk(root, places, self.store.outputs.is_own),
            has_inodes=health.mount.has_stable_inodes,
            rematch=self._has_new_rules(root, places),
            look_at=look_at,
            must_list=self._must_list(root, health.mount, moment),
        )

    def _has_new_rules(self, place: Root, places: Places) -> bool:
        root = places.root_of(place)
        record = self.store.memory.roots.get(root.id)
        if record is None or not record.walked:
            # A root that is new inside or around others takes over what they have walked.
            return root.path in self.store.snapshot
        return self._members.differs_from(root, record)

    # Compare

    def _compare(self, run: _Pass) -> None:
        old_members = members_of(run.old.roots.values())
        for root in run.roots:
            walked = run.walked.get(root.id)
            if walked is None:
                continue
            if root.path in walked.failed:
                # The folder itself answers with an error: the root is offline (rule 2).
                run.health[root.id] = Health(
                    OFFLINE if run.memory_of(root).walked else MISSING,
                    walked.failed[root.path].error,
                    run.health[root.id].mount,
                )
                del run.walked[root.id]
                continue
            self._refuse_loops(run, walked)
            has_new_rules = self._has_new_rules(root, run.places)
            if root.path in self.store.snapshot:
                scope = scope_of(
                    root,
                    run.places,
                    walked,
                    self._members,
                    old_members if has_new_rules else None,
                )
                compare(self.store.snapshot, walked, run.delta, scope)
            else:
                adopt(walked, run.delta)
            reason = self._baseline_reason(root, run.places, has_new_rules)
            if reason:
                root_id = run.places.root_of(root).id
                run.baselines.append(
                    _baseline(root_id, root.path, walked.files, walked.bytes, reason)
                )

    def _refuse_loops(self, run: _Pass, walked: Walked) -> None:
        """Links to other mounts that lead back to where they were met are not entered."""
        for path, target in list(walked.foreign.items()):
            if run.places.is_loop(path, target):
                del walked.foreign[path]
                walked.closed.add(path)

    def _remember_links(self, run: _Pass) -> None:
        """Links to folders on other mounts become places of their own, and end with the link."""
        listed = {path for walked in run.walked.values() for path in walked.listed}
        foreign: dict[str, str] = {}
        for walked in run.walked.values():
            foreign.update(walked.foreign)
        for place in run.places.inner:
            record = run.memory.roots.get(place.id)
            if record is None or not record.target or place.path in foreign:
                continue
            if os.path.dirname(place.path) in listed or place.path in run.delta.gone:
                del run.memory.roots[place.id]
                run.memory.holds.pop(place.id, None)
        for path, target in foreign.items():
            root = owner_of(path, self.roots)
            if root is None or path in run.delta.gone:
                continue
            place = Root(root.kind, path, root.category)
            record = run.memory.roots.setdefault(
                place.id, RootRecord(place.id, place.kind, path, place.category, is_inner=True)
            )
            if record.target != target:
                # Elsewhere now: what it leads to is compared, not held against it.
                record.target, record.mount_identity = target, ""

    def _baseline_reason(self, root: Root, places: Places, has_new_rules: bool) -> str:
        record = self.store.memory.roots.get(root.id)
        if record is None or not record.walked:
            return "mounted" if places.is_inner(root) else "added"
        if root.id in self.store.rebuilt_roots:
            return "state lost"
        return "rules changed" if has_new_rules else ""

    def _drop_removed_roots(self, run: _Pass) -> None:
        """Forget what only roots of earlier settings held: a baseline each (rule 9)."""
        configured = {root.id for root in self.roots}
        for root_id, record in run.old.roots.items():
            if root_id in configured or (
                record.is_inner and owner_of(record.path, self.roots) is not None
            ):
                continue
            del run.memory.roots[root_id]
            run.memory.holds.pop(root_id, None)
            files = bytes_ = 0
            for path, directory in directories_below(self.store.snapshot, record.path):
                files += directory.listing.types.count(FILE)
                bytes_ += sum(directory.listing.sizes)
                if owner_of(path, self.roots) is None:
                    run.delta.gone.add(path)
            for table in (run.memory.unreachable, run.memory.unsettled, run.memory.arrived):
                for path in [p for p in table if owner_of(p, self.roots) is None]:
                    del table[path]
            if record.walked and not record.is_inner:
                run.baselines.append(_baseline(root_id, record.path, files, bytes_, "removed"))

    def _drop_on_request(self, run: _Pass) -> None:
        """Delete what a person said is gone for good: below an offline root or an error."""
        for request in run.requests:
            root = owner_of(request.path, run.places.all) if request.path else None
            if root is None or root.id not in run.health:
                continue
            is_offline = root.path == request.path and run.health[root.id].state in (
                OFFLINE,
                MISSING,
            )
            failed = run.walked[root.id].failed if root.id in run.walked else {}
            if not is_offline and request.path not in failed:
                run.answers[request.id] = f"{request.path} is neither offline nor unreachable"
                continue
            before = len(run.delta.deleted)
            for path, directory in directories_below(self.store.snapshot, request.path):
                run.delta.gone.add(path)
                run.delta.deleted.update(
                    (entry.path, entry) for entry in entries_of(path, directory)
                )
            if is_offline:
                run.memory_of(root).walked = False
                run.health[root.id] = replace(run.health[root.id], state=MISSING)
            count = len(run.delta.deleted) - before
            run.answers[request.id] = f"{count} entries below {request.path} deleted"

    # Moves

    def _find_moves(self, run: _Pass, fingerprints: Mapping[str, bytes]) -> None:
        def ask(entries: Sequence[Entry]) -> Mapping[str, bytes]:
            unknown = [entry for entry in entries if entry.path not in fingerprints]
            if unknown:
                raise _FingerprintsWantedError(unknown)
            return {
                entry.path: fingerprint
                for entry in entries
                if (fingerprint := fingerprints[entry.path])
            }

        run.moves = find_moves(run.delta, self._window(run), ask)
        run.changes = compose(run.delta, run.moves, self.store.snapshot, self._root_id)

    def _window(self, run: _Pass) -> Window:
        """What earlier scans reported and may be half of a move, as it is now."""
        oldest = run.moment.wall - int(self._settings.move_window * 1e9)
        for table in (run.memory.gone, run.memory.arrived):
            for path in [p for p, item in table.items() if _time(item) < oldest]:
                del table[path]
        arrived: dict[str, Entry] = {}
        if run.delta.deleted and run.memory.arrived:
            view = ChainMap(run.delta.directories, self.store.snapshot)
            wanted = run.memory.arrived.keys()
            for folder in {os.path.dirname(path) for path in wanted}:
                directory = view.get(folder)
                if directory is not None and folder not in run.delta.gone:
                    for entry in entries_of(folder, directory):
                        if entry.path in wanted:
                            arrived[entry.path] = entry
        return Window({path: gone.entry for path, gone in run.memory.gone.items()}, arrived)

    def take_fingerprints(
        self, entries: Iterable[Entry], stopped: Callable[[], bool]
    ) -> dict[str, bytes]:
        """Fingerprints of the files that are still what `entries` say, by path.

        Empty for those that could not be read or have changed; files of a mount that does not
        answer are left out.
        """
        mounts = self.files.mounts()
        places = self.places()
        by_mount: dict[Mount, dict[str, Entry]] = {}
        for entry in entries:
            owner = owner_of(entry.path, places.all)
            mount = places.mount_of(owner, mounts) if owner else mount_of(entry.path, mounts)
            by_mount.setdefault(mount, {})[entry.path] = entry
        found: dict[str, bytes] = {}
        for mount, expected in by_mount.items():
            try:
                walker = self.walkers.of(mount)
                for path in reversed(expected):  # last in, first out
                    walker.ask(SampleFile(path))
                while (answer := walker.answer()) is not None and not stopped():
                    sampled = answer.sampled if isinstance(answer, Fingerprinted) else None
                    entry = expected[answer.path]
                    is_same = sampled and (sampled.size, sampled.mtime) == (
                        entry.size,
                        entry.mtime,
                    )
                    found[answer.path] = sampled.fingerprint if sampled and is_same else b""
            except LostWalkerError as lost:
                log.debug("fingerprints on %s: %s", mount.point, lost)
        return found

    def _root_id(self, path: str) -> str:
        owner = owner_of(path, self.roots)
        return owner.id if owner else ""

    # Hold and growth

    def _hold_back(self, run: _Pass) -> None:
        """Keep back deletions that look like a lost mount (rule 2)."""
        deletions: dict[str, list[Change]] = {}
        sure = dict.fromkeys(self._sure_deletions(run), "")
        for change in run.changes:
            if change.kind == DELETED and longest_source(change.path, sure) is None:
                owner = owner_of(change.path, run.places.all)
                deletions.setdefault(owner.id if owner else "", []).append(change)
        held: set[str] = set()
        for root in run.roots:
            if root.id not in run.walked:
                continue
            hold = run.old.holds.get(root.id)
            verdict = judge(
                self._loss(root, deletions.get(root.id, []), run),
                hold,
                self._limits(root),
                run.moment,
                self._accepted(root, run),
            )
            held |= verdict.held
            run.memory.holds.pop(root.id, None)
            if verdict.hold is not None:
                run.memory.holds[root.id] = verdict.hold
        if held:
            keep_entries(run.delta, self.store.snapshot, held)
            run.changes = [
                change
                for change in run.changes
                if change.kind != DELETED or change.path not in held
            ]

    def _sure_deletions(self, run: _Pass) -> list[str]:
        """Places whose deletions cannot be a lost mount: something else stands there now, they
        moved away, or a person asked for it."""
        replaced = [path for path in run.delta.deleted if path in run.delta.created]
        moved = [move.source.path for move in run.moves.directories]
        asked = [request.path for request in run.requests if request.path]
        return [*replaced, *moved, *asked]

    def _loss(self, root: Root, deletions: Sequence[Change], run: _Pass) -> Loss:
        if not deletions:
            return Loss(root.id, (), 0, lists_empty=False)
        known = sum(
            directory.listing.types.count(FILE)
            for _, directory in directories_below(self.store.snapshot, root.path)
        )
        top = run.delta.directories.get(root.path) or self.store.snapshot[root.path]
        is_remote = run.health[root.id].mount.is_remote
        return Loss(
            root.id,
            deletions,
            known,
            lists_empty=_is_empty(top),
            needs_accept=is_remote and root.kind in ONLY_A_PERSON,
            folders=self._alarming_folders(root, deletions, run) if is_remote else frozenset(),
        )

    def _alarming_folders(
        self, place: Root, deletions: Sequence[Change], run: _Pass
    ) -> frozenset[str]:
        """Folders of a remote mount that are still there and lost as much as a lost mount would."""
        lost: dict[str, int] = defaultdict(int)
        for change in deletions:
            folder = os.path.dirname(change.path)
            while change.type == "file" and is_below(folder, place.path):
                if folder not in run.delta.gone:
                    lost[folder] += 1
                folder = os.path.dirname(folder)
        losses = []
        for folder, count in lost.items():
            now = run.delta.directories.get(folder) or self.store.snapshot.get(folder)
            known = sum(
                directory.listing.types.count(FILE)
                for _, directory in directories_below(self.store.snapshot, folder)
            )
            losses.append(
                FolderLoss(folder, known, count, lists_empty=now is not None and _is_empty(now))
            )
        return alarming_folders(losses, self._limits(place))

    def _limits(self, root: Root) -> Limits:
        own = self._settings.for_root(root)
        return Limits(own.loss_fraction, own.loss_files)

    def _accepted(self, root: Root, run: _Pass) -> frozenset[str]:
        accepted: set[str] = set()
        for request in run.requests:
            if request.root == root.id:
                paths = request.paths or frozenset(run.delta.deleted)
                accepted |= paths
                gone = len(paths.intersection(run.delta.deleted))
                run.answers[request.id] = f"{root.id}: accepted, {gone} deletions committed"
        return frozenset(accepted)

    def _settle_growth(self, run: _Pass) -> None:
        walked = [root for root in run.roots if root.id in run.walked]
        arrived = {move.target.path for move in run.moves.files}
        for move in run.moves.directories:
            # Their line is the folder's: whatever they were before, it says what they are now.
            arrived.update(p for p in run.delta.modified if is_below(p, move.target.path))
        growth = judge_growth(
            run.delta,
            run.memory.unsettled,
            moved=arrived,
            was_walked=lambda path: owner_of(path, run.places.all) in walked,
            now=run.moment.wall,
            every=int(self._settings.unsettled_every * 1e9),
        )
        run.memory.unsettled = growth.unsettled
        if growth.growing:
            self.store.note_annotations()
            keep_entries(run.delta, self.store.snapshot, set(growth.growing))
            run.changes = [change for change in run.changes if change.path not in growth.growing]

    # Commit

    def _remember(self, run: _Pass) -> None:
        carry_fingerprints(run.delta, run.moves, self.store.snapshot)
        self._remember_links(run)
        self._remember_window(run)
        self._remember_unreachable(run)
        for root in run.roots:
            if (
                run.places.is_inner(root)
                and root.path in run.places.targets
                and (root.id not in run.memory.roots)
            ):
                continue  # the link was removed while what it leads to was walked
            record = run.memory_of(root)
            health = run.health[root.id]
            walked = run.walked.get(root.id)
            state, reason = health.state, health.reason
            if walked is not None:
                record.walked = True
                record.mount_point = health.mount.point
                record.mount_identity = health.mount.identity
                if not record.is_inner:
                    self._members.sign(root, record)
                if root.id in run.memory.holds:
                    hold = run.memory.holds[root.id]
                    state, reason = HELD, f"{hold.files} files are gone; waiting to be sure"
                elif walked.failed:
                    state, reason = PARTIAL, f"{len(walked.failed)} folders cannot be read"
            elif state == ONLINE:
                state, reason = OFFLINE, "it went away while it was walked"
            record.filesystem = health.mount.type
            record.category = root.category
            record.reason = reason
            if record.state != state or not record.since:
                record.state, record.since = state, run.moment.wall

    def _remember_window(self, run: _Pass) -> None:
        memory, now = run.memory, run.moment.wall
        for path in [p for p in memory.arrived if p in run.delta.deleted]:
            del memory.arrived[path]
        for path, entry in run.delta.deleted.items():
            if entry.type not in CONTAINERS:
                memory.gone[path] = Gone(now, entry)
        for path in run.delta.created:
            memory.gone.pop(path, None)
            memory.arrived[path] = now
        for path, (before, after) in run.delta.modified.items():
            if before.size != after.size:
                memory.arrived[path] = now
        for move in run.moves.files:
            memory.gone.pop(move.source.path, None)
            # A file renamed after it was copied still waits for its source to go.
            arrived = run.old.arrived.get(move.source.path)
            memory.arrived.pop(move.target.path, None)
            if arrived is not None:
                memory.arrived[move.target.path] = arrived
        for move in run.moves.directories:
            for path in [p for p in memory.gone if is_below(p, move.source.path)]:
                del memory.gone[path]
            for path in [p for p in memory.arrived if is_below(p, move.target.path)]:
                del memory.arrived[path]

    def _remember_unreachable(self, run: _Pass) -> None:
        for root in run.roots:
            walked = run.walked.get(root.id)
            if walked is None:
                continue
            known = {
                path: unread
                for path, unread in run.old.unreachable.items()
                if owner_of(path, run.places.all) == root
                and not (path == root.path and run.places.is_inner(root))
            }
            for path in known:
                del run.memory.unreachable[path]
            for path, failure in walked.failed.items():
                since = known[path].since if path in known else run.moment.wall
                run.memory.unreachable[path] = Unread(failure.error, since)

    def _commit(self, run: _Pass) -> int:
        states = {
            root_id: (record.state, record.reason) for root_id, record in run.memory.roots.items()
        }
        old_states = {
            root_id: (record.state, record.reason) for root_id, record in run.old.roots.items()
        }
        directories = {
            path: directory
            for path, directory in run.delta.directories.items()
            if self.store.snapshot.get(path) != directory
        }
        changes = [*run.baselines, *run.changes]
        scan = self.store.commit(
            Commit(
                directories,
                sorted(run.delta.gone),
                changes,
                run.memory,
                list(run.answers.items()),
                is_visible=bool(changes)
                or states != old_states
                or run.memory.unreachable.keys() != run.old.unreachable.keys(),
            ),
            run.moment.wall,
        )
        self.unfingerprinted.update(dict.fromkeys(directories, self.files.monotonic()))
        for path in run.delta.gone - directories.keys():
            self.unfingerprinted.pop(path, None)
            for verification in self._verifications.values():
                verification.lost(path)
        return scan

    # Projections

    def root_states(self) -> list[tuple[Root, RootState]]:
        """The roots that were looked at, each with its state: online only if all mounts below it
        are."""
        memory = self.store.memory
        troubled: dict[str, RootRecord] = {}
        for record in self._offline_mounts():
            owner = owner_of(record.path, self.roots)
            if owner is not None:
                troubled.setdefault(owner.id, record)
        states = []
        for root in self.roots:
            own = memory.roots.get(root.id)
            if own is None:
                continue
            state = RootState(own.state, own.reason, own.since, own.filesystem)
            if root.id in troubled and own.state == ONLINE:
                inner = troubled[root.id]
                reason = f"{shown(inner.path, self.store.base)} is {inner.state}: {inner.reason}"
                state = RootState(PARTIAL, reason, inner.since, own.filesystem)
            states.append((root, state))
        return states

    def unreachable(self) -> list[Unreachable]:
        """Places that answer with errors, sorted: their entries are the last known ones."""
        found = [
            Unreachable(path, unread.error, unread.since)
            for path, unread in self.store.memory.unreachable.items()
        ]
        found += [
            Unreachable(record.path, f"{record.state}: {record.reason}", record.since)
            for record in self._offline_mounts()
        ]
        return sorted(found, key=lambda place: place.path)

    def _offline_mounts(self) -> list[RootRecord]:
        return [
            record
            for record in self.store.memory.roots.values()
            if record.is_inner and record.walked and record.state not in (ONLINE, PARTIAL)
        ]

    def publish(self, *, is_last: bool) -> bool:
        """Replace the inventory where readers lack something. Raises OutputError."""
        with self.commit_lock:
            return self.store.publish(self.view, is_last=is_last, monotonic=self.files.monotonic())

    def view(self) -> View:
        """What the inventory shows now."""
        return View(
            scan=self.store.scan,
            generated=self.files.now(),
            base=self.store.base,
            roots=[
                RootView(root, state.state, state.since, state.filesystem, state.reason)
                for root, state in self.root_states()
            ],
            unreachable=self.unreachable(),
            snapshot=self.store.snapshot,
            status=dict.fromkeys(self._growing(), "unsettled"),
        )

    def _growing(self) -> list[str]:
        """Files whose present size is not reported yet."""
        growing = []
        for path, seen in self.store.memory.unsettled.items():
            folder, name = os.path.split(path)
            directory = self.store.snapshot.get(folder)
            if directory is not None:
                for row in directory.listing.rows():
                    if row.name == name and (row.size, row.mtime) != (seen.size, seen.mtime):
                        growing.append(path)
        return growing


def _is_empty(directory: Directory) -> bool:
    """Whether the folder lists nothing at all, ignored names included."""
    return not (len(directory.listing) or directory.listing.unread or directory.ignored)


def _time(item: Gone | int) -> int:
    return item.time if isinstance(item, Gone) else item


def _baseline(root_id: str, path: str, files: int, bytes_: int, reason: str) -> Change:
    return Change(BASELINE, "directory", path, root_id, files=files, bytes=bytes_, reason=reason)
