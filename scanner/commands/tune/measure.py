"""Time real scans of given folders with the program's own engine.

Nothing is written below the measured folders. A mount that hangs does not hang the program.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Self

import psutil

from scanner.commands.tune.costs import Cost, Holding, Measured, Spent, typical
from scanner.core.memory import HELD, ONLINE, PARTIAL
from scanner.core.mount_identity import MountIdentity
from scanner.core.paths import is_below
from scanner.core.progress import Display, Progress
from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.core.snapshot import FILE
from scanner.disk.filesystem import DiskFileSystem, FileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import Mount
from scanner.disk.trust import PROOFS_WANTED, TO_BE_EARNED, Trust, trust_state
from scanner.errors import RootsIncompleteError, SettingsError
from scanner.output.file_names import Outputs
from scanner.scan import Scanner
from scanner.service.lanes import lane_name
from scanner.settings.schema import Settings
from scanner.settings.values import format_duration
from scanner.store.store import Store
from scanner.walk.granularity import settle_of
from scanner.workers.latency import latency
from scanner.workers.lost import LostWorkerError
from scanner.workers.pool import Workers, WorkersByMount
from scanner.workers.requests import (
    Answer,
    Failed,
    Fingerprinted,
    Listed,
    Request,
    Stated,
    StatedBelow,
    StatPath,
    Took,
)
from scanner.workers.worker import Worker

REPEATS = 3
"""Number of scans of a local disk whose median counts: they take milliseconds, and vary by as
much."""

ONE_TURN = 1e-3
"""An interval in seconds so short that the engine re-verifies only one folder per scan. The cost of
more folders is calculated for each interval."""

MARGIN = 0.1
"""Seconds to wait beyond the time in which a change settles."""


# Measuring


class _Counted:
    """Workers that count their answers."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.spent = Spent()

    def of(self, mount: Mount, patience: float | None = None) -> Worker:
        return _CountedWorker(self._workers.of(mount, patience), self)

    def of_long_walk(self, mount: Mount, known: int = 0) -> Worker:
        return self.of(mount)  # the scans that are measured have no help

    def apart(self, mount: Mount) -> Worker:
        return _CountedWorker(self._workers.apart(mount), self)

    def requests_at_once(self, mount: Mount) -> int:
        return self._workers.requests_at_once(mount)

    def note(self, answer: Answer) -> None:
        """Count the requests behind this answer."""
        self.spent = self.spent.plus(_asked(answer))


class _CountedWorker:
    in_process = None  # each question has to be a request, or it is not counted

    def __init__(self, worker: Worker, counted: _Counted) -> None:
        self._worker = worker
        self._counted = counted

    def ask(self, request: Request) -> None:
        self._worker.ask(request)

    def answer(self) -> Answer | None:
        answer = self._worker.answer()
        if answer is not None:
            self._counted.note(answer)
        return answer

    def abandon(self) -> None:
        self._worker.abandon()

    @property
    def helped_seconds(self) -> float:
        return self._worker.helped_seconds


def _asked(answer: Answer) -> Spent:
    """The requests to the file system behind this answer."""
    if isinstance(answer, Took):
        return _asked(answer.answer)
    if isinstance(answer, Listed):
        listing = answer.directory.listing
        return Spent(listings=1, entries=len(listing.types) + len(listing.unstatted))
    if isinstance(answer, StatedBelow):
        return Spent(stats=len(answer.stated))
    if isinstance(answer, Stated | Failed):
        return Spent(stats=1)
    return Spent(samples=1) if isinstance(answer, Fingerprinted) else Spent()


@dataclass
class _Lane:
    """Zones that are scanned together, during the measurement."""

    id: str
    zones: list[Root] = field(default_factory=list)
    first: Spent = field(default_factory=Spent)


class Tuner:
    """Measures `roots` (absolute paths), with a database and an inventory in `folder`.

    `known` is the trust in mounts that scans have recorded, by `Mount.identity`. `tell` receives a
    few words about each step. `display` shows the progress of the first scans.
    """

    def __init__(
        self,
        files: FileSystem,
        workers: Workers,
        settings: Settings,
        known: Mapping[MountIdentity, Trust],
        roots: Sequence[Root],
        folder: str,
        *,
        tell: Callable[[str], None] = lambda text: None,
        display: Display | None = None,
    ) -> None:
        self._files = files
        self._workers = _Counted(workers)
        self._known = known
        self._roots = tuple(roots)
        self._tell = tell
        self._display = display or Display()
        outputs = Outputs(os.path.join(folder, "comfy_inventory.json"), folder)
        self._store = Store.open(settings, outputs, None, files)
        self._scanner = Scanner(files, self._store, settings, self._roots, self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()

    def run(self) -> list[Measured]:
        """Measure all lanes.

        Raises SettingsError if a path is not a folder, RootsIncompleteError if one does not
        answer.
        """
        for root in self._roots:
            self._meet(root)
        return [self._measure(lane) for lane in self._first_scans()]

    def _meet(self, root: Root) -> None:
        location = locate(root.path, self._files.mounts(), self._files.read_link)
        path = readable(root.path)
        try:
            worker = self._workers.of(location.mount)
            worker.ask(StatPath(root.path))
            answer = worker.answer()
            worker.answer()
        except LostWorkerError as lost:
            raise RootsIncompleteError(f"{path} does not answer: {lost}.") from None
        if isinstance(answer, Failed) and answer.errno in (errno.ENOENT, errno.ENOTDIR):
            raise SettingsError(f"PATH: expected a folder, and there is no {path}.")
        if isinstance(answer, Failed):
            raise RootsIncompleteError(f"{path} cannot be read: {answer.error}.")
        if isinstance(answer, Stated) and not answer.stat.is_directory:
            raise SettingsError(f"PATH: expected a folder, and {path} is none.")

    def _first_scans(self) -> list[_Lane]:
        """Scan everything once. Links and mounts found on the way may add lanes."""
        lanes: dict[str, _Lane] = {}
        walked: set[Root] = set()
        while True:
            mounts, zones = self._files.mounts(), self._scanner.zones()
            new: dict[str, list[Root]] = {}
            for zone in zones.all:
                if zone not in walked:
                    new.setdefault(lane_name(zones.location(zone, mounts)), []).append(zone)
            if not new:
                return list(lanes.values())
            for name, own in new.items():
                walked.update(own)
                self._tell(f"first scan of {', '.join(readable(zone.path) for zone in own)}")
                try:
                    spent = self._scan(own, self._display.walking)
                finally:
                    self._display.idle()
                if present := [zone for zone in own if self._is_there(zone)]:
                    lane = lanes.setdefault(name, _Lane(name))
                    lane.zones += present
                    lane.first = lane.first.plus(spent)

    def _is_there(self, zone: Root) -> bool:
        """True if `zone` can be measured.

        The target of a link may be away. Raises RootsIncompleteError if a given path is.
        """
        record = self._store.memory.roots.get(zone.id)
        if record is not None and record.state in (ONLINE, PARTIAL, HELD):
            return True
        if zone in self._roots:
            reason = "" if record is None else record.reason
            raise RootsIncompleteError(
                f"{readable(zone.path)} cannot be scanned: {reason or 'it went away'}."
            )
        return False

    def _measure(self, lane: _Lane) -> Measured:
        mounts, zones = self._files.mounts(), self._scanner.zones()
        own = {zone: zones.mount_of(zone, mounts) for zone in lane.zones}
        states = {mount: self._trust_state(mount) for mount in own.values()}
        mount = own[lane.zones[0]]
        listing, sparing = self._costs(lane, states)
        is_earning = TO_BE_EARNED in states.values()
        return Measured(
            lane.id,
            mount.is_remote,
            tuple(self._holding(zone, own[zone], states) for zone in lane.zones),
            latency(self._files, self._workers, lane.zones[0].path, mount),
            self._workers.requests_at_once(mount),
            lane.first,
            listing if sparing is None or is_earning else sparing,
            sparing if is_earning else None,
        )

    def _costs(self, lane: _Lane, states: Mapping[Mount, str]) -> tuple[Cost, Cost | None]:
        """The cost of listing everything in every scan, and of trusting directory mtimes.

        The second is None if mtimes cannot be trusted.
        """
        mounts, zones = self._files.mounts(), self._scanner.zones()
        settle = max(
            settle_of(zones.mount_of(zone, mounts), zone, zones, self._store.snapshot)
            for zone in lane.zones
        )
        is_remote = any(mount.is_remote for mount in states)
        self._settle(settle)  # new directories are listed twice, which is wanted here
        self._tell(f"listing everything again, {readable(lane.id)}")
        everything = [self._scan(lane.zones)]
        quiet: list[Spent] = []
        may_spare = [self._rely(mount, state) for mount, state in states.items()]
        if is_remote and any(may_spare):
            self._settle(settle)  # or the client would answer from its cache
            self._tell(f"reading the mtimes of folders, {readable(lane.id)}")
        for _ in range(int(any(may_spare)) if is_remote else REPEATS):
            spent = self._scan(lane.zones)
            (quiet if spent.listings < spent.folders else everything).append(spent)
        listing = Cost(typical(everything), None, settle)
        return listing, replace(listing, quiet=typical(quiet)) if quiet else None

    def _trust_state(self, mount: Mount) -> str:
        return trust_state(mount, self._known_trust(mount))

    def _known_trust(self, mount: Mount) -> Trust:
        return self._known.get(mount.identity, Trust())

    def _rely(self, mount: Mount, state: str) -> bool:
        """Let the engine trust directory mtimes on `mount` if it does already or can learn to.

        Returns True if it trusts them now.
        """
        known, trust = self._known_trust(mount), self._store.trust_of(mount)
        trust.proofs, trust.failures = known.proofs, known.failures
        if state == TO_BE_EARNED:
            trust.proofs = PROOFS_WANTED
        return trust.is_earned(mount)

    def _settle(self, seconds: float) -> None:
        """Wait until new directories count as settled and caches have expired."""
        if seconds > 1:
            self._tell(f"waiting {format_duration(seconds)} until times and caches are settled")
        self._files.sleep(seconds + MARGIN)

    def _scan(
        self, zones: Sequence[Root], progress: Callable[[Progress], None] | None = None
    ) -> Spent:
        """One complete scan: walk, commit, change list, inventory."""
        before, cpu = self._workers.spent, _cpu_of_workers() + time.process_time()
        started = self._files.monotonic()
        result = self._scanner.scan(zones, interval=ONE_TURN, progress=progress)
        self._scanner.publish(is_last=False)
        seconds = self._files.monotonic() - started
        cpu = time.process_time() + _cpu_of_workers() - cpu
        counted = self._workers.spent.plus(Spent(*(-number for number in before)))
        return counted._replace(seconds=seconds, cpu=max(0.0, cpu), folders=result.directories)

    def _holding(self, zone: Root, mount: Mount, states: Mapping[Mount, str]) -> Holding:
        below = [
            directory.listing
            for path, directory in self._store.snapshot.items()
            if is_below(path, zone.path)
        ]
        return Holding(
            zone.path,
            mount,
            sum(listing.types.count(FILE) for listing in below),
            len(below),
            sum(sum(listing.sizes) for listing in below),
            states[mount],
        )


def _cpu_of_workers() -> float:
    """CPU seconds used by the worker processes so far."""
    total = 0.0
    for child in psutil.Process().children():
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue  # it has ended
        total += times.user + times.system
    return total


@contextmanager
def open_tuner(
    paths: Sequence[str],
    settings: Settings,
    known: Mapping[MountIdentity, Trust],
    *,
    tell: Callable[[str], None] = lambda text: None,
    display: Display | None = None,
    files: FileSystem | None = None,
) -> Iterator[Tuner]:
    """A tuner for `paths`. Its own files are removed afterwards. Raises SettingsError."""
    files = files or DiskFileSystem()
    mounts = files.mounts()
    # The target of a link to a share lies on the share, so the worker of the share must ask.
    targets = [locate(os.path.abspath(path), mounts, files.read_link).path for path in paths]
    roots = [Root("extra", target) for target in dict.fromkeys(targets)]
    workers = WorkersByMount.from_settings(settings, files)
    with tempfile.TemporaryDirectory(
        prefix="comfy-inventory-", dir=_folder_outside(roots, files), ignore_cleanup_errors=True
    ) as folder:
        try:
            with Tuner(
                files, workers, settings, known, roots, folder, tell=tell, display=display
            ) as tuner:
                yield tuner
        finally:
            workers.close()


def _folder_outside(roots: Sequence[Root], files: FileSystem) -> str:
    """The folder for temporary files. Raises SettingsError if it is below a measured folder."""
    folder = tempfile.gettempdir()
    mounts = files.mounts()
    for root in roots:
        target = locate(root.path, mounts, files.read_link).path
        if is_below(os.path.realpath(folder), target):
            raise SettingsError(
                f"PATH: the folder for temporary files, {folder}, is below {readable(root.path)}, "
                "where nothing may be written; name another one in the variable TMPDIR."
            )
    return folder
