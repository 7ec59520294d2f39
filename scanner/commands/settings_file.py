"""Writing settings into the user's TOML file, for `init` and `doctor --write`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scanner.output.atomic import AtomicFile
from scanner.settings.editing import edited
from scanner.settings.sources import read_text


def edit_settings(path: str, values: Mapping[str, Any]) -> bool:
    """Set these values, as `edited` does, in the file at the absolute `path`, which need not exist.

    Returns True if the file was written, False if it says all that already. Raises SettingsError,
    with the file unchanged, if the result would not be valid, and OutputError.
    """
    before = text_of(path)
    after = edited(before, values, path)
    if after == before:
        return False
    write_settings(path, after)
    return True


def text_of(path: str) -> str:
    """The text of the file; empty if there is none. Raises SettingsError."""
    return read_text(path) if os.path.lexists(path) else ""


def write_settings(path: str, text: str) -> None:
    """Replace the file at `path` as a whole. Raises OutputError."""
    with AtomicFile(path) as file:
        file.write(text.encode())
