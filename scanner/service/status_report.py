"""The JSON of the status file and of a one-shot scan's summary."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from scanner import __version__
from scanner.core.changes import BASELINE
from scanner.core.memory import HELD, OFFLINE
from scanner.core.progress import Remaining
from scanner.core.roots import COMPLETE, Root
from scanner.core.serialize import path_fields, readable, shown, time_text
from scanner.core.statuses import counts_shown
from scanner.core.wording import accept_command
from scanner.scan import ScanResult
from scanner.service.space import MountSpace
from scanner.service.unread import unread_fields
from scanner.store.projection import root_states, unreachable
from scanner.store.store import Store


class LaneStatus(NamedTuple):
    """The state of one lane."""

    id: str
    is_scanning: bool
    roots: Sequence[Root]
    last: ScanResult | None
    next_due: datetime | None
    """The time of the next turn; None if no schedule runs."""
    every: float | None
    """Seconds between scans; None if a crontab line says when they are."""
    verify: float
    """Seconds within which every file is verified."""
    error: str
    unfingerprinted: Remaining
    unhashed: Remaining
    unread: Sequence[str]
    """Files whose content could not be read."""
    space: Sequence[MountSpace] = ()
    """The space on its mounts, as far as they told."""


class ServiceStatus(NamedTuple):
    """The state of the program. Times are in nanoseconds since 1970."""

    state: str
    started: int
    updated: int
    lanes: Sequence[LaneStatus]
    unfinished: int
    """Files that are not whole yet."""


def status_report(status: ServiceStatus, store: Store, roots: Sequence[Root]) -> dict[str, Any]:
    """Build the content of the status file. `roots` are those of the settings."""
    outputs = store.outputs
    return {
        "schema": 1,
        "tool": {"name": "comfy-inventory", "version": __version__},
        "pid": os.getpid(),
        "state": status.state,
        "started": time_text(status.started),
        "updated": time_text(status.updated),
        "scan": store.scan,
        "lanes": [_lane(lane) for lane in status.lanes if lane.roots],
        "backlog": _sum([lane.unfingerprinted for lane in status.lanes]),
        "unhashed": _sum([lane.unhashed for lane in status.lanes]),
        "unread": unread_fields([p for lane in status.lanes for p in lane.unread], store.base),
        "unfinished": status.unfinished,
        "shadowed": store.inventory.shadowed,
        **counts_shown(store.inventory.counts),
        "totals": dict(store.inventory.totals),
        "mounts": [_mount(space) for lane in status.lanes for space in lane.space],
        "roots": _roots(store, roots),
        "holds": _holds(store),
        "accept": accepts(store),
        "unreachable": [
            {
                **path_fields(place.path, store.base),
                "error": place.error,
                "since": time_text(place.since),
            }
            for place in unreachable(store)
        ],
        "journal": {
            "path": shown(outputs.journal, None),
            "scan": store.journal.last_scan(),
            "bytes": store.journal.position,
        },
        "inventory": {
            "path": shown(outputs.inventory, None),
            "scan": store.inventory.scan,
            "written": time_text(store.inventory.written) if store.inventory.written else None,
            "bytes": store.inventory.bytes,
        },
        "history": {
            "path": shown(outputs.history, None),
            "day": store.history.newest or None,
        },
    }


def _lane(lane: LaneStatus) -> dict[str, Any]:
    due = lane.next_due
    return {
        "id": readable(lane.id),
        "state": "scanning" if lane.is_scanning else "waiting",
        "roots": [readable(root.id) for root in lane.roots],
        "last_scan": _last_scan(lane.last),
        "next_due": time_text(int(due.timestamp() * 1e9)) if due else None,
        "every_seconds": lane.every,
        "verify_seconds": round(lane.verify, 1),
        "error": lane.error or None,
    }


def _mount(found: MountSpace) -> dict[str, Any]:
    return {
        "point": shown(found.mount.point, None),
        "filesystem": found.mount.type,
        "roots": [readable(root) for root in found.roots],
        "bytes": found.space.total,
        "free": found.space.free,
        "asked": time_text(found.asked),
    }


def _last_scan(result: ScanResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "scan": result.scan,
        "started": time_text(result.started),
        "seconds": round(result.seconds, 3),
        "directories": result.directories,
        "files": result.files,
        "changes": len(result.changes),
    }


def _roots(store: Store, roots: Sequence[Root]) -> list[dict[str, Any]]:
    return [
        {
            "id": readable(root.id),
            "kind": root.kind,
            "path": shown(root.path, None),
            **({"category": root.category} if root.category else {}),
            "state": state.state,
            "since": time_text(state.since),
            "filesystem": state.filesystem,
            **({"reason": state.reason} if state.reason else {}),
        }
        for root, state in root_states(store, roots)
    ]


def _holds(store: Store) -> list[dict[str, Any]]:
    return [
        {
            "id": readable(hold.root),
            "kind": hold.kind,
            "files": hold.files,
            "bytes": hold.bytes,
            "since": time_text(hold.since),
            "needs_accept": hold.needs_accept,
        }
        for hold in store.memory.holds.values()
    ]


def accepts(store: Store) -> list[dict[str, Any]]:
    """Folders that are held or offline, each with the command by which a person accepts that."""
    return [
        {
            "id": readable(record.id),
            "state": record.state,
            "command": readable(accept_command(record.path, store.outputs.inventory)),
        }
        for record in sorted(store.memory.roots.values(), key=lambda record: record.path)
        if record.walked and record.state in (HELD, OFFLINE)
    ]


def _sum(parts: Sequence[Remaining]) -> dict[str, int]:
    return {
        "files": sum(part.files for part in parts),
        "bytes": sum(part.bytes for part in parts),
    }


def scan_summary(result: ScanResult, lane: LaneStatus, store: Store) -> dict[str, Any]:
    """Build the summary of a one-shot scan by `lane`, for programs."""
    kinds: dict[str, int] = {}
    for change in result.changes:
        if change.kind != BASELINE:
            kinds[change.kind] = kinds.get(change.kind, 0) + 1
    return {
        "schema": 1,
        "scan": result.scan,
        "complete": result.is_complete,
        "committed": result.is_committed,
        "seconds": round(result.seconds, 3),
        "files": result.files,
        "directories": result.directories,
        "bytes": result.bytes,
        "changes": sum(kinds.values()),
        "kinds": kinds,
        "incomplete_roots": {
            readable(root): state for root, state in result.states.items() if state not in COMPLETE
        },
        "accept": accepts(store),
        "backlog": lane.unfingerprinted._asdict(),
        "unhashed": lane.unhashed._asdict(),
        "unread": unread_fields(lane.unread, store.base),
        "inventory": shown(store.outputs.inventory, None),
    }
