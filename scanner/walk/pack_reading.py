"""Read the node packs of a zone that its walk gives reason to read."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scanner.comfyui.packs import KIND, is_believable, pack_around, pack_places
from scanner.core.packs import Pack
from scanner.core.snapshot import Snapshot
from scanner.walk.history import History
from scanner.walk.zone_scan import ZoneScan
from scanner.walk.zones import Zones
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers
from scanner.workers.requests import PackRead, ReadPack

log = logging.getLogger(__name__)


class KnownPacks(NamedTuple):
    """What earlier scans have left."""

    snapshot: Snapshot
    packs: Mapping[str, Pack]


class PackTerms(NamedTuple):
    """When packs are read again. Seconds."""

    started: float
    """Start of the scan, monotonic clock."""
    settle: float
    verify_within: float


def read_packs(
    scan: ZoneScan,
    zones: Zones,
    known: KnownPacks,
    terms: PackTerms,
    history: History,
    workers: Workers,
    stopped: Callable[[], bool],
) -> dict[str, Pack]:
    """The node packs of a zone that its walk gives reason to read, by path.

    A pack that could not be read is left out, and so is one in the middle of an update.
    """
    zone, walked, top = scan.zone, scan.walked, scan.root.path
    if zone.kind != KIND or walked is None or zone.path in walked.failed:
        return {}
    snapshot = ChainMap(walked.observed, known.snapshot)
    packs = [
        path
        for path, is_directory in pack_places(snapshot, top)
        if is_directory and path not in walked.foreign and zones.owner(path) == zone
    ]
    changed = {around for path in walked.observed if (around := pack_around(path, top))}
    due = history.packs_due(
        zone.id, packs, changed, started=terms.started, verify_within=terms.verify_within
    )
    read: dict[str, Pack] = {}
    try:
        worker = workers.of(scan.health.mount)
        for path in reversed(due):  # last in, first out
            worker.ask(ReadPack(path, is_directory=True))
        while not stopped() and (answer := worker.answer()) is not None:
            pack = answer.pack if isinstance(answer, PackRead) else None
            if pack is None:
                continue
            is_at_rest = history.has_read_pack(
                zone.id, answer.path, started=terms.started, settle=terms.settle
            )
            if is_believable(pack, known.packs.get(answer.path), is_at_rest=is_at_rest):
                read[answer.path] = pack
    except LostWorkerError as lost:
        log.debug("packs of %s: %s", zone.id, lost)
    return read
