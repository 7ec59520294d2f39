"""The parts of a split inventory, as they were last written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scanner.core.inventory_parts import Parts, parts_folder
from scanner.output.atomic import cannot
from scanner.settings.values import NOT_SPLIT
from scanner.store.file_marks import mark_at


class PublishedParts:
    """The parts of one output's inventory. Begins with those that an earlier process wrote."""

    def __init__(self, inventory: str, header: Mapping[str, Any]) -> None:
        """`header` of the inventory. Raises OutputError if it cannot be read."""
        self._inventory = inventory
        self.split_by = header.get("split_by", NOT_SPLIT)
        """How the inventory on the disk is split."""
        parts = _parts_on_disk(inventory) if self.split_by != NOT_SPLIT else None
        self.bytes = 0 if parts is None else parts.bytes
        self.marks = _marks(inventory, parts)
        """The marks of the parts by path; empty of one that is missing or was changed."""
        self._has_old_ones = False

    def after_write(self, split_by: str, parts: Parts | None) -> None:
        """The inventory was replaced; None if it is one file now. The parts of the manifest that
        was replaced stay until the next write, for readers that have begun with them."""
        if parts is None and self._has_old_ones:
            from scanner.output.part_files import remove_parts

            remove_parts(self._inventory, ())
        self._has_old_ones = parts is None and bool(self.marks)
        self.split_by = split_by
        self.bytes = 0 if parts is None else parts.bytes
        self.marks = _marks(self._inventory, parts)


def _parts_on_disk(inventory: str) -> Parts | None:
    from scanner.output.inventory_text import UnreadableInventoryError, parts_of

    try:
        return parts_of(inventory)
    except UnreadableInventoryError:
        return None  # it will be written anew
    except OSError as error:
        raise cannot("read", inventory, error) from error


def _marks(inventory: str, parts: Parts | None) -> dict[str, str]:
    """The marks of parts that stand as their manifest says. They are older than it: a part that
    is younger was changed."""
    folder, marks = parts_folder(inventory), {}
    written = _mtime(mark_at(inventory))
    for part in parts.parts if parts is not None else ():
        path = os.path.join(folder, part.name)
        mark = mark_at(path)
        is_whole = mark.startswith(f"{part.bytes} ") and _mtime(mark) <= written
        marks[path] = mark if is_whole else ""
    return marks


def _mtime(mark: str) -> int:
    return int(mark.split()[1]) if mark else 0
