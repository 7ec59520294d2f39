"""Deletions and arrivals of earlier scans that may be half of a move (rule 6). Pure."""

from __future__ import annotations

import os
from collections import ChainMap
from dataclasses import replace

from scanner.core.memory import Memory
from scanner.core.snapshot import Entry, Snapshot, entries_of
from scanner.diff.compare import Delta
from scanner.diff.moves import Window


def without_expired(memory: Memory, now: int, seconds: float) -> Memory:
    """`memory` without deletions and arrivals more than `seconds` before `now` (nanoseconds of wall
    time). Those after `now` go as well: the clock was set back, and their age is not known."""
    oldest = now - int(seconds * 1e9)
    return replace(
        memory,
        gone={path: gone for path, gone in memory.gone.items() if oldest <= gone.time <= now},
        arrived={path: time for path, time in memory.arrived.items() if oldest <= time <= now},
    )


def open_window(memory: Memory, delta: Delta, snapshot: Snapshot) -> Window:
    """The entries that `memory` names: those gone as they were, those that arrived as they are
    now."""
    arrived: dict[str, Entry] = {}
    if delta.deleted and memory.arrived:
        view = ChainMap(delta.directories, snapshot)
        for folder in {os.path.dirname(path) for path in memory.arrived}:
            directory = view.get(folder)
            if directory is not None and folder not in delta.gone:
                for entry in entries_of(folder, directory):
                    if entry.path in memory.arrived:
                        arrived[entry.path] = entry
    return Window({path: gone.entry for path, gone in memory.gone.items()}, arrived)
