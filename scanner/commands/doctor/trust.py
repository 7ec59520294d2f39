"""Requests to trust directory mtimes again. A request is left in the state for the next scan."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing

from scanner.commands.answers import Answered, wait_for_answers
from scanner.core.memory import roots_of
from scanner.core.paths import is_below
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.store.state import TRUST, State

PATIENCE = 120.0
"""Seconds to wait for the running scanner."""


def trust_again(outputs: Outputs, paths: Sequence[str]) -> list[Answered]:
    """Leave requests for the mounts of `paths`, by default of all roots, and wait for the answers.

    Raises InventoryError if there was no scan yet; SettingsError for a path that is not scanned.
    """
    if not os.path.exists(outputs.state):
        raise InventoryError(f"No scan has written {outputs.inventory} yet.")
    with closing(State(outputs.state)) as state:
        roots = [root.path for root in roots_of(state.load_memory().roots.values())]
        for path in paths:
            if not any(is_below(path, root) for root in roots):
                raise SettingsError(f"{path} is in no folder that is scanned.")
        asked = [(path, state.ask(time.time_ns(), "", path, kind=TRUST)) for path in paths or roots]
        return wait_for_answers(state, outputs, asked, PATIENCE)
