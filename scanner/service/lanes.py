"""A lane: the mounts that are scanned together, and the files that are read between its scans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from scanner.core.memory import STALLED
from scanner.core.mount_identity import AUTOMOUNTER
from scanner.core.pending import PendingFolders
from scanner.core.progress import Display, Progressed, Remaining
from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.core.wording import count_text, seconds_text
from scanner.disk.location import Location
from scanner.output.history_rows import Cost
from scanner.scan import Scanner, ScanResult
from scanner.service.claims import ClaimReader
from scanner.service.fingerprints import FingerprintReader
from scanner.service.headers import HeaderReader
from scanner.service.scan_log import log_scan, states_of
from scanner.service.space import SpaceReader
from scanner.service.status_report import LaneStatus
from scanner.service.unread import unread_text
from scanner.service.uses import UsesReader
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration
from scanner.store.uses import UsesTable

if TYPE_CHECKING:
    from scanner.service.hashes import HashReader
    from scanner.service.pace import Pace

log = logging.getLogger(__name__)

LOCAL = "local"
"""The lane of all local disks."""

HEARTBEAT = 5.0
"""Seconds between writes of the status while files are read."""

WORTH_LOGGING = 100
"""Fewer fingerprints than this are taken without a line in the log."""


def lane_name(location: Location) -> str:
    """The lane that walks what lives at `location`. What an automounter serves has one lane,
    mounted or not."""
    if location.automount:
        return f"{AUTOMOUNTER} {location.automount}"
    mount = location.mount
    return f"{mount.type} {mount.point}" if mount.is_remote else LOCAL


@dataclass(frozen=True)
class LaneContext:
    """The objects that all lanes of one output share."""

    scanner: Scanner
    settings: Settings
    stopped: Callable[[], bool]
    unfingerprinted: PendingFolders
    without_facts: PendingFolders
    unhashed: PendingFolders
    without_uses: PendingFolders


def lane_context(scanner: Scanner, settings: Settings, stopped: Callable[[], bool]) -> LaneContext:
    """Make the context of new lanes. Folders are kept only for the readers that the settings ask
    for."""
    return LaneContext(
        scanner,
        settings,
        stopped,
        scanner.pending_folders(),
        _without_facts(scanner) if settings.facts else PendingFolders(),
        scanner.pending_folders() if settings.hash else PendingFolders(),
        scanner.pending_folders() if settings.facts else PendingFolders(),
    )


def _without_facts(scanner: Scanner) -> PendingFolders:
    return scanner.pending_folders(are_read=scanner.store.are_facts_read(scanner.files.now()))


class Lane:
    """Mounts that are walked together, and the files that are read on them.

    One thread at a time scans and reads; other threads may ask for `status` and replace `roots`.
    """

    def __init__(self, id_: str, context: LaneContext, roots: Sequence[Root] = ()) -> None:
        self.id = id_
        self.roots = tuple(roots)
        self.error = ""
        """The error of the last turn; empty if there was none."""
        self.unfingerprinted = Remaining(0, 0)
        self.unhashed = Remaining(0, 0)
        self.unread: tuple[str, ...] = ()
        """Files that can be listed and whose content cannot be read."""
        settings, scanner = context.settings, context.scanner
        self._settings = settings
        self._scanner = scanner
        self._stopped = context.stopped
        self._last: ScanResult | None = None
        self._is_scanning = False
        self._pace = _pace(settings) if settings.is_paced else None
        self._space = SpaceReader(scanner)
        self._fingerprints = FingerprintReader(scanner, context.unfingerprinted, lambda: self.roots)
        self._claims = ClaimReader(scanner, lambda: self.roots)
        self._without_facts = context.without_facts
        self._headers = HeaderReader(scanner, context.without_facts, lambda: self.roots)
        uses = UsesTable(scanner.store.outputs.state)
        self._uses = UsesReader(scanner, context.without_uses, uses, lambda: self.roots)
        self._hashes = _hash_reader(context, lambda: self.roots) if settings.hash else None

    @property
    def last(self) -> ScanResult | None:
        """The last complete scan; None before the first one."""
        return self._last

    @property
    def every(self) -> float | None:
        """Seconds between scans; None if a crontab line says when they are."""
        if self._settings.cron:
            return None
        return self._pace.every if self._pace else self._settings.first_every

    def interval(self, seconds_left: Callable[[], float]) -> float:
        """Seconds between scans, a little less than the schedule says: a scan that starts a few
        milliseconds early must still count as the next one."""
        every = self.every
        return max(1.0, seconds_left() * 0.9) if every is None else every * 0.9

    def scan(self, interval: float, display: Display) -> ScanResult:
        """Walk the roots, commit, log what changed, and publish. Raises OutputError."""
        store = self._scanner.store
        before = states_of(store.memory)
        self._is_scanning = True
        try:
            result = self._scanner.scan(
                self.roots, interval=interval, stopped=self._stopped, progress=display.walking
            )
        finally:
            self._is_scanning = False
            display.idle()
        if result.is_complete:
            self._last, self.error = result, ""
            log_scan(result, before, states_of(store.memory), store.base, store.outputs.inventory)
            self._scanner.publish(is_last=False)
            self._space.look(self.roots)
        return result

    def keep_pace(self, result: ScanResult) -> bool:
        """Adapt the interval to the duration of a scan. True if it changed."""
        pace = self._pace
        if pace is None or not result.is_complete or not self._has_walked(result):
            return False
        if not pace.measured(result.seconds):
            return False
        log.info(
            "%s: scanning every %s now: a scan takes %s.",
            "local disks" if self.id == LOCAL else readable(self.id),
            format_duration(pace.every),
            seconds_text(pace.typical),
        )
        return True

    def note_cost(self, result: ScanResult) -> None:
        """Count what a scan cost, for the history."""
        if result.is_complete and self._has_walked(result):
            cost = Cost(readable(self.id), 1, round(result.seconds, 6), self.every)
            self._scanner.store.history.note_cost(cost)

    def _has_walked(self, result: ScanResult) -> bool:
        """True if the duration of a scan counts: not if it waited for a mount that hung, or all
        folders were away. A mount that comes back must not wait for an hour then."""
        records = self._scanner.store.memory.roots
        states = {records[root.id].state for root in self.roots if root.id in records}
        return result.directories > 0 and STALLED not in states

    def read(
        self, seconds_left: Callable[[], float], display: Display, heartbeat: Callable[[], None]
    ) -> None:
        """Read files until nothing waits or there are no `seconds_left`: fingerprints, then
        headers of models, then what workflows and pictures name, then whole files for their
        hashes, where that is wanted: those may take days.

        Calls `heartbeat` now and then. Raises OutputError.
        """

        def ends() -> bool:
            return self._stopped() or seconds_left() <= 0

        try:
            self._read_fingerprints(ends, seconds_left, display, heartbeat)
        finally:
            display.idle()
        if not ends():
            self._claims.work()
        try:
            if self._settings.facts and self._headers.work(ends, display.headers):
                self._scanner.store.note_news()
        finally:
            display.idle()
        if self._settings.facts:
            self._scanner.note_facts_read(self._without_facts)
        if self._settings.facts and not ends():
            self._uses.work(ends)
        if self._hashes is None:
            return

        def note(done: Progressed) -> None:
            self.unhashed = done.left

        try:
            progress = _progress(display, "hashes", note, heartbeat)
            self.unhashed = self._hashes.work(self._stopped, progress, seconds_left)
        finally:
            display.idle()

    def _read_fingerprints(
        self,
        ends: Callable[[], bool],
        seconds_left: Callable[[], float],
        display: Display,
        heartbeat: Callable[[], None],
    ) -> None:
        taken = 0

        def note(done: Progressed) -> None:
            nonlocal taken
            taken, self.unfingerprinted = done.files, done.left

        started = time.monotonic()
        progress = _progress(display, "fingerprints", note, heartbeat)
        self.unfingerprinted = left = self._fingerprints.work(
            ends, progress, seconds_left, display.settling
        )
        before, self.unread = self.unread, self._fingerprints.unread()
        if not set(self.unread) <= set(before):
            log.warning("%s", unread_text(self.unread))
        if taken >= WORTH_LOGGING:
            log.info(
                "fingerprints of %s taken in %s, %s left",
                count_text(taken, "file"),
                format_duration(round(time.monotonic() - started, 1)),
                f"{left.files:,}",
            )

    def status(self, next_due: datetime | None = None) -> LaneStatus:
        """The state of the lane, for the status file."""
        roots = self.roots  # another thread may replace them
        return LaneStatus(
            id=self.id,
            is_scanning=self._is_scanning,
            roots=roots,
            last=self._last,
            next_due=next_due,
            every=self.every,
            verify=max(map(self._scanner.verification_period, roots), default=0.0),
            error=self.error,
            unfingerprinted=self.unfingerprinted,
            unhashed=self.unhashed,
            unread=self.unread,
            space=self._space.found,
        )


def _pace(settings: Settings) -> Pace:
    from scanner.service.pace import Pace

    return Pace(settings.auto_duty, settings.first_every)


def _hash_reader(context: LaneContext, own: Callable[[], Sequence[Root]]) -> HashReader:
    from scanner.service.hashes import HashReader

    settings = context.settings
    return HashReader(
        context.scanner, context.unhashed, settings.hash, rate=settings.hash_rate, own=own
    )


def _progress(
    display: Display,
    what: str,
    note: Callable[[Progressed], None],
    heartbeat: Callable[[], None],
) -> Callable[[Progressed], None]:
    """Make a function that notes and displays progress, and calls `heartbeat` now and then."""
    last = time.monotonic()

    def progress(done: Progressed) -> None:
        nonlocal last
        note(done)
        display.reading(done, what)
        if time.monotonic() - last >= HEARTBEAT:
            last = time.monotonic()
            heartbeat()

    return progress
