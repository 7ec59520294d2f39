"""Asking the fleet, and its answers as JSON."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from scanner.core.serialize import time_ns
from scanner.errors import SettingsError
from scanner.fleet.address import Address, address_of
from scanner.fleet.answers import Fleet, Report
from scanner.fleet.manifest import Manifest
from scanner.fleet.questions import TOTALS, Question
from scanner.fleet.reading import open_fleet
from scanner.settings.schema import Settings
from scanner.settings.values import parse_place

_ROOT_FIELDS = ("id", "path", "state", "since")

_SECOND = 10**9

CLOCKS_DIFFER = 300.0
"""Seconds by which a host's clock may be ahead of this one before that is said: a host whose clock
is ahead is silent for longer than it seems."""

_AWAY = frozenset(("offline", "stalled", "held", "missing", "partial"))


def place_of(settings: Settings, at: str | None, cwd: str) -> Address:
    """The place to use: `at`, else the setting. Raises SettingsError."""
    url = at if at is not None else settings.publish
    if url is None:
        raise SettingsError(
            "fleet: no place is known: set publish, or name one with --at file:///share/inventory."
        )
    if at is not None and "://" not in at:
        url = Path(os.path.abspath(os.path.join(cwd, os.path.expanduser(at)))).as_uri()
    try:
        return address_of(parse_place(url))
    except ValueError as error:
        raise SettingsError(f"--at: {error}.") from None


def ask(place: Address, question: Question, limit: int | None, report: Report) -> dict[str, Any]:
    """The answer to a question; at most `limit` rows, and all of them if it is 0 or None."""
    left_out: list[str] = []
    with open_fleet(place, _noting(left_out, report)) as fleet:
        _check_hosts(fleet, question)
        answer = fleet.ask(question, limit)
        _check_hosts(fleet, question)  # again, since it may be left out
        hosts = [manifest.host for manifest in fleet.manifests]
    return {
        "address": place.shown,
        "hosts": hosts,
        "left_out": left_out,
        "columns": list(answer.columns),
        "count": answer.total,
        "rows": [{name: _plain(value) for name, value in row.items()} for row in answer.dicts()],
    }


def _check_hosts(fleet: Fleet, question: Question) -> None:
    known = {manifest.host for manifest in fleet.manifests}
    for option in ("of", "on", "host"):
        name = question.parameters.get(option)
        if name is not None and name not in known:
            raise SettingsError(
                f"--{option}: no host {name!r} has published; known are {', '.join(sorted(known))}."
            )


def _plain(value: Any) -> Any:
    """A value of a database as JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _noting(sentences: list[str], report: Report) -> Report:
    def note(sentence: str) -> None:
        sentences.append(sentence)
        report(sentence)

    return note


def hosts_of(place: Address, silence: float, report: Report) -> dict[str, Any]:
    """All hosts. `silence`: seconds without a publication after which a host is silent."""
    now = time.time_ns()
    left_out: list[str] = []
    with open_fleet(place, _noting(left_out, report)) as fleet:
        totals = {row["host"]: row for row in fleet.ask(Question(TOTALS, {})).dicts()}
        hosts = [
            _host(manifest, totals.get(manifest.host, {}), now, silence)
            for manifest in fleet.manifests
        ]
    return {"address": place.shown, "count": len(hosts), "left_out": left_out, "hosts": hosts}


def _host(manifest: Manifest, total: Mapping[str, Any], now: int, silence: float) -> dict[str, Any]:
    age = now - time_ns(manifest.published)
    return {
        "host": manifest.host,
        "scan": manifest.scan,
        "generated": manifest.generated,
        "published": manifest.published,
        "silent": age > silence * _SECOND,
        "clock_ahead": age < -CLOCKS_DIFFER * _SECOND,
        "files": int(total.get("files", 0)),
        "bytes": int(total.get("bytes") or 0),
        "away": [
            {name: root[name] for name in _ROOT_FIELDS if name in root}
            for root in manifest.roots
            if root.get("state") in _AWAY
        ],
        "lacks": list(manifest.lacks),
        "version": manifest.version,
        "inventory": manifest.inventory,
    }
