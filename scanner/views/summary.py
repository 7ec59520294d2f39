"""All in a few numbers without nesting, as Home Assistant and dashboards read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scanner.core.roots import COMPLETE


def summary(machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums over machines, of which each has `name` and `pages`, or an `error`."""
    pages = [machine["pages"] for machine in machines if "pages" in machine]
    statuses = [page["status"] for page in pages if page["status"]]
    roots = [root for status in statuses for root in status["roots"]]
    answers = [
        *(f"{machine['name']}: {machine['error']}" for machine in machines if "error" in machine),
        *(status["answer"] for status in statuses),
    ]
    times = [
        lane["last_scan"]["started"]
        for status in statuses
        for lane in status["lanes"]
        if lane["last_scan"]
    ]
    return {
        "fine": len(pages) == len(machines) and all(status["fine"] for status in statuses),
        "answer": " ".join(answers) or "No scanner has written a status yet.",
        "machines": len(machines),
        **{
            field: sum(page["totals"][field] for page in pages)
            for field in ("files", "bytes", "models", "model_bytes")
        },
        **{
            field: sum(status.get(field) or 0 for status in statuses)
            for field in ("broken", "unfinished", "misplaced", "shadowed")
        },
        "unreachable": sum(len(status["unreachable"]) for status in statuses),
        "held": sum(hold["files"] for status in statuses for hold in status["holds"]),
        "folders": len(roots),
        "folders_away": sum(root["state"] not in COMPLETE for root in roots),
        "duplicate_bytes": sum(page["duplicates"]["total"]["bytes"] for page in pages),
        "changes_today": sum(sum(status["today"]["kinds"].values()) for status in statuses),
        "scan": max((page["scan"] for page in pages), default=0),
        "last_scan": max(times, default=None),
        "free_bytes": sum(
            mount["free"] for status in statuses for mount in status.get("mounts", ())
        ),
    }
