"""Run lanes on schedule.

The first turn of a lane runs at once, in a thread of its own. The later ones are jobs of
APScheduler (`jobs.py`), which is imported when a first turn is over. A late turn is run and not
skipped. Missed turns count as one. A turn never overlaps itself. A step of the wall clock neither
delays the next turn by hours nor makes up for a year of missed ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from scanner.errors import exhausted
from scanner.service.notify import Notifier
from scanner.service.triggers import Every, Noted, Trigger

if TYPE_CHECKING:
    from scanner.service.jobs import Jobs

log = logging.getLogger(__name__)

CLOCK_STEP = 2.0
"""Seconds by which wall and monotonic clock may drift apart between two looks before all lanes are
scheduled anew."""

LOOK_EVERY = 1.0
"""Seconds between looks at the clocks."""

Deadline = Callable[[], float]
"""Gives the seconds until the lane's next turn is due; they may be negative."""

Turn = Callable[[Deadline], None]
"""One turn of a lane: a scan, and the reading after it that has to end before the deadline."""


class Schedule:
    """Runs the turns of lanes until it is stopped.

    `run` alone uses the jobs, and no turn does: while the jobs end, they wait for turns.
    """

    def __init__(
        self,
        trigger: Trigger,
        notifier: Notifier | None = None,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        """`notifier` tells the service manager that the loop runs. `at_rest` is called once, after
        the first turn of a lane."""
        self._trigger = trigger
        self._notifier = notifier or Notifier()
        self._at_rest = at_rest
        self._lanes: dict[str, Noted] = {}
        self._first: dict[str, tuple[threading.Thread, Turn]] = {}
        """The first turns that run or wait for `run`, by lane."""
        self._starting = threading.Lock()
        self._is_running = self._is_ending = False
        self._jobs: Jobs | None = None

    def add(self, lane_id: str, turn: Turn) -> None:
        """Run `turn` at once and then as scheduled. Lanes may be added while the schedule runs."""
        noted = Noted(self._trigger, datetime.now(UTC))
        thread = threading.Thread(target=self._first_turn, args=(lane_id, noted, turn), daemon=True)
        with self._starting:
            if self._is_ending:
                return
            self._lanes[lane_id] = noted
            self._first[lane_id] = thread, turn
            if self._is_running:
                self._start(lane_id, thread)

    def _start(self, lane_id: str, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError as error:
            self._failed(lane_id, error)

    def _first_turn(self, lane_id: str, noted: Noted, turn: Turn) -> None:
        noted.pass_over(datetime.now(UTC))
        try:
            turn(partial(self.seconds_until, lane_id))
        except BaseException as error:
            self._failed(lane_id, error)

    def set_every(self, lane_id: str, seconds: float) -> None:
        """Set the seconds between turns of a lane; its next turn is that long after the last began.

        This is called in turns: the loop of `run` passes the new time on.
        """
        noted = self._lanes.get(lane_id)
        if noted is not None:
            noted.change(Every(seconds), datetime.now(UTC))

    def next_due(self, lane_id: str) -> datetime | None:
        """The time at which the lane is due again."""
        noted = self._lanes.get(lane_id)
        return noted.due if noted else None

    def seconds_until(self, lane_id: str) -> float:
        """Seconds until the lane is due again; may be negative."""
        due = self.next_due(lane_id)
        return (due - datetime.now(UTC)).total_seconds() if due else float("inf")

    def run(self, stop: threading.Event, patience: float) -> bool:
        """Run until `stop` is set; then wait up to `patience` seconds for turns to end.

        Returns False if a turn is still stuck: the process then has to exit without it.
        """
        with self._starting:
            self._is_running = True
            for lane_id, (thread, _) in self._first.items():
                self._start(lane_id, thread)
        self._notifier.ready()
        offset = _clock_offset()
        while not stop.wait(min(LOOK_EVERY, self._notifier.ping_every)):
            self._notifier.alive()
            now = _clock_offset()
            if abs(now - offset) > CLOCK_STEP:
                log.info("The clock moved by %+.0f s: scanning now.", now - offset)
                self._place_anew()
            offset = now
            self._place_moved()
            self._place_first()
        with self._starting:
            self._is_ending = True
        self._notifier.stopping()
        return self._end(patience)

    def _end(self, patience: float) -> bool:
        """Wait for the turns that run. False if one is still stuck."""
        end = time.monotonic() + patience
        has_ended = self._jobs is None or self._jobs.end(patience)
        for thread, _ in self._first.values():
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
                has_ended &= not thread.is_alive()
        return has_ended

    def _place_first(self) -> None:
        """Make jobs of the lanes whose first turn is over. A turn that is due before is missed."""
        for lane_id, (thread, turn) in list(self._first.items()):
            noted, now = self._lanes[lane_id], datetime.now(UTC)
            if thread.is_alive():
                if noted.due is not None and noted.due <= now:
                    noted.pass_over(now)
                continue
            if self._jobs is None:
                self._jobs = self._new_jobs()
            deadline = partial(self.seconds_until, lane_id)
            self._jobs.add(lane_id, partial(turn, deadline), noted, noted.due)
            del self._first[lane_id]

    def _new_jobs(self) -> Jobs:
        from scanner.service.jobs import Jobs

        self._at_rest()
        return Jobs(self._failed)

    def _place_anew(self) -> None:
        """Make all lanes due now, after suspend or a step of the clock."""
        for noted in list(self._lanes.values()):
            noted.due, noted.is_moved = datetime.now(UTC), True

    def _place_moved(self) -> None:
        """Give the jobs the next times of lanes that are due at another time than they know."""
        for lane_id, noted in list(self._lanes.items()):
            if noted.is_moved and self._jobs is not None and lane_id not in self._first:
                noted.is_moved = False
                self._jobs.move(lane_id, noted.due)

    def _failed(self, lane_id: str, error: BaseException) -> None:
        """Log a failing turn; the loop goes on."""
        log.error("The scan of %s failed: %s", lane_id, exhausted(error) or error)
        log.debug("The error of %s:", lane_id, exc_info=error)


def _clock_offset() -> float:
    return time.time() - time.monotonic()
