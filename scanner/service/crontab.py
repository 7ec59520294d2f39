"""Crontab lines, by the triggers of APScheduler."""

from __future__ import annotations

from datetime import datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from scanner.service.local_time import LocalTime


class Cron:
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


def cron_trigger(line: str) -> Cron:
    """Make the trigger of a crontab line in local time. Raises ValueError."""
    return Cron(_crontab(line))


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
