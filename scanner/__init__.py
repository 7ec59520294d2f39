"""comfy-inventory: a polling, scheduled inventory of ComfyUI folders on any kind of mount.

`open_inventory`, `Inventory` and `InventoryError` are for other programs: see docs/python.md.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing takes as long to import as the rest of a short command
if TYPE_CHECKING:
    from scanner.api import Inventory, open_inventory
    from scanner.errors import InventoryError

__version__ = "0.1.0"

__all__ = ["Inventory", "InventoryError", "__version__", "open_inventory"]


def __getattr__(name: str) -> object:
    """Import what a program asks for. Importing the package alone stays cheap."""
    if name == "InventoryError":
        from scanner.errors import InventoryError

        return InventoryError
    if name in ("Inventory", "open_inventory"):
        from scanner import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
