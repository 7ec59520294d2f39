"""Node packs in an inventory, with the files below each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scanner.core.wording import folded
from scanner.output.inventory_reader import damage_reported, is_file, read_entries

PACK = "pack"
"""The field of an entry that is a node pack."""


def packs_of(
    path: str | os.PathLike[str], *, is_enabled: bool | None = None
) -> list[dict[str, Any]]:
    """The node packs in the inventory at `path`, by name.

    Each has the fields of the pack in the inventory, its `path`, `type` and `root`, the number of
    `files` (with links to files) at or below it, and their `bytes`. `is_enabled` selects the
    enabled or the disabled ones. Raises as `read_entries` does.
    """
    found = PacksFound()
    with damage_reported(path):
        for entry in read_entries(path):
            found.add(entry)
    return [pack for pack in found.by_name() if is_enabled in (None, is_pack_enabled(pack))]


class PacksFound:
    """Collects packs from entries in the order of an inventory."""

    def __init__(self) -> None:
        self._packs: list[dict[str, Any]] = []
        self._open: list[tuple[str, dict[str, Any]]] = []
        """The packs that the current entry may lie in: entries below a folder follow it at once."""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take the next entry."""
        shown = entry["path"]
        while self._open and not shown.startswith(self._open[-1][0]):
            self._open.pop()
        if PACK in entry:
            self._packs.append(_pack(entry))
            self._open.append((f"{shown}/", self._packs[-1]))
        if self._open and is_file(entry):
            for _, pack in self._open:
                pack["files"] += 1
                pack["bytes"] += entry["size"]

    def by_name(self) -> list[dict[str, Any]]:
        """The packs, sorted by name."""
        return sorted(self._packs, key=lambda pack: (folded(pack_name(pack)), pack["path"]))


def _pack(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("path", "path_b64", "type", "root", "alias_of", "alias_of_b64")
    place = {field: entry[field] for field in fields if field in entry}
    return {**entry[PACK], **place, "files": 0, "bytes": 0}


def is_pack_enabled(pack: Mapping[str, Any]) -> bool:
    """True if ComfyUI loads the pack, or the inventory does not say."""
    return pack.get("enabled") is not False


def pack_name(pack: Mapping[str, Any]) -> str:
    """The name that a pack gives itself, or the name of its folder or file."""
    name = pack.get("name") or pack.get("id")
    return (
        name if isinstance(name, str) else pack["path"].rpartition("/")[2].removesuffix(".disabled")
    )
