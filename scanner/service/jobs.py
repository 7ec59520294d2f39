"""The turns of lanes as jobs of APScheduler, which only this module and `crontab.py` use.

To import it takes 40 ms and 10 MB, so that the first turns begin without.

A late turn is run and not skipped (`misfire_grace_time=None`). Missed turns count as one. A turn
never overlaps itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from scanner.service.triggers import Trigger

MOST_LANES = 64
"""Turns that may run at a time. Threads are made when they are needed, one per lane."""


class Jobs:
    """One job per lane, run in threads. All calls come from one thread, which runs no turn: the
    scheduler holds its lock while it waits for turns."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        """`failed` is called with the lane and the error of a turn that failed."""
        self._failed = failed
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(max_workers=MOST_LANES)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler.add_listener(self._on_error, EVENT_JOB_ERROR)
        self._scheduler.start()

    def add(
        self, lane_id: str, turn: Callable[[], None], trigger: Trigger, due: datetime | None
    ) -> None:
        """Run `turn` at `due`, and then as `trigger` says."""
        self._scheduler.add_job(turn, Fires(trigger), id=lane_id, next_run_time=due)

    def move(self, lane_id: str, due: datetime | None) -> None:
        """Run the next turn of a lane at `due`."""
        self._scheduler.modify_job(lane_id, next_run_time=due)

    def end(self, patience: float) -> bool:
        """Start no turn any more; wait up to `patience` seconds for those that run. False if one
        is still stuck."""
        # A stuck turn must not hold up the end, so nothing waits for the pool without limit.
        self._scheduler.remove_all_jobs()
        ending = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ending.start()
        ending.join(patience)
        return not ending.is_alive()

    def _on_error(self, event: JobExecutionEvent) -> None:
        self._failed(event.job_id, event.exception)


class Fires(BaseTrigger):  # type: ignore[misc]
    """A trigger of ours, as APScheduler wants it."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        return self._trigger.get_next_fire_time(previous, now)
