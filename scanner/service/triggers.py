"""When turns of lanes begin."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Protocol

from scanner.errors import SettingsError

log = logging.getLogger(__name__)


class Trigger(Protocol):
    """Says when turns begin."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The time of the turn after the one at `previous`; None if there is none."""
        ...


class Every:
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


def trigger_of(every: float, cron: str) -> Trigger:
    """Make the trigger for `--every` seconds or, if it is given, `--cron` in local time.

    Raises SettingsError if the crontab line makes no sense.
    """
    if not cron:
        return Every(every)
    from scanner.service.crontab import cron_trigger
    from scanner.service.local_time import zone_warning

    try:
        trigger = cron_trigger(cron)
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


class Noted:
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

    def pass_over(self, now: datetime) -> None:
        """The turn that is due begins now, or is missed: continue with the one after it."""
        self.get_next_fire_time(self.due, now)
