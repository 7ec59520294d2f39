"""One scan: collect (guard, walk, guard), decide, commit, publish.

`walk.collect` asks the disks, `diff.reconcile` decides, `store.store` keeps."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from scanner.core.changes import Change
from scanner.core.memory import Hold
from scanner.core.pending import PendingFolders
from scanner.core.progress import Progress
from scanner.core.roots import Root
from scanner.core.snapshot import Entry
from scanner.core.turns import Clocks, learned_from, learned_text
from scanner.diff.reconcile import (
    AbsenceWantedError,
    Decision,
    FingerprintsWantedError,
    Seen,
    reconcile,
)
from scanner.disk.filesystem import FileSystem
from scanner.disk.trust import trust_state
from scanner.settings.schema import Settings
from scanner.store.errands import Errand
from scanner.store.projection import root_states, unfinished_files, view_of
from scanner.store.store import LEARNED, Commit, Store
from scanner.walk.absence import Absence, look_for
from scanner.walk.collect import Collector
from scanner.walk.fingerprints import take_fingerprints
from scanner.walk.health import Moment
from scanner.walk.ignore import rules_for
from scanner.walk.rules import ListingRules
from scanner.walk.zone_scan import Collected
from scanner.walk.zones import RootLocations, Zones, find_zones
from scanner.workers.pool import LocalWorkers, Workers


@dataclass
class ScanResult:
    """The result of one scan.

    `started` in nanoseconds of wall time, `seconds` of elapsed time, `states` by root id.
    """

    scan: int
    started: int
    seconds: float = 0.0
    directories: int = 0
    files: int = 0
    bytes: int = 0
    changes: list[Change] = field(default_factory=list)
    zones: frozenset[str] = frozenset()
    """Ids of the zones that were asked for."""
    states: dict[str, str] = field(default_factory=dict)
    new_holds: list[Hold] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """The effects of requests of `accept`, each in a sentence."""
    is_complete: bool = True
    """False if the scan was abandoned."""
    is_committed: bool = False
    """True if something of it was committed: of several scans, the first may be and a later one
    be abandoned."""

    def merge(self, other: ScanResult) -> None:
        """Add the result of a scan of further zones; an abandoned one adds nothing."""
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
        self.answers += other.answers
        self.zones |= other.zones


class Scanner:
    """Scans the roots of one output. Scans of different zones may run in several threads.

    `commit_lock` guards the store while a scan decides and commits. It is not held while journal
    and inventory are written, which follow the store.
    """

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
        self._settings = settings
        self.roots = tuple(roots)
        self._shown_roots = self.roots
        self._leaves_turns = False
        """The roots of the last commit."""
        self._locations = RootLocations(files)
        self.commit_lock = threading.RLock()
        self._journal = Errand("change list", settings.stall_after)
        self._inventory = Errand("inventory", settings.stall_after)
        self._pending: list[PendingFolders] = []
        self.unfinished = 0
        """Files that are not whole yet, as of the last `publish`."""
        self._unfinished: dict[str, str] | None = None
        """Their status by path; None after a commit that may have changed it."""
        self._rules = _listing_rules(settings, self.roots)
        self.workers: Workers = workers or LocalWorkers(files)
        self._collector = Collector(files, self.workers, store, settings, self._rules)

    def set_roots(self, roots: Sequence[Root]) -> None:
        """Scan these roots from the next scan on. A scan that is under way is abandoned when it
        would commit: it followed other rules."""
        with self.commit_lock:
            self.roots = tuple(roots)
            self._rules = _listing_rules(self._settings, self.roots)
            self._collector = self._collector.with_rules(self._rules)

    def zones(self) -> Zones:
        """The roots, and the mounts that begin below them, as they are now."""
        return find_zones(
            self.roots,
            self._locations,
            list(self.store.memory.roots.values()),
            self._rules.has,
        )

    def pending_folders(self, *, are_read: bool = False) -> PendingFolders:
        """All folders of now, for a reader that has yet to look at each; none if they `are_read`.
        Every later commit adds those that it changes and removes those that are gone."""
        with self.commit_lock:
            pending = PendingFolders(() if are_read else self.store.snapshot)
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
        between scans.

        Raises OutputError. Nothing is lost then: the next scan finds the same again.
        """
        moment = Moment(self.files.now(), self.files.monotonic(), interval, self.files.boot())
        with self.commit_lock:
            if self.store.mend():
                for pending in self._pending:
                    pending.changed(self.store.snapshot, moment.monotonic)
            rules, collector, zones = self._rules, self._collector, self.zones()
        collected = collector.collect(
            [root for root in roots if root in zones.all],
            zones,
            self.store.state.requests(),
            moment,
            stopped=stopped,
            progress=progress,
        )
        committed = None if collected is None else self._decide(collected, rules, stopped)
        if committed is None:
            return ScanResult(self.store.scan, moment.wall, is_complete=False)
        number, decision = committed
        walks = [walked for _, walked in decision.collected.walks]
        return ScanResult(
            number,
            moment.wall,
            seconds=self.files.monotonic() - moment.monotonic,
            directories=sum(walked.directories for walked in walks),
            files=sum(walked.files for walked in walks),
            bytes=sum(walked.bytes for walked in walks),
            changes=list(decision.changes),
            zones=frozenset(root.id for root in roots),
            states={root.id: state.state for root, state in root_states(self.store, rules.roots)},
            new_holds=list(decision.new_holds),
            answers=list(decision.answers.values()),
            is_committed=True,
        )

    def _decide(
        self, collected: Collected, rules: ListingRules, stopped: Callable[[], bool]
    ) -> tuple[int, Decision] | None:
        """Decide, look at names and take the fingerprints that this needs, and commit; the scan's
        number too.

        None if it was `stopped`, or `rules` are not those of now.
        """
        fingerprints: dict[str, bytes] = {}
        absences: dict[str, Absence] = {}
        seen, own = Seen(fingerprints, absences), collected.scans.keys()
        while True:
            entries: Sequence[Entry] = ()
            names: Sequence[str] = ()
            # Nothing is read from a disk under the lock: other lanes never wait for this one.
            with self.commit_lock:
                if rules is not self._rules:
                    return None
                # Under the lock: another lane may have committed what came meanwhile.
                collected = collected.without_new_mounts(self.zones())
                try:
                    decision = reconcile(self.store, collected, rules, self._settings, seen)
                except FingerprintsWantedError as wanted:
                    entries = wanted.entries
                except AbsenceWantedError as wanted_names:
                    names = wanted_names.paths
                else:
                    number = self._commit(decision, collected.moment)
                    break
            mounts = self.files.mounts()
            absences.update(look_for(names, collected.zones, mounts, self.workers, stopped, own))
            taken = take_fingerprints(entries, collected.zones, mounts, self.workers, stopped, own)
            if stopped():
                return None
            fingerprints.update({entry.path: taken.get(entry.path, b"") for entry in entries})
        # It may fail, or hang: the scan is committed all the same.
        self._journal.run(self._deliver)
        return number, decision

    def _deliver(self) -> bool:
        self.store.deliver(self.commit_lock)
        return True

    def take_fingerprints(
        self,
        entries: Iterable[Entry],
        stopped: Callable[[], bool],
        own: Collection[Root] | None = None,
    ) -> dict[str, bytes]:
        """Fingerprints of files, by path: see `walk.fingerprints`."""
        mounts = self.files.mounts()
        return take_fingerprints(entries, self.zones(), mounts, self.workers, stopped, own)

    def verification_period(self, root: Root) -> float:
        """Seconds within which every file of `root` is read again, as things stand."""
        return self._collector.verification_period(root)

    def note_facts_read(self, pending: PendingFolders) -> None:
        """Note for the next process that no folder is `pending` for the reader of facts, if that is
        so. Raises OutputError."""
        with self.commit_lock:
            if not pending:
                self.store.note_facts_read(self.files.now())

    def take_up_turns(self) -> None:
        """Go on where the last one-shot scan left off (rule 5), and leave the place of each scan to
        the next process, in its commit. A process that does not, as `run`, leaves none: what it saw
        change last may be racy."""
        self._leaves_turns = True
        text, is_known = self.store.state.get(LEARNED), self.store.snapshot.__contains__
        self._collector.history.take_up(learned_from(text, self._clocks(), is_known))

    def _learned_text(self) -> str:
        if not self._leaves_turns:
            return ""
        return learned_text(self._collector.history.learned(), self._clocks())

    def _clocks(self) -> Clocks:
        return Clocks(self.files.now() / 1e9, self.files.monotonic(), self.files.boot())

    def _commit(self, decision: Decision, moment: Moment) -> int:
        if decision.has_annotations:
            self.store.note_annotations()
        old_unsettled = self.store.memory.unsettled
        directories = decision.directories
        self._shown_roots = self._rules.roots
        scan = self.store.commit(
            Commit(
                directories,
                sorted(decision.gone),
                decision.changes,
                decision.memory,
                [*decision.answers.items(), *self._trust_again(decision.collected)],
                decision.other_files,
                decision.shifted,
                is_visible=decision.is_visible,
                learned=self._learned_text(),
            ),
            moment.wall,
        )
        if directories or decision.gone or decision.memory.unsettled != old_unsettled:
            self._unfinished = None
        now = self.files.monotonic()
        gone = decision.gone - directories.keys()
        unread = {os.path.dirname(path) for path in decision.other_files}
        for pending in self._pending:
            pending.changed(directories.keys() | unread, now)
            pending.gone(gone)
        self._collector.forget(gone)
        return scan

    def _trust_again(self, collected: Collected) -> Iterator[tuple[int, str]]:
        """Give the trust in directory times back where a person asked for it; the answers."""
        for number, path in self.store.state.trust_requests():
            scan = collected.scan_of(path)
            if scan is not None:
                mount = scan.health.mount
                trust = self.store.trust_of(mount)
                trust.give_back()
                state = trust_state(mount, trust)
                yield number, f"{path}: trust in directory mtimes on {mount.point} is {state}."
            elif collected.zones.owner(path) is None:
                yield number, f"{path} is not scanned."

    def publish(self, *, is_last: bool) -> bool:
        """Replace the inventory if readers lack something. Raises OutputError."""
        with self.commit_lock:
            self._look_for_unfinished()
        return self._inventory.run(partial(self._publish, is_last))

    def _look_for_unfinished(self) -> dict[str, str]:
        """The status of files that are not whole yet, by path; the commit lock is held."""
        if self._unfinished is None:
            self._unfinished = unfinished_files(self.store)
            self.unfinished = len(self._unfinished)
        return self._unfinished

    def _publish(self, is_last: bool) -> bool:
        is_written = self.store.publish(
            lambda: view_of(
                self.store, self._shown_roots, self.files.now(), self._look_for_unfinished()
            ),
            is_last=is_last,
            lock=self.commit_lock,
        )
        self.store.history.keep(is_last=is_last)
        return is_written

    def set_patience(self, seconds: float | None) -> None:
        """Wait at most so long for writes of journal and inventory; None: until they are done."""
        self._journal.patience = self._inventory.patience = seconds

    @property
    def is_late(self) -> bool:
        """True if journal or inventory could not be written in that time."""
        return self._journal.is_late or self._inventory.is_late


def _listing_rules(settings: Settings, roots: tuple[Root, ...]) -> ListingRules:
    rules = {root.id: rules_for(settings, root) for root in roots}
    return ListingRules(roots, rules, settings.follow_links, settings.max_paths)
