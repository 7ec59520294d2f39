"""Take fingerprints of files that the proof of a move needs, or that have none yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from scanner.core.roots import Root
from scanner.core.snapshot import Entry
from scanner.disk.mounts import Mount
from scanner.walk.zones import Zones
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers
from scanner.workers.requests import Fingerprinted, SampleFile

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds without an answer after which a lane gives up a request to the mount of another lane
(rule 3 (a hang stops nothing)): for the proof of a move between the two, or to look at a link."""


def take_fingerprints(
    entries: Iterable[Entry],
    zones: Zones,
    mounts: Sequence[Mount],
    workers: Workers,
    stopped: Callable[[], bool],
    own: Collection[Root] | None = None,
) -> dict[str, bytes]:
    """Fingerprints of the files that are still as `entries` say, by path.

    A fingerprint is empty if the file could not be read or has changed. Files of a mount that does
    not answer are left out. Mounts of zones that are not `own` get little time for it.
    """
    by_mount: dict[Mount, dict[str, Entry]] = {}
    for entry in entries:
        by_mount.setdefault(zones.mount_at(entry.path, mounts), {})[entry.path] = entry
    fingerprints: dict[str, bytes] = {}
    ours = {zones.mount_of(zone, mounts) for zone in (zones.all if own is None else own)}
    for mount, expected in by_mount.items():
        try:
            worker = workers.of(mount, None if mount in ours else PATIENCE)
            for path in reversed(expected):  # last in, first out
                worker.ask(SampleFile(path))
            while (answer := worker.answer()) is not None and not stopped():
                sampled = answer.sampled if isinstance(answer, Fingerprinted) else None
                entry = expected[answer.path]
                is_same = sampled and (sampled.size, sampled.mtime) == (entry.size, entry.mtime)
                fingerprints[answer.path] = sampled.fingerprint if sampled and is_same else b""
        except LostWorkerError as lost:
            log.debug("fingerprints on %s: %s", mount.point, lost)
    return fingerprints
