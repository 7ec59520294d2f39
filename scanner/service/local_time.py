"""Local time by the rules of the C library, which knows every form of TZ."""

from __future__ import annotations

import os
import re
import time
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo

_POSIX = re.compile(r"(<[+-]?\w+>|[A-Za-z]{3,})[+-]?\d|(UTC|GMT)$")
"""The start of a TZ that holds its rules itself: CET-1CEST,M3.5.0,M10.5.0/3."""


class LocalTime(tzinfo):
    """Local time of this process, as `date` shows it."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """Local time minus UTC."""
        seconds = time.time() if moment is None else moment.replace(tzinfo=None).timestamp()
        return timedelta(seconds=time.localtime(seconds).tm_gmtoff)

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Not known: the C library does not say how much of the offset it is."""
        return None

    def tzname(self, moment: datetime | None) -> str:
        """A name for messages."""
        return "local time"

    def fromutc(self, moment: datetime) -> datetime:
        """`moment`, which counts in UTC, in local time."""
        seconds = moment.replace(tzinfo=UTC, microsecond=0).timestamp()
        local = datetime.fromtimestamp(seconds)
        return local.replace(microsecond=moment.microsecond, tzinfo=self)


def zone_warning(name: str) -> str:
    """A message if no time zone is called `name`, a value of TZ: the C library takes UTC then."""
    name = name.removeprefix(":")
    if not name or os.name == "nt" or _POSIX.match(name):
        return ""
    folders = (*zoneinfo.TZPATH, "/usr/share/zoneinfo")
    if any(os.path.isfile(os.path.join(folder, name)) for folder in folders):
        return ""
    return f"TZ={name} names no time zone that this system knows: cron counts in UTC."
