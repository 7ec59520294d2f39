"""Times as people read them: in local time, or in UTC where `--utc` asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from scanner.core.serialize import time_ns

Zone = tzinfo | None
"""The time zone of a page; None is the local one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MINUTES = "%Y-%m-%d %H:%M"

DAY = "%Y-%m-%d"

CLOCK = "%H:%M:%S"


def zone_of(utc: bool) -> Zone:
    """The zone that `--utc` names, or the local one."""
    return UTC if utc else None


def moment_of(ns: int, zone: Zone) -> datetime:
    """Nanoseconds since 1970 as a time in `zone`. A time that has no local form stays in UTC."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    try:
        return moment.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return moment


def time_shown(text: str, zone: Zone, form: str = MINUTES) -> str:
    """A time as our files write it, in `zone`. Empty for any other text."""
    try:
        return moment_of(time_ns(text), zone).strftime(form)
    except ValueError:
        return ""


def zone_name(zone: Zone) -> str:
    """A note for the heading of a column: ` (UTC)`, or nothing for local time."""
    return " (UTC)" if zone is UTC else ""
