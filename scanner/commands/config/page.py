"""Settings as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.tables import _Cell, _Column, _print_table
from scanner.settings.describe import toml_text

if TYPE_CHECKING:
    from rich.console import Console


def as_json(settings: Sequence[tuple[str, object, str]]) -> dict[str, Any]:
    """Settings as `describe` gives them, for programs."""
    return {
        "schema": 1,
        "settings": {name: {"value": value, "origin": origin} for name, value, origin in settings},
    }


_COLUMNS = (
    _Column("setting", is_wrapped=False),
    _Column("from", is_wrapped=False),
    _Column("value"),
)


def print_settings(console: Console, settings: Sequence[tuple[str, object, str]]) -> None:
    """Print name, origin and value of every setting."""

    def cells(name: str, value: object, origin: str) -> Sequence[_Cell]:
        style = "dim" if origin == "default" else ""
        return [_Cell(text, style) for text in (name, origin, toml_text(value))]

    _print_table(console, _COLUMNS, (cells(*setting) for setting in settings))
