"""Roots as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import STATE_STYLES, print_folded
from scanner.core.roots import Root
from scanner.core.serialize import readable, shown
from scanner.core.wording import accept_hint

if TYPE_CHECKING:
    from rich.console import Console


def as_json(
    roots: Iterable[Root], base: str | None, status: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`roots` for programs, each with its state in `status`, the last one that was written."""
    states = {root["id"]: root for root in (status or {}).get("roots", ())}
    return {
        "schema": 1,
        "base": base and shown(base, None),
        "roots": [_root(root, states.get(readable(root.id), {})) for root in roots],
        "accept": (status or {}).get("accept", []),
    }


def _root(root: Root, status: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": readable(root.id),
        "kind": root.kind,
        "path": shown(root.path, None),
        "category": root.category or None,
        **{field: status.get(field) for field in ("state", "reason", "filesystem")},
    }


def print_accepts(console: Console, accepts: Iterable[Mapping[str, Any]]) -> None:
    """Print the commands for folders that are held or offline, given as the status has them."""
    for item in accepts:
        hint = accept_hint(item["state"], item["command"])
        text = f"{item['id']} is {item['state']}. {hint}"
        print_folded(console, text, "yellow")


_ROOT_COLUMNS = (_Column("kind"), _Column("category"), _Column("state"), _Column("path"))


def print_roots(console: Console, roots: Sequence[Mapping[str, Any]]) -> None:
    """Print kind, category, state and path of every root, given as JSON has them."""
    _print_table(console, _ROOT_COLUMNS, map(_root_cells, roots))


def _root_cells(root: Mapping[str, Any]) -> Sequence[_Cell]:
    state = root.get("state") or "not scanned yet"
    text = state if not root.get("reason") else f"{state}: {root['reason']}"
    return (
        _Cell(root["kind"]),
        _Cell(root.get("category") or ""),
        _Cell(text, STATE_STYLES.get(state, "dim")),
        _Cell(root["path"]),
    )
