"""Run lanes on schedule. This is the only module that uses APScheduler.

Its one call is "run one turn of this lane". A late turn is run and not skipped
(`misfire_grace_time=None`). Missed turns count as one. A turn never overlaps itself. A step of the
wall clock neither delays the next turn by hours nor makes up for a year of missed ones.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger as Trigger
from apscheduler.triggers.cron import CronTrigger

from scanner.errors import SettingsError, exhausted
from scanner.service.local_time import LocalTime, zone_warning
from scanner.service.notify import Notifier

__all__ = ("Schedule", "Trigger", "trigger_of")

log = logging.getLogger(__name__)

CLOCK_STEP = 2.0
"""Seconds by which wall and monotonic clock may drift apart between two looks before all lanes are
scheduled anew."""

MOST_LANES = 64
"""Turns that may run at a time. Threads are made when they are needed, one per lane."""

LOOK_EVERY = 1.0
"""Seconds between looks at the clocks."""

Deadline = Callable[[], float]
"""Gives the seconds until the lane's next turn is due; they may be negative."""

Turn = Callable[[Deadline], None]
"""One turn of a lane: a scan, and the reading after it that has to end before the deadline."""


class _Every(Trigger):  # type: ignore[misc]
    """Fires at once, then at each interval, and never for a time that has passed.

    APScheduler's own interval trigger lists every missed time after a jump of the clock, some 29
    million for a machine that wakes without a battery-backed clock.
    """

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        if previous is None:
            return now
        due: datetime = previous + self.interval
        return due if now < due <= now + self.interval else now + self.interval


class _Cron(Trigger):  # type: ignore[misc]
    """Fires at once, then by the crontab, and never for a time that has passed."""

    def __init__(self, crons: list[CronTrigger]) -> None:
        self.crons = crons

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        if previous is None:
            return now
        return self.first_after(now)

    def first_after(self, now: datetime) -> datetime | None:
        """The next time after `now`; None if there is none."""
        later = now + timedelta(microseconds=1)
        due = [cron.get_next_fire_time(None, later) for cron in self.crons]
        return min((moment for moment in due if moment is not None), default=None)


def trigger_of(every: float, cron: str) -> Trigger:
    """Make the trigger for `--every` seconds or, if it is given, `--cron` in local time.

    Raises SettingsError if the crontab line makes no sense.
    """
    if not cron:
        return _Every(every)
    try:
        trigger = _Cron(_crontab(cron))
        never = trigger.first_after(datetime.now(UTC)) is None
    except ValueError as error:
        raise SettingsError(
            f'cron: expected five fields like "*/5 * * * *", not {cron!r}{_reason(error)}.'
        ) from None
    if never:
        raise SettingsError(f"cron: {cron!r} names no day that ever comes.")
    warning = zone_warning(os.environ.get("TZ", ""))
    if warning:
        log.warning("%s", warning)
    return trigger


def _reason(error: ValueError) -> str:
    """The error that APScheduler gives for a field, if it uses a crontab's words."""
    text = str(error)
    return f" ({text})" if "value" in text and "unpack" not in text else ""


def _crontab(line: str) -> list[CronTrigger]:
    """Make the triggers that together are a crontab line. Raises ValueError.

    If both day of month and weekday are restricted, either of them suffices (crontab(5)). A field
    that starts with an asterisk restricts nothing in this sense, so "*/2" must hold as well.
    """
    fields = line.split()
    if len(fields) != 5:
        raise ValueError("five fields")
    minute, hour, day, month, weekday = fields
    times = {"minute": minute, "hour": hour, "month": month, "timezone": LocalTime()}
    if day.startswith("*") or weekday.startswith("*"):
        return [CronTrigger(**times, day=day, day_of_week=_weekday_names(weekday))]
    return [
        CronTrigger(**times, day=day),
        CronTrigger(**times, day_of_week=_weekday_names(weekday)),
    ]


_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _weekday_names(field: str) -> str:
    """Name the weekdays of a crontab: there 0 and 7 are Sunday, but APScheduler's 0 is Monday."""
    if field == "*":
        return field
    days: list[str] = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        if step and not (step.isdigit() and int(step)):
            raise ValueError(f"no valid value: {step!r}")
        first, _, last = span.partition("-")
        numbers = [0, 6] if span == "*" else [_weekday(first), _weekday(last or first)]
        if step and not last and span != "*":
            numbers[1] = 6
        days += _WEEKDAYS[numbers[0] : numbers[1] + 1 : int(step or 1)]
    if not days:
        raise ValueError(f"no valid value: {field!r}")
    return ",".join(dict.fromkeys(days))


def _weekday(text: str) -> int:
    if text.isdigit() and int(text) <= 7:
        return int(text)
    if text.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(text.lower())
    raise ValueError(f"no valid value: {text!r}")


class _Noted(Trigger):  # type: ignore[misc]
    """Wraps a lane's trigger and remembers when it fires next.

    A turn needs that time and must not ask the scheduler for it: while the scheduler shuts down,
    it holds its own lock and waits for the turn.
    """

    def __init__(self, trigger: Trigger, due: datetime) -> None:
        self.trigger = trigger
        self.due: datetime | None = due
        self.is_moved = False
        """True if the scheduler has yet to be given `due`."""
        self._previous: datetime | None = None

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        self._previous = previous
        self.due = self.trigger.get_next_fire_time(previous, now)
        return self.due

    def change(self, trigger: Trigger, now: datetime) -> None:
        """Continue with another trigger, counting from the last time that this one fired."""
        self.trigger = trigger
        if self._previous is not None:
            self.due = trigger.get_next_fire_time(self._previous, now)
            self.is_moved = True


class Schedule:
    """Runs one job per lane until it is stopped."""

    def __init__(self, trigger: Trigger, notifier: Notifier | None = None) -> None:
        """`notifier` tells the service manager that the loop runs."""
        self._trigger = trigger
        self._notifier = notifier or Notifier()
        self._lanes: dict[str, _Noted] = {}
        self._is_ending = False
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(max_workers=MOST_LANES)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler.add_listener(self._on_error, EVENT_JOB_ERROR)

    def add(self, lane_id: str, turn: Turn) -> None:
        """Run `turn` at once and then as scheduled. Lanes may be added while the schedule runs."""
        if self._is_ending:
            return
        noted = self._lanes[lane_id] = _Noted(self._trigger, datetime.now(UTC))
        self._scheduler.add_job(
            turn,
            noted,
            args=(lambda: self.seconds_until(lane_id),),
            id=lane_id,
            next_run_time=noted.due,
        )

    def set_every(self, lane_id: str, seconds: float) -> None:
        """Set the seconds between turns of a lane; its next turn is that long after the last began.

        This is called in turns, where the scheduler must not be used: the loop of `run` passes
        the new time on.
        """
        noted = self._lanes.get(lane_id)
        if noted is not None:
            noted.change(_Every(seconds), datetime.now(UTC))

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
        self._scheduler.start()
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
        self._is_ending = True
        self._notifier.stopping()
        # A stuck turn must not hold up the end, so nothing waits for the pool without limit.
        self._scheduler.remove_all_jobs()
        ending = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ending.start()
        ending.join(patience)
        return not ending.is_alive()

    def _place_anew(self) -> None:
        """Make all lanes due now, after suspend or a step of the clock."""
        for lane_id, noted in list(self._lanes.items()):
            noted.due = datetime.now(UTC)
            self._scheduler.modify_job(lane_id, next_run_time=noted.due)

    def _place_moved(self) -> None:
        """Give the scheduler the next times of lanes whose interval has changed."""
        for lane_id, noted in list(self._lanes.items()):
            if noted.is_moved:
                noted.is_moved = False
                self._scheduler.modify_job(lane_id, next_run_time=noted.due)

    def _on_error(self, event: JobExecutionEvent) -> None:
        """Log a failing turn; the loop goes on."""
        log.error(
            "The scan of %s failed: %s", event.job_id, exhausted(event.exception) or event.exception
        )
        log.debug("%s", event.traceback)


def _clock_offset() -> float:
    return time.time() - time.monotonic()
