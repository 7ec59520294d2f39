"""Asking the fleet, and its answers as JSON."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from scanner.core.serialize import time_ns
from scanner.errors import SettingsError
from scanner.fleet.address import Address, address_of
from scanner.fleet.questions import TOTALS, Question
from scanner.fleet.reading import Fleet, open_fleet
from scanner.settings.schema import Settings
from scanner.settings.values import parse_place

_ROOT_FIELDS = ("id", "path", "state", "since")

_AWAY = frozenset(("offline", "stalled", "held", "missing", "partial"))


class Answer(NamedTuple):
    """The rows of a question."""

    document: dict[str, Any]
    total: int
    """Rows that there are, also those beyond a limit."""


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


def ask(
    place: Address,
    kind: str,
    question: Question,
    limit: int | None,
    report: Callable[[str], None],
) -> Answer:
    """The answer to a question; at most `limit` rows, and all of them if it is 0 or None."""
    with open_fleet(place, report) as fleet:
        _check_hosts(fleet, question)
        answer = fleet.ask(question)
        rows = []
        count = 0
        for row in answer.dicts():
            count += 1
            if not limit or count <= limit:
                rows.append({name: _plain(value) for name, value in row.items()})
    document = {
        "address": place.shown,
        "hosts": [manifest.host for manifest in fleet.manifests],
        "columns": list(answer.columns),
        "count": count,
        "rows": rows,
    }
    return Answer(document, count)


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


def hosts_of(place: Address, silence: float, report: Callable[[str], None]) -> dict[str, Any]:
    """All hosts. `silence`: seconds without a publication after which a host is silent."""
    now = time.time_ns()
    with open_fleet(place, report) as fleet:
        totals = {row["host"]: row for row in fleet.ask(Question(TOTALS, {})).dicts()}
        hosts = []
        for manifest in fleet.manifests:
            total = totals.get(manifest.host, {})
            hosts.append(
                {
                    "host": manifest.host,
                    "scan": manifest.scan,
                    "generated": manifest.generated,
                    "published": manifest.published,
                    "silent": now - time_ns(manifest.published) > silence * 10**9,
                    "files": int(total.get("files", 0)),
                    "bytes": int(total.get("bytes") or 0),
                    "away": [
                        {
                            name: root[name]
                            for name in ("id", "path", "state", "since")
                            if name in root
                        }
                        for root in manifest.roots
                        if root.get("state") in _AWAY
                    ],
                    "lacks": list(manifest.lacks),
                    "version": manifest.version,
                    "inventory": manifest.inventory,
                }
            )
    return {"address": place.shown, "count": len(hosts), "hosts": hosts}
