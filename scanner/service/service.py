"""The loop: one output scanned once or on a schedule until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from scanner.core.memory import ONLINE
from scanner.core.progress import Display
from scanner.core.roots import Root
from scanner.core.wording import NOT_WRITTEN
from scanner.errors import InventoryError, OutputError
from scanner.output.file_names import Outputs
from scanner.output.status_file import write_status
from scanner.scan import Scanner, ScanResult
from scanner.service.lanes import Lane, lane_context, lane_name
from scanner.service.one_scan import scan_once
from scanner.service.root_watch import RootWatch
from scanner.service.scan_log import first_scan_text
from scanner.service.status_report import ServiceStatus, scan_summary, status_report
from scanner.settings.schema import Settings
from scanner.store.errands import PATIENCE, Errand
from scanner.store.projection import root_states

log = logging.getLogger(__name__)

MARGIN = 0.2
"""Seconds before a lane's next scan at which reading files ends."""

EXIT_PATIENCE = 0.8
"""Seconds that the end of `run` waits for a scan to notice it: 2 s after SIGTERM we are gone
(rule 3, a hang stops nothing)."""

Turn = Callable[[Callable[[], float]], None]
"""One scan of a lane, and the reading after it. Its argument gives the seconds until the lane is
due again."""


class LaneSchedule(Protocol):
    """Runs the turns of lanes: see `schedule.Schedule`."""

    def add(self, lane_id: str, turn: Turn, /) -> None: ...

    def set_every(self, lane_id: str, seconds: float, /) -> None: ...

    def next_due(self, lane_id: str, /) -> datetime | None: ...

    def run(self, stop: threading.Event, patience: float, /) -> bool: ...


class Service:
    """Scans one output. Each lane has its turns in a thread of its own.

    `_assigning` guards the lanes and their roots; the table of lanes is replaced and never
    changed, so that it can be read without the lock.
    """

    def __init__(
        self,
        settings: Settings,
        scanner: Scanner,
        stop: threading.Event,
        watch: RootWatch | None = None,
        report: Callable[[Mapping[str, Any]], None] = lambda status: None,
    ) -> None:
        """`stop` asks for the end if it is set; scanner and workers look at it as well. `watch`
        finds roots that change while we run. `report` gets every status that is written."""
        self._tell = report
        self._watch = watch
        self._scanner = scanner
        self._stop = stop
        self._context = lane_context(scanner, settings, stop.is_set)
        self._started = scanner.files.now()
        self._lanes: dict[str, Lane] = {}
        self._schedule: LaneSchedule | None = None
        self._assigning = threading.Lock()
        self._is_first = scanner.store.scan == 0
        """True until the summary of the first scan was logged."""
        self._status = Errand("status", settings.stall_after)

    @property
    def outputs(self) -> Outputs:
        """The paths of the files that are written."""
        return self._scanner.store.outputs

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    # Once

    def scan_once(self, display: Display) -> ScanResult:
        """Scan all roots as one lane: see `one_scan.scan_once`. Raises OutputError."""
        lane = Lane("all", self._context, self._scanner.zones().all)
        self._lanes = {lane.id: lane}
        self._scanner.take_up_turns()
        result = scan_once(
            lane, self._context, self._stop, display, lambda: self.write_status("running")
        )
        if result.is_complete and not self._stop.is_set():
            self._scanner.publish(is_last=False)
            self._sum_up([result], lane.unfingerprinted.files)
        return result

    def _sum_up(self, results: Sequence[ScanResult], left: int = 0) -> None:
        """Log what the first scan has learned, once."""
        if not self._is_first:
            return
        self._is_first = False
        states = [state.state for _, state in root_states(self._scanner.store, self._scanner.roots)]
        counts, unfinished = self._scanner.store.inventory.counts, self._scanner.unfinished
        log.info("%s", first_scan_text(results, states.count(ONLINE), counts, unfinished, left))

    def _sum_up_lanes(self) -> None:
        """The same, once every lane has walked and read what it could."""
        lanes = [lane for lane in self._lanes.values() if lane.roots]
        results = [lane.last for lane in lanes if lane.last is not None]
        if len(results) == len(lanes) and not any(lane.unfingerprinted.files for lane in lanes):
            self._sum_up(results)

    def summary(self, result: ScanResult) -> dict[str, Any]:
        """The summary of a one-shot scan, for programs."""
        lane = self._lanes["all"]
        return scan_summary(result, lane.status(), self._scanner.store)

    # On a schedule

    def run(self, schedule: LaneSchedule, display: Display) -> bool:
        """Scan on schedule until `stop`. False if a scan is stuck and must be left behind."""
        self._schedule = schedule
        if self.outputs.may_hang:
            self._wait_for_writes(PATIENCE)
        self._add_lanes(schedule, display)
        self.write_status("running")
        return schedule.run(self._stop, EXIT_PATIENCE)

    def _add_lanes(self, schedule: LaneSchedule, display: Display) -> None:
        for lane in self._assign():
            schedule.add(lane.id, partial(self._turn, lane, schedule, display))

    def _assign(self) -> list[Lane]:
        """Put every root into the lane of its mount. Returns the lanes that are new.

        This is done again before and after each scan: a share that is mounted while we run gets
        its own lane before anything on it is touched.
        """
        with self._assigning:
            zones, mounts = self._scanner.zones(), self._scanner.files.mounts()
            roots: dict[str, list[Root]] = {name: [] for name in self._lanes}
            for root in zones.all:
                roots.setdefault(lane_name(zones.location(root, mounts)), []).append(root)
            new = [Lane(name, self._context) for name in roots if name not in self._lanes]
            lanes = {**self._lanes, **{lane.id: lane for lane in new}}
            for name, own in roots.items():
                lanes[name].roots = tuple(own)
            self._lanes = lanes
            return new

    def _turn(
        self,
        lane: Lane,
        schedule: LaneSchedule,
        display: Display,
        seconds_left: Callable[[], float],
    ) -> None:
        """Scan `lane`, then read files until its next scan is due."""
        if self._watch is not None:
            self._watch.look()
        try:
            self._add_lanes(schedule, display)
            if self._stop.is_set() or not lane.roots:
                return
            result = lane.scan(lane.interval(seconds_left), display)
            # The walk may have mounted something by opening a folder: it may be gone by the next.
            self._add_lanes(schedule, display)
            lane.note_cost(result)
            if lane.keep_pace(result) and lane.every is not None:
                schedule.set_every(lane.id, lane.every)
            self.write_status("running")
            lane.read(
                lambda: seconds_left() - MARGIN, display, lambda: self.write_status("running")
            )
            self._scanner.publish(is_last=False)
            self._sum_up_lanes()
        except InventoryError as error:
            # Logged once per turn; the next one makes up for what could not be written.
            lane.error = str(error)
            log.error("%s", error)
        with suppress(OutputError):
            self.write_status("running")

    # The end

    def finish(self) -> None:
        """Publish the last results, and write to the status that we stopped. Raises OutputError."""
        if self.outputs.may_hang and self._schedule is not None:
            self._wait_for_writes(EXIT_PATIENCE)
        # Never wait without limit: a stuck turn may hold the lock while we have to exit.
        lock = self._scanner.commit_lock
        if lock.acquire(timeout=EXIT_PATIENCE):
            lock.release()
            if self._scanner.store.scan:
                self._scanner.publish(is_last=True)
        self.write_status("stopped")
        if self.is_late:
            raise OutputError(NOT_WRITTEN)

    @property
    def is_late(self) -> bool:
        """True if a file could not be written in time, as on a mount that hangs."""
        return self._scanner.is_late or self._status.is_late

    def _wait_for_writes(self, seconds: float) -> None:
        self._scanner.set_patience(seconds)
        self._status.patience = seconds

    def write_status(self, state: str) -> None:
        """Replace the heartbeat file. Raises OutputError."""
        self._status.run(partial(self._write_status, state))

    def _write_status(self, state: str) -> bool:
        status = self._report(state)
        self._tell(status)
        write_status(self.outputs.status, status)
        return True

    def _report(self, state: str) -> dict[str, Any]:
        scanner, schedule = self._scanner, self._schedule
        lanes = [
            lane.status(schedule.next_due(lane.id) if schedule else None)
            for lane in self._lanes.values()
        ]
        status = ServiceStatus(state, self._started, scanner.files.now(), lanes, scanner.unfinished)
        return status_report(status, scanner.store, scanner.roots)
