"""Refusing folders that were named by mistake, before anything is written."""

from __future__ import annotations

import os
from contextlib import closing

from scanner.comfyui.named_folders import mistakes
from scanner.core.serialize import native
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.settings.load import Loaded
from scanner.store.state import State


def refuse_mistakes(loaded: Loaded, outputs: Outputs, cwd: str) -> None:
    """Raise SettingsError if a setting names no ComfyUI, a file, or a folder that is not there
    and was never known, although its disk is there."""
    if not any(mistakes(loaded.settings, cwd, known := _in_inventory(outputs))):
        return
    for mistake in mistakes(loaded.settings, cwd, known | _in_state(outputs)):
        place = loaded.places.get(mistake.setting, "default")
        raise SettingsError(f"{mistake.setting} ({place}): {mistake.text}")


def _in_inventory(outputs: Outputs) -> frozenset[str]:
    """The paths of the roots in the inventory's header."""
    try:
        header = read_header(outputs.inventory)
        base = None if header is None else base_of(header)
        roots = () if header is None else header["roots"]
        return frozenset(native(root, base) for root in roots)
    except (InventoryError, ValueError, KeyError, TypeError):
        return frozenset()


def _in_state(outputs: Outputs) -> frozenset[str]:
    """The paths of the roots in the state."""
    if not os.path.exists(outputs.state):
        return frozenset()
    try:
        with closing(State(outputs.state, readonly=True)) as state:
            return frozenset(record.path for record in state.load_memory().roots.values())
    except InventoryError:
        return frozenset()
