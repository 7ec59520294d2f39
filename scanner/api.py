"""Read an inventory and its change list from another program. docs/python.md has examples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from scanner.core.serialize import native, readable
from scanner.errors import InventoryError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import OpenInventory, base_of, damage_reported
from scanner.output.journal_reader import read


def open_inventory(path: str | os.PathLike[str]) -> Inventory:
    """The inventory at `path`. Raises InventoryError if it is missing or cannot be read."""
    return Inventory(path)


class Inventory(OpenInventory):
    """The inventory as it was when it was opened, also if a scan replaces the file meanwhile.

    Close it, or use it in a `with` block. Every error is an InventoryError, whose text is one
    sentence. Use one object in one thread.

    `header` is a dict with everything but the entries: `scan`, `generated`, `base`, `roots`,
    `totals`. `entries()` yields one dict after another, in the order of the file, so that a million
    of them need no memory. docs/inventory.md and `comfy-inventory schema inventory` describe the
    fields. Unknown fields are absent.
    """

    def path_of(self, entry: Mapping[str, Any]) -> str:
        """The absolute path of an entry, a change, a root or an unreachable place, for `open`.

        It also has the bytes that are not UTF-8, which `path` does not show. The file that it names
        may be gone or out of reach. Raises InventoryError for an entry without a path.
        """
        with damage_reported(self.path):
            return native(entry, base_of(self.header))

    def changes(self, since: int) -> Iterator[dict[str, Any]]:
        """The lines of the change list that lead from scan `since` to this inventory, oldest first.

        They come from the files next to the inventory, of which the oldest are deleted (the setting
        `journal_files`): after a long time read all entries again, as after a line of kind
        `baseline`. Lines of later scans than this inventory's are left out. Raises InventoryError
        if there is no change list or it cannot be read.
        """
        inventory = os.path.abspath(os.fsdecode(self.path))
        journal = Outputs(inventory, os.path.dirname(inventory)).journal
        if not os.path.exists(journal):
            raise InventoryError(f"There is no change list at {readable(journal)}.")
        with damage_reported(self.path):
            last = int(self.header["scan"])
        return (line for line in read(journal, since) if line["scan"] <= last)
