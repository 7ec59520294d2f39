"""Ask the workers for all that a scan needs: health of zones, walks, node packs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Protocol

from scanner.core.memory import MISSING, ONLINE, AcceptRequest, Memory
from scanner.core.packs import Pack
from scanner.core.paths import is_below
from scanner.core.progress import Progress
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, Directory, Snapshot
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.settings.schema import Settings
from scanner.walk.crossings import passed
from scanner.walk.digits import settle_digits
from scanner.walk.granularity import settle_of
from scanner.walk.guard import Guard
from scanner.walk.health import NOT_A_FOLDER, Moment, stayed_healthy
from scanner.walk.history import History
from scanner.walk.known_folders import Plan
from scanner.walk.pack_reading import KnownPacks, PackTerms, read_packs
from scanner.walk.rules import ListingRules, OwnFiles, has_new_rules
from scanner.walk.together import size_of_requests
from scanner.walk.verification import Terms
from scanner.walk.walk import Walk
from scanner.walk.walked import Walked
from scanner.walk.zone_scan import Collected, ZoneScan
from scanner.walk.zones import Zones
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers

log = logging.getLogger(__name__)


class Known(Protocol):
    """The part of the store that collecting needs: what earlier scans have left."""

    snapshot: Snapshot
    memory: Memory

    @property
    def outputs(self) -> OwnFiles:
        """The names of this program's own files."""
        ...

    def trust_of(self, mount: Mount) -> Trust:
        """How far directory mtimes are trusted on `mount`."""
        ...


class Collector:
    """Asks about the zones of one output, each through the worker of its mount.

    Lanes call it at once, each for its own zones. `History` has the only state that they share.
    """

    def __init__(
        self,
        files: FileSystem,
        workers: Workers,
        store: Known,
        settings: Settings,
        rules: ListingRules,
    ) -> None:
        self._files = files
        self._workers = workers
        self._store = store
        self._settings = settings
        self._rules = rules
        self._guard = Guard(files, workers, store)
        self.history = History()

    def with_rules(self, rules: ListingRules) -> Collector:
        """A collector that follows other rules, and remembers what this one does."""
        other = copy(self)
        other._rules = rules
        return other

    def collect(
        self,
        roots: Iterable[Root],
        zones: Zones,
        requests: Sequence[AcceptRequest],
        moment: Moment,
        *,
        stopped: Callable[[], bool],
        progress: Callable[[Progress], None] | None,
    ) -> Collected | None:
        """Guard, walk, read packs, guard again: all that a scan of `roots` has to know.

        None if it was `stopped`. A walk is left out if its worker was lost, or if the zone was not
        healthy before and after it (rule 2 (a lost mount deletes nothing)).
        """
        records, snapshot = self._store.memory.roots, self._store.snapshot
        zones = zones.with_files(_file_points(zones, snapshot))
        roots = [root for root in roots if root.path not in zones.files]
        before = self._guard.examine(roots, zones, requests)
        healthy = [zone for zone in roots if before[zone.id].state == ONLINE]
        zones = zones.without_stale(healthy, self._guard.real_path_if_known)
        roots = [zone for zone in roots if zone.path not in zones.stale]
        lost_links = self._guard.lost_links(zones, before)
        scans: dict[Root, ZoneScan] = {}
        for zone in roots:
            if stopped():
                return None
            root = zones.root_of(zone)
            scan = ZoneScan(zone, root, before[zone.id])
            if scan.health.state == ONLINE:
                rematch = has_new_rules(zone, root, self._rules, records, snapshot)
                walked = self.walk(scan, zones, moment, rematch, lost_links, stopped, progress)
                scan = replace(scan, walked=walked, has_new_rules=rematch)
            scans[zone] = scan
        for zone, seen in scans.items():
            scan = self._without_passing_mounts(seen)
            scans[zone] = replace(scan, packs=self._packs(scan, zones, moment, stopped))
        if stopped():
            return None
        after = self._guard.examine(roots, zones, requests)
        for zone, scan in scans.items():
            walked = scan.walked if stayed_healthy(scan.health, after[zone.id]) else None
            scans[zone] = replace(scan, health=after[zone.id], walked=walked)
        for zone in [zone for zone, scan in scans.items() if scan.is_inner]:
            if scans[zone].health.reason == NOT_A_FOLDER and scans[zone].health.state == MISSING:
                del scans[zone]  # a file that is a mount point
        observed = {
            path: found
            for scan in scans.values()
            if scan.walked is not None
            for path, found in scan.walked.observed.items()
        }
        zones = zones.with_files(_file_points(zones, observed))
        return Collected(zones, moment, requests, scans)

    def walk(
        self,
        scan: ZoneScan,
        zones: Zones,
        moment: Moment,
        rematch: bool,
        lost_links: AbstractSet[str],
        stopped: Callable[[], bool],
        progress: Callable[[Progress], None] | None,
    ) -> Walked | None:
        """Walk the zone of `scan`; None if its worker was lost on the way.

        `rematch` is True if the ignore rules have changed since the last walk. `lost_links` are
        those of `Guard.lost_links`.
        """

        mounts = self._files.mounts()
        started = self._files.monotonic()
        trust = self._store.trust_of(scan.health.mount)
        plan = self._plan(scan, trust, moment)
        in_order = self.history.is_crowded(scan.zone.id)
        try:
            looks = self._guard.looks(scan.health.mount, zones, mounts, lost_links)
            # A walk that comes every few seconds is not worth the start of a process.
            is_long = not any(plan) and self.history.is_new(scan.zone.id)
            worker_of = self._workers.of
            if is_long:
                known = _entries_below(scan.zone.path, self._store.snapshot)
                worker_of = partial(self._workers.of_long_walk, known=known)
            walk_with = partial(
                Walk,
                top=scan.zone.path,
                device=scan.health.identity[0],
                snapshot=self._store.snapshot,
                rules=self._rules.of_walk(scan.zone, zones, self._store.outputs),
                has_inodes=scan.health.mount.has_stable_inodes,
                rematch=rematch,
                looks=looks,
                plan=plan,
                mounts=mounts,
                together=self._together(scan.health.mount, plan.at_rest),
            )
            worker = worker_of(scan.health.mount)
            walked = walk_with(worker, in_order=in_order).run(stopped, progress)
            if walked.is_crowded and not in_order:
                worker = worker_of(scan.health.mount)
                walked = walk_with(worker, in_order=True).run(stopped, progress)
        except LostWorkerError as lost:
            log.debug("%s: %s", scan.zone.id, lost)
            return None
        if not stopped():
            walked = settle_digits(
                walked,
                self._store.snapshot,
                self._settings.mtime_digits,
                partial(self._guard.stats, scan.health.mount),
            )
            self._learn(scan, trust, walked, started, self._settle(scan, zones))
        return walked

    def _without_passing_mounts(self, scan: ZoneScan) -> ZoneScan:
        """`scan` without what a mount showed that came and went while it was walked: the next
        scan looks there again."""
        if scan.walked is None or not scan.walked.doubtful:
            return scan
        stats = partial(self._guard.stats, scan.health.mount)
        gone = passed(scan.walked.doubtful, stats)
        if gone:
            log.debug("not the folders that were listed: %s", gone)
        return scan.without(gone)

    def _packs(
        self, scan: ZoneScan, zones: Zones, moment: Moment, stopped: Callable[[], bool]
    ) -> dict[str, Pack]:
        known = KnownPacks(self._store.snapshot, self._store.memory.packs)
        settle, within = self._settle(scan, zones), self._settings.verify_within
        terms = PackTerms(moment.monotonic, settle, within)
        return read_packs(scan, zones, known, terms, self.history, self._workers, stopped)

    def _learn(
        self, scan: ZoneScan, trust: Trust, walked: Walked, started: float, settle: float
    ) -> None:
        """Note what a walk says of the mount's directory times, and of its own cost (rule 5)."""
        mount = scan.health.mount
        seen = self.history.learn(
            scan.zone.id,
            walked,
            self._store.snapshot,
            started=started,
            seconds=self._files.monotonic() - started + walked.helped_seconds,
            settle=settle,
        )
        for path, has_moved in seen:
            trust.learn(mount, path, has_moved=has_moved)

    def _settle(self, scan: ZoneScan, zones: Zones) -> float:
        return settle_of(scan.health.mount, scan.zone, zones, self._store.snapshot)

    def _plan(self, scan: ZoneScan, trust: Trust, moment: Moment) -> Plan:
        """The known directories that a walk does not list while their times stay."""
        memory, mount = self._store.memory, scan.health.mount
        return self.history.plan(
            scan.zone.id,
            Terms(moment.interval, self._settings.verify_within, self._settings.duty),
            moment.monotonic,
            is_trusted=trust.is_earned(mount),
            hot={os.path.dirname(path) for path in memory.unsettled} | memory.unreachable.keys(),
        )

    def _together(self, mount: Mount, spared: AbstractSet[str]) -> int:
        """How many of the folders `spared` are asked for in one request. A local disk answers each
        at once, and a limit for each second is meant for every one."""
        if not mount.is_remote or self._settings.requests_per_second:
            return 0
        return size_of_requests(len(spared), self._settings.workers)

    def forget(self, paths: Iterable[str]) -> None:
        """Note that directories are gone."""
        self.history.forget(paths)

    def verification_period(self, root: Root) -> float:
        """Seconds within which every file of `root` is read again, as things stand."""
        return self.history.period(root.id)


def _entries_below(top: str, snapshot: Snapshot) -> int:
    """How many entries were known at `top` and below it when they were looked at last."""
    rows = (len(found.listing) for path, found in snapshot.items() if is_below(path, top))
    return sum(rows)


def _file_points(zones: Zones, directories: Mapping[str, Directory]) -> frozenset[str]:
    """The mount points among inner zones that are listed as files. A file in place of a link is no
    mount point."""
    points: set[str] = set()
    for zone in [zone for zone in zones.inner if not zones.is_link(zone.path)]:
        folder, name = os.path.split(zone.path)
        holder = directories.get(folder)
        if holder is not None:
            types = zip(holder.listing.split_names(), holder.listing.types, strict=True)
            points.update([zone.path] if (name, FILE) in types else ())
    return frozenset(points)
