"""The user's folders for settings, states and logs. Nothing is asked of the disk."""

from __future__ import annotations

import os
from collections.abc import Callable

_PROGRAM = "comfy-inventory"


def config_folder() -> str:
    """The folder of the user's settings; empty where the system knows no home."""
    import platformdirs

    return _absolute(lambda: platformdirs.user_config_dir(_PROGRAM, appauthor=False))


def state_folder() -> str:
    """The folder of states that do not lie beside their inventory; empty without a home."""
    import platformdirs

    return _absolute(lambda: platformdirs.user_state_dir(_PROGRAM))


def log_folder() -> str:
    """The folder of the logs of services; empty without a home."""
    import platformdirs

    return _absolute(lambda: platformdirs.user_log_dir(_PROGRAM, appauthor=False))


def _absolute(find: Callable[[], str]) -> str:
    try:
        folder = find()
    except (RuntimeError, KeyError):
        return ""  # a user id without a name and no HOME, as in many containers
    # Older versions of platformdirs leave the ~ where they know no home.
    return folder if os.path.isabs(folder) else ""
