"""The path of the inventory that was written last, in the user's state folder."""

from __future__ import annotations

import logging
import os
import re
import time

from scanner.core.user_folders import state_folder

log = logging.getLogger(__name__)

_NAME = "last_output"

_OLD = 60.0
"""Seconds after which a temporary file has no writer any more."""

_LONGEST = 1 << 16
"""Most bytes of a path that are read."""


def remember_output(inventory: str) -> None:
    """Note that this inventory is written now. A folder that cannot be written is no error."""
    folder = state_folder()
    if not folder or last_output() == inventory:
        return
    temporary = os.path.join(folder, f".{_NAME}.{os.getpid()}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        _remove_leftovers(folder)
        with open(temporary, "wb") as file:
            file.write(os.fsencode(inventory))
        os.replace(temporary, os.path.join(folder, _NAME))
    except OSError as error:
        log.debug("The last output is not remembered: %s.", error)


def _remove_leftovers(folder: str) -> None:
    """Delete the temporary files of writers that were killed: a living one needs no minute."""
    for name in os.listdir(folder):
        if re.fullmatch(rf"\.{_NAME}\.\d+\.tmp", name):
            path = os.path.join(folder, name)
            if time.time() - os.stat(path).st_mtime > _OLD:
                os.unlink(path)


def last_output() -> str:
    """The path of the inventory that was written last; empty if that is not known."""
    folder = state_folder()
    try:
        with open(os.path.join(folder, _NAME), "rb") as file:
            path = os.fsdecode(file.read(_LONGEST))
    except OSError:
        return ""
    return path if os.path.isabs(path) and "\0" not in path else ""
