"""Models without a trace as a table, as JSON, or as a script that moves them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.commands.scripts.plan import Known
from scanner.commands.unused.known import Sources, UnreadTracesError
from scanner.commands.unused.search import Report, Unused, movable
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import printed
from scanner.core.paths import is_below
from scanner.core.serialize import mtime_of, path_fields, time_text
from scanner.core.times import DAY, Zone, time_shown
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 50
"""Models that people see if they set no limit."""

_FIELDS = ("path", "path_b64", "name", "category", "size", "mtime", "root")


def as_json(report: Report, sources: Sources, limit: int | None) -> dict[str, Any]:
    """The report for programs; the first `limit` models of it."""
    since = sources.known.since
    return {
        "since": time_text(since) if since else None,
        "complete": is_complete(report, sources),
        "files": len(sources.files),
        "left": sources.left,
        "cut": report.cut,
        "away": list(sources.away),
        "models": report.models,
        "count": len(report.unused),
        "bytes": sum(each.model.shown.get("size", 0) for each in report.unused),
        "unused": [_model(each, sources) for each in report.unused[:limit]],
    }


def is_complete(report: Report, sources: Sources) -> bool:
    """True if all that names models has been read, so that the list leaves none of it out."""
    has_read = bool(sources.files) and not sources.left and not report.cut
    return has_read and not sources.away and bool(sources.known.since)


def _model(unused: Unused, sources: Sources) -> dict[str, Any]:
    shown, last = unused.model.shown, unused.last
    fields = {field: shown[field] for field in _FIELDS if field in shown}
    if last is not None:
        fields["last"] = {**path_fields(last.path, sources.base), "until": time_text(last.seen)}
    return fields


_COLUMNS = (
    _Column("category"),
    _Column("size", is_number=True, is_wrapped=False),
    _Column("changed", is_wrapped=False),
    _Column("no trace since", is_wrapped=False),
    _Column("path"),
)


def print_unused(console: Console, document: Mapping[str, Any], zone: Zone) -> None:
    """Print what `as_json` gives, the models as a table."""
    _print_table(console, _COLUMNS, (_cells(each, document, zone) for each in document["unused"]))
    for each in document["unused"]:
        if "last" in each:
            text = f"{each['name']}: last named by {each['last']['path']}"
            console.print(printed(text, "dim"), soft_wrap=True)
    for line in _summary(document, zone):
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


def _cells(model: Mapping[str, Any], document: Mapping[str, Any], zone: Zone) -> Sequence[_Cell]:
    since = model["last"]["until"] if "last" in model else document["since"]
    return (
        _Cell(model["category"]),
        _Cell(size_text(model.get("size", 0))),
        _Cell(time_shown(model.get("mtime", ""), zone, DAY)),
        _Cell(time_shown(since or "", zone, DAY) or "not known yet"),
        _Cell(model["path"]),
    )


def _summary(document: Mapping[str, Any], zone: Zone) -> list[str]:
    count, shown = document["count"], len(document["unused"])
    size = size_text(document["bytes"])
    files = count_text(document["files"], "file")
    cut = f"; {count - shown:,} more are left out: see --limit" if shown < count else ""
    lines = [
        f"{count:,} of {count_text(document['models'], 'model')}, {size}, without a trace in "
        f"{files} (workflows and outputs){cut}."
    ]
    if document["since"]:
        since = time_shown(document["since"], zone, DAY)
        lines.append(
            f"Counted since {since}. Nothing here says that a model is not needed: pictures "
            "elsewhere, and nodes that know their models by heart, leave no trace."
        )
    return lines


def warnings(document: Mapping[str, Any]) -> list[str]:
    """Sentences about why the list may name models that are in use."""
    lines = []
    if document["left"]:
        left = count_text(document["left"], "file")
        verb = "is" if document["left"] == 1 else "are"
        lines.append(
            f"This list is not complete: {left} {verb} not read yet, and may name models of it. "
            "`comfy-inventory run` and `scan` read them after each scan."
        )
    elif not document["files"]:
        lines.append(
            "No saved workflow and no output is known, so every model is listed. "
            "--workflows names folders of workflows."
        )
    elif not document["since"]:
        lines.append("Not everything has been counted yet: the next scan says since when.")
    if document["cut"]:
        files = count_text(document["cut"], "file")
        lines.append(f"{files} could not be read to the end, and may name models in this list.")
    for root in document["away"]:
        lines.append(f"{root} cannot be read whole now: what is new in it is not known.")
    return lines


# The script


def moves(report: Report, sources: Sources, to: str, limit: int | None) -> list[tuple[Known, str]]:
    """The plain files among the first `limit` models, each with its target below `to`. It keeps the
    name of its root, and its folders there.

    Raises UnreadTracesError if the list may hold a model that is in use.
    """
    document = as_json(report, sources, 0)
    if not document["complete"]:
        raise UnreadTracesError(f"No script yet. {warnings(document)[0]}")
    found = []
    for model in movable(report.unused[:limit]):
        root = sources.roots[model.shown["root"]]
        if not is_below(model.path, root) or is_below(model.path, to):
            continue
        target = os.path.join(to, os.path.basename(root), os.path.relpath(model.path, root))
        file = Known(model.path, model.shown["size"], mtime_of(model.shown))
        found.append((file, target))
    return found


def summary(plan: Sequence[tuple[Known, str]], count: int) -> str:
    """A sentence about the script, for the person who asked for it."""
    size = size_text(sum(file.size for file, _ in plan))
    text = f"The script moves {count_text(len(plan), 'file')}, {size}. It has done nothing yet."
    rest = count - len(plan)
    if rest:
        text += f" It leaves out {count_text(rest, 'link')}, and files that others lead to."
    return text
