"""The user's folders for settings, states and logs. Nothing is asked of the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_PROGRAM = "comfy-inventory"


def config_folder() -> str:
    """The folder of the user's settings; empty where the system knows no home."""
    if folder := _of_linux("XDG_CONFIG_HOME", ".config"):
        return folder
    import platformdirs

    return _absolute(lambda: platformdirs.user_config_dir(_PROGRAM, appauthor=False))


def state_folder() -> str:
    """The folder of states that do not lie beside their inventory; empty without a home."""
    if folder := _of_linux("XDG_STATE_HOME", ".local/state"):
        return folder
    import platformdirs

    return _absolute(lambda: platformdirs.user_state_dir(_PROGRAM))


def log_folder() -> str:
    """The folder of the logs of services; empty without a home."""
    import platformdirs

    return _absolute(lambda: platformdirs.user_log_dir(_PROGRAM, appauthor=False))


def _of_linux(variable: str, below_home: str) -> str:
    """The folder as platformdirs names it, in the plain case on Linux; else empty. Every command
    needs one, and the package takes 3 ms to import."""
    if not sys.platform.startswith("linux") or "ANDROID_DATA" in os.environ:
        return ""
    home = os.environ.get("HOME", "")
    base = os.environ.get(variable, "").strip() or (home and os.path.join(home, below_home))
    return os.path.join(base, _PROGRAM) if os.path.isabs(base) else ""


def _absolute(find: Callable[[], str]) -> str:
    try:
        folder = find()
    except (RuntimeError, KeyError):
        return ""  # a user id without a name and no HOME, as in many containers
    # Older versions of platformdirs leave the ~ where they know no home.
    return folder if os.path.isabs(folder) else ""
