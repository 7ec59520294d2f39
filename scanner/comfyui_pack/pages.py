"""The JSON that the page in the browser shows. Pure, but for the clock that callers give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .library import Library, Model, search
from .news import New
from .parts.errors import InventoryError
from .parts.workflows.document import read_document
from .parts.workflows.matching import PRESENT, category_of_need, stand
from .parts.workflows.sources import source_of
from .watch import View

MOST = 300
"""Most rows of a list that are sent. Counts are of all."""

MOST_NAMES = 20
"""Most arrivals that are named in one answer."""


def state(view: View, since: int, fast: Mapping[str, Any]) -> dict[str, Any]:
    """The page asks for this every few seconds. `since` is the scan of the last answer."""
    library = view.library
    came = [each for each in view.arrivals if each.scan > since >= 0]
    return {
        "inventory": view.path,
        "error": view.error,
        "scan": library.scan if library else 0,
        "names_scan": view.names_scan,
        "updated": (view.status or {}).get("updated", ""),
        "problems": problem_count(view),
        "arrivals": [each._asdict() for each in came[-MOST_NAMES:]],
        "arrived": len(came),
        "fast_lists": dict(fast),
    }


def problem_count(view: View) -> int:
    """Files with a problem, and roots that are not online."""
    if view.library is None:
        return 0
    roots = roots_of(view.library, view.status)
    files = sum(problem.counts for problem in view.library.problems)
    return files + sum(root["state"] not in ("online", "absent") for root in roots)


def problems(library: Library, status: Mapping[str, Any] | None) -> dict[str, Any]:
    """Roots that are not online, and files with a problem, those first that stay."""
    rows = sorted(library.problems, key=lambda each: not each.counts)
    roots = [r for r in roots_of(library, status) if r["state"] not in ("online", "absent")]
    return {
        "roots": roots,
        "problems": [each._asdict() for each in rows[:MOST]],
        "count": len(rows),
        "unreachable": [dict(each) for each in library.unreachable[:MOST]],
    }


def new(rows: Sequence[New]) -> dict[str, Any]:
    """The models that came within a day."""
    return {
        "new": [
            {"time": each.time, "kind": each.kind, **as_row(each.model)} for each in rows[:MOST]
        ],
        "count": len(rows),
    }


def roots_of(library: Library, status: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The roots with their states, those of the status where it has them."""
    known = {each.get("id"): each for each in (status or {}).get("roots", ())}
    fields = ("id", "kind", "path", "category", "state", "since", "reason", "filesystem")
    counted = ("files", "bytes")
    found = []
    for root in library.roots:
        newer = known.get(root["id"], root)
        row = {name: newer[name] for name in fields if name in newer}
        found.append(row | {name: root[name] for name in counted if name in root})
    return found


def drives(library: Library, status: Mapping[str, Any] | None) -> dict[str, Any]:
    """The disks with their space, and the folders on them."""
    known = status or {}
    return {
        "mounts": [dict(each) for each in known.get("mounts", ())],
        "roots": roots_of(library, status),
        "holds": [dict(each) for each in known.get("holds", ())],
        "accept": [dict(each) for each in known.get("accept", ())],
    }


def found(library: Library, text: str) -> dict[str, Any]:
    """The models that a search finds."""
    models = search(library, text)
    return {"models": [as_row(model) for model in models[:MOST]], "count": len(models)}


def as_row(model: Model) -> dict[str, Any]:
    """A model as the page shows it."""
    row = model._asdict()
    del row["words"], row["key"], row["is_read"]
    return row


def workflow(library: Library, document: Any) -> dict[str, Any]:
    """What the models of a workflow need, those first that are not there.

    A document that holds no workflow gives an error's sentence.
    """
    try:
        needs = read_document(document).needs()
    except InventoryError as error:
        return {"needs": [], "error": str(error), "missing": 0}
    rows = []
    for need in needs:
        standing = stand(need, library.index, _day)
        source = source_of(need)
        rows.append(
            {
                "name": need.name,
                "category": category_of_need(need),
                "state": standing.state,
                "reason": standing.reason,
                "notes": list(standing.notes),
                "found": standing.found.path if standing.found else "",
                "url": source.url or "",
                "directory": source.directory or "",
                "nodes": list(need.nodes[:MOST_NAMES]),
                "active": need.active,
            }
        )
    rows.sort(key=lambda row: (row["state"] == PRESENT, not row["active"]))
    absent = sum(row["state"] != PRESENT and bool(row["active"]) for row in rows)
    return {"needs": rows, "error": "", "missing": absent}


def _day(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC" if text else ""
