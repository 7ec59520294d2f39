"""One pass: guard, walk, guard, compare, moves, hold or commit, publish."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scanner.core.changes import Change
from scanner.core.memory import ONLINE, Hold, copy_memory
from scanner.core.pending import PendingFolders
from scanner.core.progress import Progress
from scanner.core.roots import Root
from scanner.core.snapshot import Entry
from scanner.diff.reconcile import FingerprintsWantedError, Reconciler
from scanner.diff.scan_context import ScanContext
from scanner.disk.filesystem import FileSystem
from scanner.settings.schema import Settings
from scanner.store.projection import root_states, unfinished_files, view_of
from scanner.store.store import Commit, Store
from scanner.walk.collect import Collector
from scanner.walk.health import Moment, stayed_healthy
from scanner.walk.ignore import rules_for
from scanner.walk.rules import ListingRules
from scanner.walk.zones import Zones, find_zones
from scanner.workers.pool import LocalWorkers, Workers


@dataclass
class ScanResult:
    """What one pass did. `started` in nanoseconds, `seconds` of elapsed time; states by root id."""

    scan: int
    started: int
    seconds: float = 0.0
    directories: int = 0
    files: int = 0
    bytes: int = 0
    changes: list[Change] = field(default_factory=list)
    zones: frozenset[str] = frozenset()
    """Ids of what was walked, mounts below roots among them."""
    states: dict[str, str] = field(default_factory=dict)
    new_holds: list[Hold] = field(default_factory=list)
    is_complete: bool = True
    """False if the pass was abandoned."""
    is_committed: bool = False
    """True if something of it was committed: of several passes, the first may be and a later one
    be abandoned."""

    def merge(self, other: ScanResult) -> None:
        """Add what a pass over further zones did; an abandoned one adds nothing."""
        if not other.is_complete:
            self.is_complete = False
            return
        self.scan, self.states = other.scan, other.states
        self.seconds += other.seconds
        self.directories += other.directories
        self.files += other.files
        self.bytes += other.bytes
        self.changes += other.changes
        self.new_holds += other.new_holds
        self.zones |= other.zones


class Scanner:
    """Scans the roots of one output. Passes over different roots may run in several threads."""

    def __init__(
        self,
        files: FileSystem,
        store: Store,
        settings: Settings,
        roots: Sequence[Root],
        workers: Workers | None = None,
    ) -> None:
        self.files = files
        self.store = store
        self.roots = tuple(roots)
        self.commit_lock = threading.RLock()
        self._pending: list[PendingFolders] = []
        self.unfinished = 0
        """Files that are not whole yet, as of the last `publish`."""
        self._counted = False
        self._rules = ListingRules(
            self.roots,
            {root.id: rules_for(settings, root) for root in roots},
            settings.follow_links,
        )
        self.workers: Workers = workers or LocalWorkers(files)
        self._collector = Collector(files, self.workers, store, settings, self._rules)
        self._reconciler = Reconciler(store, settings, self._rules)

    def zones(self) -> Zones:
        """Roots, and the mounts that begin below them, as they are now."""
        return find_zones(
            self.roots,
            self.files.mounts(),
            list(self.store.memory.roots.values()),
            self._rules.has,
        )

    def pending_folders(self) -> PendingFolders:
        """All folders of now, for a reader that has yet to look at each; every later commit adds
        those that it changes and removes those that are gone."""
        with self.commit_lock:
            pending = PendingFolders(self.store.snapshot)
            self._pending.append(pending)
        return pending

    def scan(
        self,
        roots: Sequence[Root],
        *,
        interval: float,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[Progress], None] | None = None,
    ) -> ScanResult:
        """Walk `roots` (some of `zones().all`) and commit what differs. `interval` in seconds
        between passes.

        Raises OutputError; nothing is lost then, the next pass finds the same again.
        """
        moment = Moment(self.files.now(), self.files.monotonic(), interval)
        zones = self.zones()
        requests = self.store.state.requests()
        before = self._collector.examine(roots, zones, requests)
        found = {
            root.id: self._collector.walk(
                root,
                zones,
                before[root.id],
                moment,
                rematch=self._reconciler.has_new_rules(root, zones),
                stopped=stopped,
                progress=progress,
            )
            for root in roots
            if before[root.id].state == ONLINE
        }
        packs = {
            root.id: self._collector.read_packs(root, zones, before[root.id], walk, moment, stopped)
            for root in roots
            if (walk := found.get(root.id)) is not None
        }
        result = ScanResult(self.store.scan, moment.wall)
        if stopped():
            result.is_complete = False
            return result
        after = self._collector.examine(roots, zones, requests)
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
                context = ScanContext(
                    zones,
                    roots,
                    moment,
                    requests,
                    dict(after),
                    old,
                    copy_memory(old),
                    dict(walked),
                    {path: pack for id_ in walked for path, pack in packs[id_].items()},
                )
                try:
                    self._reconciler.reconcile(context, fingerprints)
                except FingerprintsWantedError as wanted:
                    entries = wanted.entries
                else:
                    result.scan, result.is_committed = self._commit(context), True
                    break
            taken = self._collector.take_fingerprints(entries, zones, stopped, roots)
            if stopped():
                result.is_complete = False
                return result
            fingerprints.update({entry.path: taken.get(entry.path, b"") for entry in entries})
        result.new_holds = [
            hold for root_id, hold in context.memory.holds.items() if root_id not in old.holds
        ]
        result.changes = [*context.baselines, *context.changes]
        result.zones = frozenset(root.id for root in roots)
        result.states = {
            root.id: state.state for root, state in root_states(self.store, self.roots)
        }
        result.directories = sum(walk.directories for walk in context.walked.values())
        result.files = sum(walk.files for walk in context.walked.values())
        result.bytes = sum(walk.bytes for walk in context.walked.values())
        result.seconds = self.files.monotonic() - moment.monotonic
        return result

    def take_fingerprints(
        self, entries: Iterable[Entry], stopped: Callable[[], bool]
    ) -> dict[str, bytes]:
        """Fingerprints of files, by path: see `Collector.take_fingerprints`."""
        return self._collector.take_fingerprints(entries, self.zones(), stopped)

    def verification_period(self, root: Root) -> float:
        """Seconds within which every file of `root` is read again, as things stand."""
        return self._collector.verification_period(root)

    def _commit(self, context: ScanContext) -> int:
        states = {
            root_id: (record.state, record.reason)
            for root_id, record in context.memory.roots.items()
        }
        old_states = {
            root_id: (record.state, record.reason) for root_id, record in context.old.roots.items()
        }
        directories = {
            path: directory
            for path, directory in context.delta.directories.items()
            if self.store.snapshot.get(path) != directory
        }
        changes = [*context.baselines, *context.changes]
        scan = self.store.commit(
            Commit(
                directories,
                sorted(context.delta.gone),
                changes,
                context.memory,
                list(context.answers.items()),
                is_visible=bool(changes)
                or states != old_states
                or context.memory.unreachable.keys() != context.old.unreachable.keys(),
            ),
            context.moment.wall,
        )
        if directories or context.delta.gone or context.memory.unsettled != context.old.unsettled:
            self._counted = False
        now = self.files.monotonic()
        gone = context.delta.gone - directories.keys()
        for pending in self._pending:
            pending.changed(directories, now)
            pending.gone(gone)
        self._collector.forget(gone)
        return scan

    def publish(self, *, is_last: bool) -> bool:
        """Replace the inventory where readers lack something. Raises OutputError."""
        with self.commit_lock:
            if not self._counted:
                self.unfinished, self._counted = len(unfinished_files(self.store)), True
            return self.store.publish(
                lambda: view_of(self.store, self.roots, self.files.now()),
                is_last=is_last,
                monotonic=self.files.monotonic(),
            )
