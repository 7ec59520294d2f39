"""Packs as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from scanner.console.tables import _Cell, _Column, _print_table, _write_document
from scanner.core.packs import SHORT
from scanner.core.wording import count_text, size_text
from scanner.views.packs import is_pack_enabled, pack_name

if TYPE_CHECKING:
    from rich.console import Console
_PACK_COLUMNS = (
    _Column("name"),
    _Column("version"),
    _Column("source", is_wrapped=False),
    _Column("enabled", is_wrapped=False),
    _Column("files", is_number=True, is_wrapped=False),
    _Column("size", is_number=True, is_wrapped=False),
    _Column("remote"),
)


def print_packs(console: Console, packs: Sequence[Mapping[str, Any]], left_out: int = 0) -> None:
    """Print packs as `packs_of` gives them, and their sums. Without any, print nothing.
    `left_out` is the number of those beyond the limit."""
    _print_table(console, _PACK_COLUMNS, map(_pack_cells, packs))
    if packs:
        disabled = sum(not is_pack_enabled(pack) for pack in packs)
        count = count_text(len(packs), "pack") + (f" ({disabled:,} disabled)" if disabled else "")
        files = count_text(sum(pack["files"] for pack in packs), "file")
        size = size_text(sum(pack["bytes"] for pack in packs))
        cut = f"; {left_out:,} more are left out: see --limit" if left_out else ""
        console.out(f"{count}, {files}, {size}{cut}", style="dim", highlight=False)


def _pack_cells(pack: Mapping[str, Any]) -> Sequence[_Cell]:
    is_enabled = is_pack_enabled(pack)
    style = "" if is_enabled else "dim"
    texts = (
        pack_name(pack),
        _version(pack),
        str(pack.get("source", "")),
        "yes" if is_enabled else "no",
        f"{pack['files']:,}",
        size_text(pack["bytes"]),
        str(pack.get("remote") or ""),
    )
    return [_Cell(text, style) for text in texts]


def _version(pack: Mapping[str, Any]) -> str:
    return str(pack.get("version") or str(pack.get("commit") or "")[:SHORT])


def write_packs(
    out: BinaryIO, header: Mapping[str, Any], packs: Sequence[Mapping[str, Any]]
) -> None:
    """Write packs as `packs_of` gives them as one JSON document, a pack a line."""
    sums = {
        "count": len(packs),
        "files": sum(pack["files"] for pack in packs),
        "bytes": sum(pack["bytes"] for pack in packs),
    }
    _write_document(out, header, "packs", packs, lambda: sums)
