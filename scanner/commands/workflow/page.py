"""What workflows need as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.commands.workflow.check import Checked, Checkup, most_wanted
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import print_indented, printed
from scanner.core.serialize import printable, readable, text_fields
from scanner.core.wording import count_text
from scanner.workflows.matching import MISSING, PRESENT, STATES, Standing, category_of_need
from scanner.workflows.sources import command_line, download_words, source_of

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    "present": "green",
    "elsewhere": "yellow",
    "other_precision": "yellow",
    "broken": "red",
    "offline": "red",
    "missing": "red",
}

_COLUMNS = (
    _Column("state", is_wrapped=False),
    _Column("category"),
    _Column("name"),
    _Column("where"),
)

_MATRIX = (
    _Column("models", is_wrapped=False),
    _Column("not here"),
    _Column("workflow"),
)

_WANTED = (
    _Column("workflows", is_number=True, is_wrapped=False),
    _Column("state", is_wrapped=False),
    _Column("category", is_wrapped=False),
    _Column("name"),
)

MOST_WANTED = 10
"""Models that are listed below several workflows."""

MOST_NAMES = 4
"""Models that are named for one of several workflows."""

MOST_UNREADABLE = 10
"""Files that are named where none can be read."""


# For people


def print_one(console: Console, checkup: Checkup, *, is_windows: bool) -> None:
    """Print the needs of one workflow, and what can be done about those that are not here."""
    ordered = sorted(checkup.needs, key=_urgency)
    _print_table(console, _COLUMNS, map(_cells, ordered))
    _print_notes(console, ordered)
    console.out(_sum_of(checkup), highlight=False)
    _print_downloads(console, ordered, is_windows=is_windows)


def _urgency(checked: Checked) -> tuple[bool, int]:
    return not checked.need.active, -STATES.index(checked.standing.state)


def _cells(checked: Checked) -> Sequence[_Cell]:
    need, standing = checked
    style = _STYLES[standing.state] if need.active else "dim"
    state = _word(standing.state) + ("" if need.active else " (off)")
    return (
        _Cell(state, style),
        _Cell(category_of_need(need)),
        _Cell(need.name),
        _Cell(_where(standing)),
    )


def _where(standing: Standing) -> str:
    """Reason and path; nothing where the state says it all."""
    found, reason = standing.found, standing.reason
    if standing.state in (PRESENT, MISSING):
        return ""
    if found is None or (found.is_searched and reason.endswith(found.file_name)):
        return reason  # it ends with the name
    return f"{reason}: {found.path}"


def _word(state: str) -> str:
    return state.replace("_", " ")


def _print_notes(console: Console, needs: Sequence[Checked]) -> None:
    for need, standing in needs:
        for note in standing.notes:
            print_indented(console, f"{need.name}: {note}", "dim")


def _sum_of(checkup: Checkup) -> str:
    active = sum(each.need.active for each in checkup.needs)
    off = len(checkup.needs) - active
    aside = f" {count_text(off, 'model')} in nodes that are off." if off else ""
    if not active:
        return f"It needs no models.{aside}"
    if checkup.is_ready:
        if active == 1:
            return f"The 1 model that it needs is here.{aside}"
        return f"All {count_text(active, 'model')} that it needs are here.{aside}"
    counts = ", ".join(f"{count:,} {_word(state)}" for state, count in checkup.counts().items())
    return f"It needs {count_text(active, 'model')}: {counts}.{aside}"


def _print_downloads(console: Console, needs: Sequence[Checked], *, is_windows: bool) -> None:
    missing = [each.need for each in needs if each.standing.state == MISSING and each.need.active]
    lines: list[str] = []
    unknown = 0
    for need in missing:
        words = download_words(need)
        command = command_line(words, is_windows=is_windows) if words else None
        text = command or source_of(need).url
        lines += [text] if text else []
        unknown += not text
    if lines:
        console.out(
            "The workflow says where to get what is missing (comfy-cli fetches it):",
            highlight=False,
        )
        for line in lines:
            console.print(printed(f"  {line}"), soft_wrap=True)
    if unknown:
        text = f"It names no address for {count_text(unknown, 'missing model')}."
        console.out(text, style="dim", highlight=False)


def unreadable_lines(checkups: Sequence[Checkup]) -> list[str]:
    """A sentence for each file that cannot be read, the first of them."""
    lines = [f"{each.read.path}: {each.read.error}." for each in checkups if each.read.error]
    more = len(lines) - MOST_UNREADABLE
    return [*lines[:MOST_UNREADABLE], *([f"{more:,} more cannot be read."] if more > 0 else [])]


def print_matrix(console: Console, checkups: Sequence[Checkup], without: int) -> None:
    """Print which of several workflows have all their models here, and what the others lack."""
    ordered = sorted(
        checkups, key=lambda each: (bool(each.read.error), len(each.lacking), each.read.path)
    )
    _print_table(console, _MATRIX, map(_row, ordered))
    console.out(_matrix_sum(checkups, without), highlight=False)
    wanted = most_wanted(checkups)
    if wanted:
        console.out("")
        console.out(
            "Models that are not here, by the number of workflows that need them:", highlight=False
        )
        rows = [
            (
                _Cell(f"{each.workflows:,}"),
                _Cell(_word(each.state), _STYLES[each.state]),
                _Cell(each.category),
                _Cell(each.name),
            )
            for each in wanted[:MOST_WANTED]
        ]
        _print_table(console, _WANTED, rows)
        more = len(wanted) - MOST_WANTED
        if more > 0:
            console.out(f"{more:,} more: see --json.", style="dim", highlight=False)


def _row(checkup: Checkup) -> Sequence[_Cell]:
    lacking, path = checkup.lacking, _Cell(checkup.read.path)
    if checkup.read.error:
        return _Cell("unreadable", "red"), _Cell(checkup.read.error), path
    active = sum(each.need.active for each in checkup.needs)
    if not active:
        return _Cell("none needed", "green"), _Cell(""), path
    if not lacking:
        return _Cell(f"all {active} here", "green"), _Cell(""), path
    names = [f"{each.need.name} ({_word(each.standing.state)})" for each in lacking[:MOST_NAMES]]
    if len(lacking) > MOST_NAMES:
        names.append(f"{len(lacking) - MOST_NAMES} more")
    return _Cell(f"{active - len(lacking)} of {active} here", "red"), _Cell(", ".join(names)), path


def _matrix_sum(checkups: Sequence[Checkup], without: int) -> str:
    unreadable = sum(bool(each.read.error) for each in checkups)
    ready = sum(each.is_ready for each in checkups)
    readable_ = len(checkups) - unreadable
    parts = [
        f"{count_text(readable_, 'workflow')}: {ready:,} with all models here, "
        f"{readable_ - ready:,} without"
    ]
    if unreadable:
        parts.append(f"{count_text(unreadable, 'file')} cannot be read")
    if without:
        parts.append(f"{count_text(without, 'other file')} without a workflow")
    return "; ".join(parts) + "."


# For programs


def as_json(
    header: Mapping[str, Any], checkups: Sequence[Checkup], without: int, *, is_windows: bool
) -> dict[str, Any]:
    """The same for programs; `comfy-inventory schema workflow` describes it."""
    fields = ("scan", "generated", "base", "base_b64")
    unreadable = sum(bool(each.read.error) for each in checkups)
    return {
        "schema": 1,
        **{field: header[field] for field in fields if field in header},
        "workflows": [_workflow(each, is_windows=is_windows) for each in checkups],
        "totals": {
            "workflows": len(checkups) - unreadable,
            "ready": sum(each.is_ready for each in checkups),
            "unreadable": unreadable,
            "without": without,
        },
        "wanted": [
            {**each._asdict(), "name": readable(each.name), "category": each.category or None}
            for each in most_wanted(checkups)
        ],
    }


def _workflow(checkup: Checkup, *, is_windows: bool) -> dict[str, Any]:
    read = checkup.read
    return {
        **text_fields(read.path, "path"),
        "form": read.form or None,
        "ready": checkup.is_ready,
        "error": printable(read.error) or None,
        "needs": [_need(each, is_windows=is_windows) for each in checkup.needs],
    }


def _need(checked: Checked, *, is_windows: bool) -> dict[str, Any]:
    need, standing = checked
    source, found = source_of(need), standing.found
    words = download_words(need) if standing.state == MISSING else None
    category = category_of_need(need) or (
        found.category if found and standing.state == PRESENT else ""
    )
    document: dict[str, Any] = {
        "name": need.name,
        "category": category or None,
        "state": standing.state,
        "reason": standing.reason,
        "found": found.path if found else None,
        "url": source.url,
        "directory": source.directory,
        "hash": source.sha256,
        "command": command_line(words, is_windows=is_windows) if words else None,
        "node": need.nodes[0] if need.nodes else "",
        "nodes": list(need.nodes),
        "active": need.active,
        "notes": list(standing.notes),
    }
    if found and found.path_b64:
        document["found_b64"] = found.path_b64
    return {key: _readable(value) for key, value in document.items()}


def _readable(value: Any) -> Any:
    """`value` without half characters, which JSON texts of strangers may hold and no UTF-8 has."""
    if isinstance(value, str):
        return readable(value)
    return [readable(each) for each in value] if isinstance(value, list) else value
