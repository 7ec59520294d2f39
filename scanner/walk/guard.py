"""Guard zones: ask where each lives and whether it is healthy, before and after a walk."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from typing import Protocol

from scanner.core.memory import (
    ABSENT,
    MISSING,
    NOT_MADE_YET,
    OFFLINE,
    STALLED,
    AcceptRequest,
    Memory,
)
from scanner.core.roots import Root
from scanner.core.snapshot import Snapshot, is_empty
from scanner.disk.filesystem import FileSystem, Stat
from scanner.disk.location import Location, locate
from scanner.disk.mounts import Mount
from scanner.walk.absent import has_disk
from scanner.walk.fingerprints import PATIENCE
from scanner.walk.health import Health, KnownMount, examine
from scanner.walk.looks import Looks
from scanner.walk.zones import Zones
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers
from scanner.workers.requests import (
    Answer,
    Failed,
    ListDirectory,
    Listed,
    Request,
    Stated,
    StatPath,
)

log = logging.getLogger(__name__)

MOST_AUTOMOUNTS = 4
"""Mounts on the way to one folder that appear one after the other, as each is opened."""


NO_LINK = (errno.EINVAL, errno.ENOENT, errno.ENOTDIR)
"""What readlink answers where no link is."""


class Known(Protocol):
    """The part of the store that guarding needs: what earlier scans have left."""

    snapshot: Snapshot
    memory: Memory


class Guard:
    """Looks at the folders of zones, each through the worker of the mount where it lives."""

    def __init__(self, files: FileSystem, workers: Workers, store: Known) -> None:
        self._files = files
        self._workers = workers
        self._store = store

    def examine(
        self, roots: Iterable[Root], zones: Zones, requests: Iterable[AcceptRequest]
    ) -> dict[str, Health]:
        """Health of each root, by id. A mount accepted by the user counts as the known one."""
        accepted = {request.root for request in requests if not request.paths}
        known = {root: self._known_mount(root, zones) for root in roots}
        for root, mount in known.items():
            if mount is not None and root.id in accepted:
                known[root] = KnownMount()
        health: dict[str, Health] = {}
        mounts, waiting = self._files.mounts(), list(known)
        for _ in range(MOST_AUTOMOUNTS):
            met: list[tuple[Root, Location, Stat | Failed]] = []
            for root in waiting:
                location = self._locate(root, zones, mounts)
                try:
                    met.append(
                        (root, location, self._meet(root.path, location, known[root], mounts))
                    )
                except LostWorkerError as lost:
                    state = STALLED if lost.is_stalled else OFFLINE
                    health[root.id] = Health(state, str(lost), location.mount)
            # The table is read after the folders were touched: that may have mounted something.
            before, mounts, waiting = mounts, self._files.mounts(), []
            for root, asked, answer in met:
                is_same = mounts == before
                location = asked if is_same else self._locate(root, zones, mounts)
                health[root.id] = examine(location, answer, mounts, known[root])
                if health[root.id].state == MISSING and isinstance(answer, Failed):
                    health[root.id] = self._absent(root, location, answer, health[root.id])
                if asked.mount != location.mount:
                    waiting.append(root)
            if not waiting:
                break
        return health

    def _absent(self, root: Root, location: Location, answer: Failed, missing: Health) -> Health:
        """The health of a missing root: absent if a file names it, or ComfyUI makes it in time,
        and the folder never was there although its disk is. Once this was seen it stays so, and
        costs no more than the stat."""
        if answer.errno not in (errno.ENOENT, errno.ENOTDIR):
            return missing
        if root.named_by:
            reason = f"{os.path.basename(root.named_by)} names it, and it never was there"
        elif root.is_optional:
            reason = NOT_MADE_YET
        else:
            return missing
        absent = replace(missing, state=ABSENT, reason=reason)
        record = self._store.memory.roots.get(root.id)
        if record is not None and record.state == ABSENT:
            return absent
        if location.waits_for_automount:
            return missing
        try:
            is_there = has_disk(location, lambda request: self._ask(request, location.mount))
        except LostWorkerError:
            return missing
        return absent if is_there else missing

    def lost_links(self, zones: Zones, now: Mapping[str, Health]) -> frozenset[str]:
        """Links to folders on other mounts that are there and answer, and hold no such folder any
        more. `now` is what is known from this scan; for other zones, what the last one found."""
        records = self._store.memory.roots
        links = [zone for zone in zones.inner if zones.is_link(zone.path) and zone.id in records]
        mounts = self._files.mounts() if links else []
        lost: set[str] = set()
        for zone in links:
            record = records[zone.id]
            state = now[zone.id].state if zone.id in now else record.state
            known = KnownMount(record.mount_point, record.mount_identity)
            if state in (OFFLINE, MISSING) and known.is_same(zones.mount_of(zone, mounts)):
                lost.add(zone.path)
        return frozenset(lost)

    def target_of_link(
        self, path: str, target: str, mount: Mount, patience: float | None
    ) -> Stat | Failed | None:
        """The stat of what the link at `path` leads to, by the worker of `mount`. None if it fails
        and the folder that should hold the target does not prove that it is gone (rule 1).

        A server that lost a folder with entries may have lost a disk: then a person says whether
        it is gone (rule 2). Raises LostWorkerError.
        """
        answer = self.stat(path, mount, patience)
        if isinstance(answer, Stat):
            return answer
        known = self._store.snapshot.get(path)
        if mount.is_remote and known is not None and not is_empty(known):
            return None
        folder, name = os.path.split(target)
        holder = self._locate_path(folder)
        if holder.mount != mount or answer.errno not in (errno.ENOENT, errno.ENOTDIR):
            return None
        listed = self._ask(ListDirectory(holder.path), mount, patience)
        if not isinstance(listed, Listed):
            return None
        listing = listed.directory.listing
        is_there = name in listing.split_names() or name in listing.unstatted
        return None if is_there else Failed(path, errno.ENOENT, answer.error)

    def _locate_path(self, path: str) -> Location:
        return locate(path, self._files.mounts(), self._files.read_link)

    def _known_mount(self, zone: Root, zones: Zones) -> KnownMount | None:
        """The mount that `zone` was last walked on; None if it never was."""
        record = self._store.memory.roots.get(zone.id)
        if record is None or not record.walked:
            return None
        if zone.path in zones.real and not record.target and not record.is_inner:
            return KnownMount()  # earlier versions noted the mount of the words
        snapshot = self._store.snapshot
        has_entries = zone.path in snapshot and not is_empty(snapshot[zone.path])
        return KnownMount(record.mount_point, record.mount_identity, has_entries)

    def _locate(self, zone: Root, zones: Zones, mounts: Sequence[Mount]) -> Location:
        path = zones.real.get(zone.path, zone.path)
        return locate(path, mounts, self._files.read_link)

    def _meet(
        self, path: str, location: Location, known: KnownMount | None, mounts: Sequence[Mount]
    ) -> Stat | Failed:
        """The stat of a zone's folder. Where a mount is missing that an automounter or a server
        may put there, the folder is opened first: a stat alone mounts nothing."""
        mount = location.mount
        is_away = known is not None and bool(known.identity)
        if is_away and mount.is_remote and known is not None:
            is_away = all(other.point != known.point for other in mounts)
        if location.waits_for_automount or (is_away and mount.is_remote):
            opened = self._ask(ListDirectory(path), mount)
            if isinstance(opened, Failed):
                return opened
        return self.stat(path, mount)

    def stat(self, path: str, mount: Mount, patience: float | None = None) -> Stat | Failed:
        """The stat of `path`, by the worker of `mount`. Raises LostWorkerError."""
        answer = self._ask(StatPath(path), mount, patience)
        assert isinstance(answer, Stated | Failed)
        return answer.stat if isinstance(answer, Stated) else answer

    def looks(
        self, own: Mount, zones: Zones, mounts: Sequence[Mount], lost_links: AbstractSet[str]
    ) -> Looks:
        """How a walk on the mount `own` looks at other mounts. One that does not answer is asked
        once, and with little patience."""
        silent: set[Mount] = set()

        def look(
            where: str, ask: Callable[[Mount, float | None], Stat | Failed | None]
        ) -> Stat | Failed | None:
            mount = zones.mount_at(where, mounts)
            if mount in silent:
                return None
            try:
                return ask(mount, None if mount == own else PATIENCE)
            except LostWorkerError:
                silent.add(mount)
                return None

        def look_at(path: str, where: str) -> Stat | Failed | None:
            return look(where, partial(self.stat, path))

        def look_again(path: str, target: str) -> Stat | Failed | None:
            return look(target, partial(self.target_of_link, path, target))

        def real_path(path: str) -> str:
            return locate(path, mounts, self._files.read_link).path

        return Looks(look_at, look_again, lost_links, real_path)

    def stats(self, mount: Mount, paths: Iterable[str]) -> dict[str, Stat]:
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

    def real_path_if_known(self, path: str) -> str | None:
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

    def _ask(self, request: Request, mount: Mount, patience: float | None = None) -> Answer | None:
        worker = self._workers.of(mount, patience)
        worker.ask(request)
        answer = worker.answer()
        worker.answer()
        return answer
