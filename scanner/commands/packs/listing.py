"""Node packs in an inventory, with the files below each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scanner.commands.find.criteria import PACK, _name
from scanner.console.filters import folded
from scanner.output.inventory_reader import _damage_told, is_file, read_entries


def packs_of(
    path: str | os.PathLike[str], *, is_enabled: bool | None = None
) -> list[dict[str, Any]]:
    """The node packs in the inventory at `path`, by name; only those that are enabled or not.

    Each is what the inventory says of the pack, with its `path`, `type` and `root`, the number of
    `files` (with links to files) at or below it, and their `bytes`. A pack that does not say is
    taken as enabled. Raises as `read_entries` does.
    """
    packs: list[dict[str, Any]] = []
    open_packs: list[tuple[str, dict[str, Any]]] = []
    """Those that the current entry may lie in: what lies below a folder follows it at once."""
    with _damage_told(path):
        for entry in read_entries(path):
            shown = entry["path"]
            while open_packs and not shown.startswith(open_packs[-1][0]):
                open_packs.pop()
            if PACK in entry:
                packs.append(_pack(entry))
                open_packs.append((f"{shown}/", packs[-1]))
            if is_file(entry):
                for _, pack in open_packs:
                    pack["files"] += 1
                    pack["bytes"] += entry["size"]
    wanted = [pack for pack in packs if is_enabled in (None, is_pack_enabled(pack))]
    return sorted(wanted, key=lambda pack: (folded(pack_name(pack)), pack["path"]))


def _pack(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("path", "path_b64", "type", "root", "alias_of", "alias_of_b64")
    place = {field: entry[field] for field in fields if field in entry}
    return {**entry[PACK], **place, "files": 0, "bytes": 0}


def is_pack_enabled(pack: Mapping[str, Any]) -> bool:
    """Whether ComfyUI loads it; where that is not told, it does."""
    return pack.get("enabled") is not False


def pack_name(pack: Mapping[str, Any]) -> str:
    """What a pack calls itself, else the name of its folder or file."""
    told = pack.get("name") or pack.get("id")
    return told if isinstance(told, str) else _name(pack["path"]).removesuffix(".disabled")
