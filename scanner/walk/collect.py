"""Ask the workers for all that a scan needs: health of zones, walks, node packs."""

from __future__ import annotations

import errno
import logging
import os
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Protocol

from scanner.comfyui.packs import KIND, is_believable, pack_around, pack_places
from scanner.core.memory import MISSING, ONLINE, AcceptRequest, Memory
from scanner.core.packs import Pack
from scanner.core.progress import Progress
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, Directory, Snapshot
from scanner.disk.filesystem import FileSystem, Stat
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.disk.trust import Trust
from scanner.settings.schema import Settings
from scanner.walk.digits import settle_digits
from scanner.walk.fingerprints import PATIENCE
from scanner.walk.granularity import settle_of
from scanner.walk.guard import Guard
from scanner.walk.health import NOT_A_FOLDER, Moment, stayed_healthy
from scanner.walk.history import History
from scanner.walk.linked import LookAt
from scanner.walk.rules import ListingRules, OwnFiles, has_new_rules
from scanner.walk.verification import Terms
from scanner.walk.walk import Walk
from scanner.walk.walked import Walked
from scanner.walk.zone_scan import Collected, ZoneScan
from scanner.walk.zones import Zones
from scanner.workers.pool import Workers
from scanner.workers.remote import LostWorkerError
from scanner.workers.requests import (
    Failed,
    PackRead,
    ReadPack,
    Stated,
    StatPath,
)

log = logging.getLogger(__name__)

NO_LINK = (errno.EINVAL, errno.ENOENT, errno.ENOTDIR)
"""What readlink answers where no link is."""


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
        zones = zones.without_stale(healthy, self._real_path_if_known)
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
        for zone, scan in scans.items():
            scans[zone] = replace(scan, packs=self.read_packs(scan, zones, moment, stopped))
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

        def look(
            where: str, ask: Callable[[Mount, float | None], Stat | Failed | None]
        ) -> Stat | Failed | None:
            mount = zones.mount_at(where, mounts)
            is_own = mount == scan.health.mount
            if mount in silent:
                return None
            try:
                return ask(mount, None if is_own else PATIENCE)
            except LostWorkerError:
                silent.add(mount)
                return None

        def look_at(path: str, where: str) -> Stat | Failed | None:
            return look(where, partial(self._guard.stat, path))

        def look_again(path: str, target: str) -> Stat | Failed | None:
            return look(target, partial(self._guard.target_of_link, path, target))

        silent: set[Mount] = set()
        mounts = self._files.mounts()
        started = self._files.monotonic()
        trust = self._store.trust_of(scan.health.mount)
        spared = self._spared(scan, trust, moment)
        in_order = self.history.is_crowded(scan.zone.id)
        try:
            walk_with = partial(
                self._make_walk,
                *(scan, zones, spared, rematch, mounts, lost_links, look_at, look_again),
            )
            walked = walk_with(in_order).run(stopped, progress)
            if walked.is_crowded and not in_order:
                walked = walk_with(True).run(stopped, progress)
        except LostWorkerError as lost:
            log.debug("%s: %s", scan.zone.id, lost)
            return None
        if not stopped():
            walked = settle_digits(
                walked,
                self._store.snapshot,
                self._settings.mtime_digits,
                lambda paths: self._stat(scan.health.mount, paths),
            )
            self._learn(scan, trust, walked, started, self._settle(scan, zones))
        return walked

    def read_packs(
        self,
        scan: ZoneScan,
        zones: Zones,
        moment: Moment,
        stopped: Callable[[], bool],
    ) -> dict[str, Pack]:
        """The node packs of a zone that its walk gives reason to read, by path.

        A pack that could not be read is left out, and so is one in the middle of an update.
        """
        zone, walked, top = scan.zone, scan.walked, scan.root.path
        if zone.kind != KIND or walked is None or zone.path in walked.failed:
            return {}
        snapshot = ChainMap(walked.observed, self._store.snapshot)
        packs = [
            path
            for path, is_directory in pack_places(snapshot, top)
            if is_directory and path not in walked.foreign and zones.owner(path) == zone
        ]
        history, settle = self.history, self._settle(scan, zones)
        changed = {around for path in walked.observed if (around := pack_around(path, top))}
        started, verify_within = moment.monotonic, self._settings.verify_within
        due = history.packs_due(
            zone.id, packs, changed, started=started, verify_within=verify_within
        )
        read: dict[str, Pack] = {}
        try:
            worker = self._workers.of(scan.health.mount)
            for path in reversed(due):  # last in, first out
                worker.ask(ReadPack(path, is_directory=True))
            while not stopped() and (answer := worker.answer()) is not None:
                pack = answer.pack if isinstance(answer, PackRead) else None
                if pack is None:
                    continue
                is_at_rest = history.has_read_pack(
                    zone.id, answer.path, started=started, settle=settle
                )
                previous = self._store.memory.packs.get(answer.path)
                if is_believable(pack, previous, is_at_rest=is_at_rest):
                    read[answer.path] = pack
        except LostWorkerError as lost:
            log.debug("packs of %s: %s", zone.id, lost)
        return read

    def _stat(self, mount: Mount, paths: Iterable[str]) -> dict[str, Stat]:
        """Stats of files on `mount`, as far as they answer."""
        found: dict[str, Stat] = {}
        try:
            worker = self._workers.of(mount)
            for path in paths:
                worker.ask(StatPath(path))
            while (answer := worker.answer()) is not None:
                if isinstance(answer, Stated):
                    found[answer.path] = answer.stat
        except LostWorkerError as lost:
            log.debug("stats on %s: %s", mount.point, lost)
        return found

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
            seconds=self._files.monotonic() - started,
            settle=settle,
        )
        for path, has_moved in seen:
            trust.learn(mount, path, has_moved=has_moved)

    def _settle(self, scan: ZoneScan, zones: Zones) -> float:
        return settle_of(scan.health.mount, scan.zone, zones, self._store.snapshot)

    def _spared(self, scan: ZoneScan, trust: Trust, moment: Moment) -> AbstractSet[str]:
        """Known directories that a walk does not list while their times stay."""
        memory, mount = self._store.memory, scan.health.mount
        return self.history.plan(
            scan.zone.id,
            Terms(moment.interval, self._settings.verify_within, self._settings.duty),
            moment.monotonic,
            is_trusted=trust.is_earned(mount),
            hot={os.path.dirname(path) for path in memory.unsettled} | memory.unreachable.keys(),
        )

    def _real_path_if_known(self, path: str) -> str | None:
        """`path` with all links followed; None if one of them could not be read."""
        unread: list[OSError] = []

        def read_link(link: str) -> str:
            try:
                return self._files.read_link(link)
            except OSError as error:
                unread.extend([error] if error.errno not in NO_LINK else ())
                raise

        real = locate(path, self._files.mounts(), read_link).path
        return None if unread else real

    def forget(self, paths: Iterable[str]) -> None:
        """Note that directories are gone."""
        self.history.forget(paths)

    def verification_period(self, root: Root) -> float:
        """Seconds within which every file of `root` is read again, as things stand."""
        return self.history.period(root.id)

    def _make_walk(
        self,
        scan: ZoneScan,
        zones: Zones,
        spared: AbstractSet[str],
        rematch: bool,
        mounts: Sequence[Mount],
        lost_links: AbstractSet[str],
        look_at: LookAt,
        look_again: LookAt,
        in_order: bool,
    ) -> Walk:
        def real_path(path: str) -> str:
            return locate(path, mounts, self._files.read_link).path

        return Walk(
            self._workers.of(scan.health.mount),
            scan.zone.path,
            self._store.snapshot,
            self._rules.of_walk(scan.zone, zones, self._store.outputs),
            has_inodes=scan.health.mount.has_stable_inodes,
            rematch=rematch,
            look_at=look_at,
            spared=spared,
            real_path=real_path,
            mounts=mounts,
            lost_links=lost_links,
            look_again=look_again,
            in_order=in_order,
        )


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
