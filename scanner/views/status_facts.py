"""What a status file says, as pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from scanner.core.serialize import printable, time_ns
from scanner.views.verdict import ago, place_of, verdict

_COUNTS = ("backlog", "unhashed", "unfinished", "broken", "misplaced", "shadowed")

_AS_THEY_ARE = (
    "state", "started", "updated", "scan", "mounts", "roots", "holds", "accept", "unreachable",
    *_COUNTS,
)  # fmt: skip

SILENCE = 600.0
"""Seconds after which a scanner on another machine that said nothing counts as silent, if it does
not scan more seldom than that."""


def status_facts(
    status: Mapping[str, Any],
    alive: bool | None,
    today: tuple[Mapping[str, int], bool],
    now: datetime | None = None,
) -> dict[str, Any]:
    """The status for a page. `alive` is None where the scanner runs on another machine, so that
    only its silence can tell."""
    now = now or datetime.now(UTC)
    answer = verdict({**status, "alive": alive is not False}, now)
    problems, text = list(answer.problems), answer.text
    if alive is None and status["state"] != "stopped" and is_silent(status, now):
        problems.append(f"no news from its scanner since {ago(status['updated'], now)}")
        text = "Something needs you: " + "; ".join(problems) + "."
    kinds, is_whole = today
    facts = {
        "alive": alive,
        "fine": not problems,
        "answer": text,
        "problems": problems,
        **{field: status[field] for field in _AS_THEY_ARE if field in status},
        "lanes": [{**lane, "where": place_of(lane)} for lane in status["lanes"]],
        "today": {"kinds": dict(kinds), "is_whole": is_whole},
    }
    shown: dict[str, Any] = printed(facts)
    return shown


def is_silent(status: Mapping[str, Any], now: datetime) -> bool:
    """True if the status should have been replaced by now."""
    paces = [lane.get("every_seconds") or 0 for lane in status["lanes"]]
    age = now.timestamp() - time_ns(status["updated"]) / 1e9
    return age > max(SILENCE, 3 * max(paces, default=0))


def printed(value: Any) -> Any:
    """`value` with every text in it made printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): printed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printed(item) for item in value]
    return value
