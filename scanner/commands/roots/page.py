"""Roots as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.terminal import STATE_STYLES
from scanner.core.serialize import printable

if TYPE_CHECKING:
    from rich.console import Console


def print_roots(console: Console, roots: Sequence[Mapping[str, Any]]) -> None:
    """Kind, path, category and state of every root."""
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "path", "category", "state", box=None, pad_edge=False)
    for root in roots:
        state = root.get("state") or "not scanned yet"
        told = state if not root.get("reason") else f"{state}: {root['reason']}"
        table.add_row(
            Text(root["kind"]),
            Text(printable(root["path"])),
            Text(root.get("category") or ""),
            Text(told, STATE_STYLES.get(state, "dim")),
        )
    console.print(table)
