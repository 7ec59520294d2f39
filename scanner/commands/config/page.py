"""Settings as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.terminal import printed
from scanner.settings.describe import toml_text

if TYPE_CHECKING:
    from rich.console import Console


def as_json(settings: Sequence[tuple[str, object, str]]) -> dict[str, Any]:
    """Settings as `describe` gives them, for programs."""
    return {
        "schema": 1,
        "settings": {name: {"value": value, "origin": origin} for name, value, origin in settings},
    }


def print_settings(console: Console, settings: Sequence[tuple[str, object, str]]) -> None:
    """Print name, value and origin of every setting."""
    from rich.table import Table

    table = Table("setting", "value", "from", box=None, pad_edge=False)
    for name, value, origin in settings:
        style = "dim" if origin == "default" else ""
        table.add_row(*(printed(cell, style) for cell in (name, toml_text(value), origin)))
    console.print(table)
