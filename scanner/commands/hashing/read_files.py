"""The commands `hash` and `verify`: they read what the scans of one output have listed.

They take no lock and may run beside `run`: the snapshot is read once, at the start, and what they
learn goes into the state a few files at a time. A file that has changed since it was listed is left
to the next scan.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

from scanner.core.memory import ONLINE, PARTIAL, Memory, roots_of
from scanner.core.paths import is_below
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import KINDS, Root, owner_of
from scanner.core.serialize import path_fields, readable, shown, time_text
from scanner.core.snapshot import Snapshot
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.service.contents import ContentReader, Damage, ReadContext, ReadTask
from scanner.service.fingerprints import FIRST
from scanner.settings.schema import Settings
from scanner.store.metadata import MetadataTable
from scanner.store.projection import view_of
from scanner.store.state import State
from scanner.store.store import Store
from scanner.walk.zones import Zones, find_zones
from scanner.workers.pool import WorkersByMount

T = TypeVar("T")


class Result(NamedTuple):
    """What was read. Files, and bytes of them."""

    read: Remaining
    left: Remaining
    unread: list[str]
    """Paths that did not answer, or were no longer what was listed."""
    damaged: list[Damage]
    away: list[str]
    """Ids of roots that were to be read, and do not answer."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "schema": 1,
            "read": self.read._asdict(),
            "left": self.left._asdict(),
            "away": [readable(root) for root in self.away],
            "unread": [shown(path, None) for path in self.unread],
            "corrupt": [
                {
                    **path_fields(damage.path, None),
                    "size": damage.size,
                    "last_sound": time_text(damage.hashed),
                }
                for damage in self.damaged
            ],
        }


class Hashing:
    """One output's files, to be read once."""

    def __init__(self, settings: Settings, outputs: Outputs, rate: int, within: Sequence[str]):
        self._files = DiskFileSystem()
        self._rate = float(rate)
        self._stop = threading.Event()
        if not os.path.exists(outputs.state):
            raise InventoryError(f"No scan has written {outputs.inventory} yet.")
        with closing(State(outputs.state)) as state:
            self._snapshot: Snapshot = state.load_snapshot()
            self._memory: Memory = state.load_memory()
        self._roots = known_roots(self._memory)
        self._within = [os.path.abspath(path) for path in within]
        for path in self._within:
            if not any(_meet(root.path, path) for root in self._roots):
                raise SettingsError(f"{readable(path)} is in none of the folders that are scanned.")
            folder, name = os.path.split(path)
            known = self._snapshot.get(folder)
            is_listed = known is not None and name in known.listing.split_names()
            if not is_listed and not any(is_below(other, path) for other in self._snapshot):
                raise SettingsError(f"No scan has seen {readable(path)}.")
        self._metadata = MetadataTable(outputs.state)
        self._workers = WorkersByMount.from_settings(settings, self._files, self._stop.is_set)

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    def close(self) -> None:
        """Let go of everything."""
        self._workers.close()
        self._metadata.close()

    def hash(self, algorithms: Sequence[str], progress: Callable[[Progressed], None]) -> Result:
        """Take the hashes that are missing."""
        jobs = [
            _Job(reader, partial(reader.work, self._stop.is_set))
            for own in self._by_mount(self._zones().all, lambda zone: zone).values()
            for reader in [self._reader(tuple(algorithms), own)]
        ]
        return self._side_by_side(jobs, progress)

    def verify(self, before: int, progress: Callable[[Progressed], None]) -> Result:
        """Read again what was hashed, and last read before `before` (nanoseconds)."""
        zones = self._zones().all
        tasks = self._reader((), zones).known_tasks(before)

        def zone_of(task: ReadTask) -> Root:
            owner = owner_of(task.path, zones)
            assert owner is not None
            return owner

        jobs = [
            _Job(reader, partial(reader.verify, own, self._stop.is_set))
            for own in self._by_mount(tasks, zone_of).values()
            for reader in [self._reader((), zones)]
        ]
        return self._side_by_side(jobs, progress)

    def _zones(self) -> Zones:
        return find_zones(
            self._roots,
            self._files.mounts(),
            list(self._memory.roots.values()),
            lambda path, is_directory: True,
        )

    def _by_mount(self, items: Iterable[T], zone_of: Callable[[T], Root]) -> dict[Mount, list[T]]:
        zones, mounts = self._zones(), self._files.mounts()
        found: defaultdict[Mount, list[T]] = defaultdict(list)
        for item in items:
            found[zones.mount_of(zone_of(item), mounts)].append(item)
        return found

    def _reader(self, algorithms: tuple[str, ...], own: Collection[Root]) -> ContentReader:
        context = ReadContext(
            self._files,
            self._workers,
            self._metadata,
            lambda: self._snapshot,
            lambda: self._memory,
            self._zones,
        )
        return ContentReader(
            context,
            dict.fromkeys(self._snapshot, float("-inf")),
            algorithms,
            facts=False,
            rate=self._rate,
            own=lambda: own,
            within=self._within,
        )

    def _side_by_side(self, jobs: Sequence[_Job], progress: Callable[[Progressed], None]) -> Result:
        """Do all jobs, each in a thread: one reader for each mount, and all mounts at a time."""
        told: dict[int, Progressed] = {}
        lock = threading.Lock()

        def do(number: int) -> Remaining:
            def tell(done: Progressed) -> None:
                with lock:
                    told[number] = done
                    progress(_together(told.values()))

            return jobs[number].work(tell)

        with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
            try:
                left = list(pool.map(do, range(len(jobs))))
            except BaseException:
                self.stop()
                raise
        done = _together(told.values())
        return Result(
            Remaining(done.files, done.bytes),
            Remaining(sum(work.files for work in left), sum(work.bytes for work in left)),
            sorted(path for job in jobs for path in job.reader.unreadable),
            sorted(damage for job in jobs for damage in job.reader.damaged),
            self._away(),
        )

    def _away(self) -> list[str]:
        kinds = FIRST if not self._within else frozenset(KINDS)
        return [
            root.id
            for root in self._zones().all
            if (record := self._memory.roots.get(root.id)) is not None
            and record.state not in (ONLINE, PARTIAL)
            and root.kind in kinds
            and (not self._within or any(_meet(root.path, path) for path in self._within))
        ]


@dataclass
class _Job:
    reader: ContentReader
    work: Callable[[Callable[[Progressed], None]], Remaining]


def _meet(one: str, other: str) -> bool:
    """Whether one of the folders lies in the other, or is it."""
    return is_below(one, other) or is_below(other, one)


def _together(told: Iterable[Progressed]) -> Progressed:
    files = bytes_ = left_files = left_bytes = 0
    for done in told:
        files, bytes_ = files + done.files, bytes_ + done.bytes
        left_files, left_bytes = left_files + done.left.files, left_bytes + done.left.bytes
    return Progressed(files, bytes_, Remaining(left_files, left_bytes))


def known_roots(memory: Memory) -> tuple[Root, ...]:
    """The roots that scans have seen, in the order of their kinds."""
    return tuple(
        sorted(
            roots_of(memory.roots.values()), key=lambda root: (KINDS.index(root.kind), root.path)
        )
    )


def show_in_inventory(outputs: Outputs, settings: Settings) -> bool:
    """Replace the inventory by one with what was learned, where no scanner runs that will do so
    itself; whether that was done. Raises OutputError."""
    from filelock import FileLock, Timeout

    lock = FileLock(outputs.lock)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    try:
        header = read_header(outputs.inventory)
        base = base_of(header) if header else None
        files = DiskFileSystem()
        with closing(Store.open(settings, outputs, base, files)) as store:
            return store.publish(
                lambda: view_of(store, known_roots(store.memory), files.now()), is_last=True
            )
    finally:
        lock.release()
