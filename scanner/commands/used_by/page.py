"""The files that name a model, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.commands.unused.known import Sources
from scanner.commands.used_by.search import Answer, Using
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.core.serialize import path_fields, readable
from scanner.core.wording import count_text

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 50
"""Files that people see if they set no limit."""

_FIELDS = ("path", "path_b64", "name", "category", "size", "root")


def as_json(text: str, answer: Answer, sources: Sources, limit: int | None) -> dict[str, Any]:
    """The answer for programs; the first `limit` files of it."""
    return {
        "model": readable(text),
        "models": [
            {field: model.shown[field] for field in _FIELDS if field in model.shown}
            for model in answer.models
        ],
        "left": sources.left,
        "away": list(sources.away),
        "count": len(answer.files),
        "used_by": [_file(using, sources) for using in answer.files[:limit]],
    }


def _file(using: Using, sources: Sources) -> dict[str, Any]:
    return {
        **path_fields(using.path, sources.base),
        "exact": using.is_exact,
        "active": using.is_active,
        "names": list(using.names),
    }


_COLUMNS = (
    _Column("match", is_wrapped=False),
    _Column("note", is_wrapped=False),
    _Column("as", is_wrapped=True),
    _Column("path"),
)


def print_used_by(console: Console, document: Mapping[str, Any]) -> None:
    """Print what `as_json` gives."""
    _print_table(console, _COLUMNS, map(_cells, document["used_by"]))
    count, shown = document["count"], len(document["used_by"])
    cut = f"; {count - shown:,} more are left out: see --limit" if shown < count else ""
    names = ", ".join(sorted({model["name"] for model in document["models"]}))
    verb = "names" if count == 1 else "name"
    text = f"{count_text(count, 'file')} {verb} {names or document['model']}{cut}."
    if not document["models"]:
        text += " No model of this name is in the inventory."
    if document["left"]:
        text += f" {count_text(document['left'], 'file')} not read yet may name it as well."
    console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def _cells(using: Mapping[str, Any]) -> Sequence[_Cell]:
    return (
        _Cell("exact" if using["exact"] else "similar"),
        _Cell("" if using["active"] else "switched off"),
        _Cell("" if using["exact"] else using["names"][0]),
        _Cell(using["path"]),
    )
