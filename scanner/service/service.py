"""The program at work: one output opened, scanned once or on a schedule, told and closed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scanner import __version__
from scanner.comfyui.installation import Found
from scanner.core.changes import BASELINE
from scanner.core.memory import ONLINE, STALLED, RootRecord
from scanner.core.progress import Display, Progressed
from scanner.core.roots import Root
from scanner.core.serialize import path_fields, readable, shown, time_text
from scanner.core.wording import count_text, seconds_text
from scanner.disk.filesystem import FileSystem
from scanner.errors import InventoryError, OutputError
from scanner.output.file_names import Outputs
from scanner.output.status_file import write_status
from scanner.scan import Scanner, ScanResult
from scanner.service.change_lines import change_lines, counts_text
from scanner.service.fingerprints import FingerprintReader
from scanner.service.lanes import LOCAL, _Lane, _paced, lane_name
from scanner.service.pace import Pace
from scanner.service.status_report import _last_scan
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration
from scanner.store.projection import root_states, unreachable
from scanner.store.store import Store
from scanner.workers.pool import WorkersByMount

if TYPE_CHECKING:
    from scanner.service.schedule import Trigger
log = logging.getLogger(__name__)

MARGIN = 0.2
"""Seconds before a lane's next pass at which work on the backlog ends."""

EXIT_PATIENCE = 0.8
"""Seconds that the end of `run` waits for a pass to notice it: 2 s after SIGTERM we are gone
(design rule 3)."""

HEARTBEAT = 5.0
"""Seconds between statuses while the backlog is worked off."""


class Service:
    """One output, opened: holds the lock from `opened` to the end."""

    def __init__(
        self, settings: Settings, found: Found, outputs: Outputs, files: FileSystem
    ) -> None:
        self.settings = settings
        self.found = found
        self.outputs = outputs
        self._files = files
        self._stop = threading.Event()
        self._started = files.now()
        self._next_due: Callable[[str], str | None] = lambda lane: None
        self._set_every: Callable[[str, float], None] = lambda lane, seconds: None
        self._status_lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}
        self._assigning = threading.Lock()
        store = Store.open(settings, outputs, found.base, files)
        if not found.is_complete:
            self.found = found = _with_known_roots(found, store.memory.roots.values())
        self._workers = WorkersByMount.from_settings(settings, files, self._stop.is_set)
        self.scanner = Scanner(files, store, _paced(settings), found.roots, self._workers)
        self._assign()

    def _assign(self) -> list[_Lane]:
        """Put every root into the lane of its mount; the lanes that are new.

        Done again before each pass: a share that is mounted while we run gets a lane of its own
        before anything on it is touched.
        """
        with self._assigning:
            mounts = self._files.mounts()
            roots: dict[str, list[Root]] = {name: [] for name in self._lanes}
            zones = self.scanner.zones()
            for root in zones.all:
                name = lane_name(zones.mount_of(root, mounts))
                roots.setdefault(name, []).append(root)
            new = [_Lane(name, pace=self._pace()) for name in roots if name not in self._lanes]
            self._lanes.update((lane.id, lane) for lane in new)
            for name, own in roots.items():
                self._lanes[name].roots = own
            return new

    def _pace(self) -> Pace | None:
        settings = self.settings
        return Pace(settings.auto_duty, settings.first_every) if settings.is_paced else None

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stop.is_set()

    # One pass

    def scan_once(self, display: Display) -> ScanResult:
        """All roots, one commit; looks again at what is held; then some of the backlog.

        Raises OutputError. What changed in all passes is in the result.
        """
        every = _Lane("all", list(self.scanner.zones().all))
        self._lanes = {every.id: every}
        result = self._pass(every, self.settings.first_every, display)
        result = self._pass_new_zones(every, result, display)
        wait = self.settings.hold_wait
        if result.new_holds and wait > 0 and not self._stop.is_set():
            log.info("Looking again in %s.", format_duration(wait))
            if not self._stop.wait(wait):
                again = self._pass(every, wait, display)
                again.changes = [*result.changes, *again.changes]
                result = again
        if self.settings.backlog_time > 0 and result.is_complete:
            deadline = time.monotonic() + self.settings.backlog_time
            self._read_backlog(every, lambda: deadline - time.monotonic(), display)
            self._read_contents(every, lambda: deadline - time.monotonic(), display)
        return result

    def _pass_new_zones(self, every: _Lane, result: ScanResult, display: Display) -> ScanResult:
        """Mounts that the walk has met behind links are walked as well."""
        while True:
            new = [zone for zone in self.scanner.zones().all if zone not in every.roots]
            if not new or self._stop.is_set() or not result.is_complete:
                return result
            lane = _Lane("new", new)
            added = self._pass(lane, self.settings.first_every, display)
            every.roots += new
            result.merge(added)

    def _pass(self, lane: _Lane, interval: float, display: Display) -> ScanResult:
        old_states = self._states()
        lane.is_scanning = True
        try:
            result = self.scanner.scan(
                lane.roots,
                interval=interval,
                stopped=self._stop.is_set,
                progress=display.walking,
            )
        finally:
            lane.is_scanning = False
            display.idle()
        if not result.is_complete:
            return result
        lane.last, lane.error = result, ""
        self._tell(result, old_states)
        self.scanner.publish(is_last=False)
        return result

    def _states(self) -> dict[str, tuple[str, str]]:
        return {
            root_id: (record.state, record.reason)
            for root_id, record in self.scanner.store.memory.roots.items()
        }

    def _tell(self, result: ScanResult, old_states: Mapping[str, tuple[str, str]]) -> None:
        for line in change_lines(result.changes, self.found.base):
            log.info("%s", readable(line))
        for root_id, (state, reason) in self._states().items():
            if old_states.get(root_id) != (state, reason) and root_id in result.zones:
                self._tell_state(root_id, state, reason, root_id in old_states)
        log.debug(
            "scan %d: %s in %s, %s, %.2f s",
            result.scan,
            count_text(result.files, "file"),
            count_text(result.directories, "folder"),
            counts_text(result.changes),
            result.seconds,
        )

    def _tell_state(self, root_id: str, state: str, reason: str, is_known: bool) -> None:
        told = readable(root_id)
        if state == ONLINE:
            if is_known:
                log.info("%s is online again.", told)
        elif state == "missing":
            log.warning("%s is not there (%s): waiting for it.", told, reason)
        else:
            log.warning("%s is %s (%s): its entries are kept.", told, state, reason)

    def _read_backlog(
        self, lane: _Lane, seconds_left: Callable[[], float], display: Display
    ) -> None:
        if lane.backlog is None:
            lane.backlog = FingerprintReader(self.scanner, lambda: lane.roots)
        backlog = lane.backlog
        told = time.monotonic()

        def progress(done: Progressed) -> None:
            nonlocal told
            lane.work = done.left
            display.reading(done)
            if time.monotonic() - told >= HEARTBEAT:
                told = time.monotonic()
                self.write_status("running")

        started = time.monotonic()
        before = backlog.size()
        try:
            lane.work = backlog.work(
                lambda: self._stop.is_set() or seconds_left() <= 0, progress, seconds_left
            )
        finally:
            display.idle()
        done = before.files - lane.work.files
        if done >= BACKLOG_WORTH_TELLING:
            log.info(
                "fingerprints of %s taken in %s, %s left",
                count_text(done, "file"),
                format_duration(round(time.monotonic() - started, 1)),
                f"{lane.work.files:,}",
            )

    def _read_contents(
        self, lane: _Lane, seconds_left: Callable[[], float], display: Display
    ) -> None:
        """Headers of models, and whole files where that is wanted: last, and a piece at a time."""
        settings = self.settings
        if not (settings.facts or settings.hash):
            return
        from scanner.service.contents import ContentReader, sight_of

        if lane.reader is None:
            lane.reader = ContentReader(
                sight_of(self.scanner),
                self.scanner.unhashed_folders,
                settings.hash,
                settings.facts,
                settings.hash_rate,
                lambda: lane.roots,
            )

        told = time.monotonic()

        def progress(done: Progressed) -> None:
            nonlocal told
            lane.unhashed = done.left
            display.reading(done, "hashes")
            if time.monotonic() - told >= HEARTBEAT:
                told = time.monotonic()
                self.write_status("running")

        try:
            lane.unhashed = lane.reader.work(self._stop.is_set, progress, seconds_left)
        finally:
            display.idle()

    # The loop

    def run(self, trigger: Trigger, display: Display) -> bool:
        """Scan on schedule until `stop`. False where a pass is stuck and must be left behind."""
        from scanner.service.schedule import Schedule

        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        schedule = Schedule(trigger)

        def add(lane: _Lane) -> None:
            schedule.add(lane.id, self._lane_pass(lane, display, add))

        for lane in self._lanes.values():
            add(lane)

        def next_due(lane_id: str) -> str | None:
            due = schedule.next_due(lane_id)
            return time_text(int(due.timestamp() * 1e9)) if due else None

        self._next_due = next_due
        self._set_every = schedule.set_every
        self.write_status("running")
        return schedule.run(self._stop, EXIT_PATIENCE)

    def _lane_pass(
        self, lane: _Lane, display: Display, add: Callable[[_Lane], None]
    ) -> Callable[[Callable[[], float]], None]:
        def run(seconds_left: Callable[[], float]) -> None:
            for new in self._assign():
                add(new)
            if self._stop.is_set() or not lane.roots:
                return
            try:
                result = self._pass(lane, self._interval(lane, seconds_left), display)
                self._keep_pace(lane, result)
                self.write_status("running")
                self._read_backlog(lane, lambda: seconds_left() - MARGIN, display)
                self._read_contents(lane, lambda: seconds_left() - MARGIN, display)
                self.scanner.publish(is_last=False)
            except InventoryError as error:
                # Told once per pass; what could not be written is made up for by the next one.
                lane.error = str(error)
                log.error("%s", error)
            with suppress(OutputError):
                self.write_status("running")

        return run

    def _interval(self, lane: _Lane, seconds_left: Callable[[], float]) -> float:
        """Seconds between passes, a little less than the schedule says: a pass that starts a few
        milliseconds early must still count as the next one."""
        every = self._every(lane)
        return max(1.0, seconds_left() * 0.9) if every is None else every * 0.9

    def _every(self, lane: _Lane) -> float | None:
        """Seconds between passes of `lane`; None where a crontab line says when they are."""
        if self.settings.cron:
            return None
        return lane.pace.every if lane.pace else self.settings.first_every

    def _keep_pace(self, lane: _Lane, result: ScanResult) -> None:
        """Let what a pass took decide when the next ones are."""
        pace = lane.pace
        if pace is None or not result.is_complete or not self._has_walked(lane, result):
            return
        if pace.measured(result.seconds):
            self._set_every(lane.id, pace.every)
            log.info(
                "%s: scanning every %s now: a scan takes %s.",
                "local disks" if lane.id == LOCAL else readable(lane.id),
                format_duration(pace.every),
                seconds_text(pace.typical),
            )

    def _has_walked(self, lane: _Lane, result: ScanResult) -> bool:
        """Whether a pass says what a scan takes: not if it waited for a mount that hung, or all
        folders were away. A mount that comes back is not to wait for an hour then."""
        records = self.scanner.store.memory.roots
        states = {records[root.id].state for root in lane.roots if root.id in records}
        return result.directories > 0 and STALLED not in states

    def close(self) -> None:
        """Publish what readers still lack, say that we stopped, and let go."""
        try:
            if self.scanner.commit_lock.acquire(timeout=EXIT_PATIENCE):
                try:
                    if self.scanner.store.scan:
                        self.scanner.publish(is_last=True)
                finally:
                    self.scanner.commit_lock.release()
            self.write_status("stopped")
        finally:
            self._workers.close()
            self.scanner.store.close()

    # Status

    def summary(self, result: ScanResult) -> dict[str, Any]:
        """What a one-shot scan has to say, for programs."""
        kinds: dict[str, int] = {}
        for change in result.changes:
            if change.kind != BASELINE:
                kinds[change.kind] = kinds.get(change.kind, 0) + 1
        return {
            "schema": 1,
            "scan": result.scan,
            "complete": result.is_complete,
            "seconds": round(result.seconds, 3),
            "files": result.files,
            "directories": result.directories,
            "bytes": result.bytes,
            "changes": sum(kinds.values()),
            "kinds": kinds,
            "incomplete_roots": {
                readable(root): state for root, state in result.states.items() if state != ONLINE
            },
            "backlog": {
                "files": sum(lane.work.files for lane in self._lanes.values()),
                "bytes": sum(lane.work.bytes for lane in self._lanes.values()),
            },
            "unhashed": self._unhashed(),
            "inventory": shown(self.outputs.inventory, None),
        }

    def _unhashed(self) -> dict[str, int]:
        return {
            "files": sum(lane.unhashed.files for lane in self._lanes.values()),
            "bytes": sum(lane.unhashed.bytes for lane in self._lanes.values()),
        }

    def write_status(self, state: str) -> None:
        """Replace the heartbeat file. Raises OutputError."""
        # Never without limit: a pass that is stuck may hold it while we are to end.
        if self._status_lock.acquire(timeout=EXIT_PATIENCE):
            try:
                write_status(self.outputs.status, self._status(state))
            finally:
                self._status_lock.release()

    def _status(self, state: str) -> dict[str, Any]:
        store = self.scanner.store
        memory, base = store.memory, self.found.base
        return {
            "schema": 1,
            "tool": {"name": "comfy-inventory", "version": __version__},
            "pid": os.getpid(),
            "state": state,
            "started": time_text(self._started),
            "updated": time_text(self._files.now()),
            "scan": store.scan,
            "lanes": [
                {
                    "id": readable(lane.id),
                    "state": "scanning" if lane.is_scanning else "waiting",
                    "roots": [readable(root.id) for root in lane.roots],
                    "last_scan": _last_scan(lane.last),
                    "next_due": self._next_due(lane.id),
                    "every_seconds": self._every(lane),
                    "verify_seconds": round(
                        max(map(self.scanner.verification_period, lane.roots)), 1
                    ),
                    "error": lane.error or None,
                }
                for lane in self._lanes.values()
                if lane.roots
            ],
            "backlog": {
                "files": sum(lane.work.files for lane in self._lanes.values()),
                "bytes": sum(lane.work.bytes for lane in self._lanes.values()),
            },
            "unhashed": self._unhashed(),
            "unfinished": self.scanner.unfinished,
            "roots": [
                {
                    "id": readable(root.id),
                    "kind": root.kind,
                    "path": shown(root.path, None),
                    **({"category": root.category} if root.category else {}),
                    "state": state.state,
                    "since": time_text(state.since),
                    "filesystem": state.filesystem,
                    **({"reason": state.reason} if state.reason else {}),
                }
                for root, state in root_states(store, self.found.roots)
            ],
            "holds": [
                {
                    "id": readable(hold.root),
                    "kind": hold.kind,
                    "files": hold.files,
                    "bytes": hold.bytes,
                    "since": time_text(hold.since),
                    "needs_accept": hold.needs_accept,
                }
                for hold in memory.holds.values()
            ],
            "unreachable": [
                {
                    **path_fields(place.path, base),
                    "error": place.error,
                    "since": time_text(place.since),
                }
                for place in unreachable(store)
            ],
            "journal": {
                "path": shown(self.outputs.journal, None),
                "scan": store.journal_scan,
                "bytes": store.journal_bytes,
            },
            "inventory": {
                "path": shown(self.outputs.inventory, None),
                "scan": store.inventory_scan,
                "written": time_text(store.inventory_written) if store.inventory_written else None,
                "bytes": store.inventory_bytes,
            },
        }


BACKLOG_WORTH_TELLING = 100
"""Fewer fingerprints than this are taken without a line in the log."""


def _with_known_roots(found: Found, records: Iterable[RootRecord]) -> Found:
    """`found` and the roots of earlier scans that only ComfyUI's own file may have named."""
    paths = {root.path for root in found.roots}
    known = tuple(
        record.root
        for record in records
        if record.kind in ("models", "custom_nodes")
        and not record.is_inner
        and record.path not in paths
    )
    if known:
        log.warning(
            "%s is away, so its extra_model_paths.yaml cannot be read: the folders that it named "
            "before are kept. Start again when it is back, to read it anew.",
            readable(found.comfy_root or ""),
        )
    return replace(found, roots=(*found.roots, *known))
