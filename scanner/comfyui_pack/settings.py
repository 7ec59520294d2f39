"""The settings of the panel: a small file beside it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

NAME = "settings.json"

_PROGRAM = "comfy-inventory"

_LONGEST = 1 << 16


class Settings(NamedTuple):
    """What a user chooses."""

    inventory: str = ""
    """Path of the inventory. Empty: the one that comfy-inventory has written last."""
    fast_lists: bool = False
    """Answer ComfyUI's lists of models from the inventory."""
    max_age: float = 300.0
    """Seconds after a scan of a folder during which lists are answered from the inventory."""


def read(folder: str) -> Settings:
    """The settings in `folder`. What is missing or damaged there has its default."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as file:
            values = json.loads(file.read(_LONGEST))
    except (OSError, ValueError):
        return Settings()
    if not isinstance(values, dict):
        return Settings()
    default = Settings()
    inventory, age = values.get("inventory"), values.get("max_age")
    is_age = isinstance(age, int | float) and not isinstance(age, bool) and age > 0
    return Settings(
        inventory if isinstance(inventory, str) else default.inventory,
        values.get("fast_lists") is True,
        float(age) if is_age and age is not None else default.max_age,
    )


def write(folder: str, settings: Settings) -> None:
    """Replace the file. Raises OSError."""
    path = os.path.join(folder, NAME)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(settings._asdict(), file, indent=2)
        file.write("\n")
    os.replace(temporary, path)


def inventory_path(settings: Settings) -> str:
    """The inventory to read; empty if none is known."""
    return settings.inventory or last_output(
        state_folder(sys.platform, os.environ, os.path.expanduser("~"))
    )


def last_output(folder: str) -> str:
    """The inventory that comfy-inventory has written last, as it notes in its state folder."""
    try:
        with open(os.path.join(folder, "last_output"), "rb") as file:
            path = os.fsdecode(file.read(_LONGEST))
    except (OSError, ValueError):
        return ""
    return path if os.path.isabs(path) and "\0" not in path else ""


def state_folder(platform: str, environ: Mapping[str, str], home: str) -> str:
    """The folder where comfy-inventory notes its last output, as platformdirs names it."""
    if platform == "win32":
        local = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        return os.path.join(local, _PROGRAM, _PROGRAM)
    if platform == "darwin":
        return os.path.join(home, "Library", "Application Support", _PROGRAM)
    state = environ.get("XDG_STATE_HOME", "").strip()
    return os.path.join(state or os.path.join(home, ".local", "state"), _PROGRAM)


def as_json(settings: Settings) -> dict[str, Any]:
    """The settings as the page shows them."""
    return settings._asdict()
