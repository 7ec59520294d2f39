"""Deletions and arrivals of earlier scans that may be half of a move (rule 6). Pure."""

from __future__ import annotations

import os
from collections import ChainMap
from dataclasses import replace

from scanner.core.memory import HELD, ONLINE, PARTIAL, Memory
from scanner.core.paths import nearest_above
from scanner.core.snapshot import Entry, Snapshot, entries_of
from scanner.diff.compare import Delta
from scanner.diff.moves import Window
from scanner.walk.zone_scan import Collected


def without_expired(memory: Memory, now: int, seconds: float) -> Memory:
    """`memory` without deletions and arrivals more than `seconds` before `now` (nanoseconds of wall
    time).

    `now` is when a scan began, and a lane that began later may have committed first: what lies a
    little after `now` stays. More than `seconds` after it the clock was set back.
    """
    window = int(seconds * 1e9)
    return replace(
        memory,
        gone={path: gone for path, gone in memory.gone.items() if abs(now - gone.time) <= window},
        arrived={path: time for path, time in memory.arrived.items() if abs(now - time) <= window},
    )


def open_window(memory: Memory, delta: Delta, snapshot: Snapshot, collected: Collected) -> Window:
    """The entries that `memory` names: those gone as they were, those that arrived as they are
    now.

    An entry that could not be listed when its zone was last looked at is no arrival (rule 6):
    nobody knows whether it is still there.
    """
    failed = {path for _, walked in collected.walks for path in walked.failed}
    failed.update(path for path in memory.unreachable if not collected.was_walked(path))

    def was_seen(path: str) -> bool:
        scan, zone = collected.scan_of(path), collected.zones.owner(path)
        if nearest_above(path, failed) is not None or zone is None:
            return False
        if scan is not None:
            return scan.walked is not None
        record = memory.roots.get(zone.id)  # a zone of another lane, as its last scan found it
        return record is not None and record.state in (ONLINE, PARTIAL, HELD)

    arrived: dict[str, Entry] = {}
    if delta.deleted and memory.arrived:
        view = ChainMap(delta.directories, snapshot)
        for folder in {os.path.dirname(path) for path in memory.arrived}:
            directory = view.get(folder)
            if directory is not None and folder not in delta.gone:
                for entry in entries_of(folder, directory):
                    if entry.path in memory.arrived and was_seen(entry.path):
                        arrived[entry.path] = entry
    return Window({path: gone.entry for path, gone in memory.gone.items()}, arrived)
