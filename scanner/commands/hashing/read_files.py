"""Read the files that the scans of one output have listed, for `hash` and `verify`.

The commands take no lock and may run while `run` does. They read the snapshot once, at the start,
and save digests in the state a few files at a time. A file that has changed since it was listed is
left to the next scan.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from scanner.core.memory import Memory, roots_of
from scanner.core.paths import is_below
from scanner.core.pending import PendingFolders
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import KINDS, Root, owner_of
from scanner.core.serialize import path_fields, readable, shown, time_text
from scanner.core.snapshot import Snapshot
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import Mount
from scanner.errors import InventoryError, SettingsError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, read_header
from scanner.output.lock import LockHeldError, locked
from scanner.service.hash_tasks import HashTask, tasks_to_verify
from scanner.service.hasher import Damage, FileHasher
from scanner.service.hashes import HashReader
from scanner.service.opening import WorkersOf
from scanner.service.reading import MODEL_KINDS
from scanner.settings.schema import Settings
from scanner.settings.values import NOT_SPLIT, SPLITS
from scanner.store.metadata import MetadataTable
from scanner.store.projection import view_of
from scanner.store.state import State
from scanner.store.store import Store
from scanner.walk.zones import RootLocations, Zones, find_zones

T = TypeVar("T")


class Result(NamedTuple):
    """The result of a command. `read` and `left` count files and their bytes."""

    read: Remaining
    left: Remaining
    unread: list[str]
    """Paths that did not answer, or had changed since they were listed."""
    damaged: list[Damage]
    away: list[str]
    """Ids of roots that were to be read and do not answer."""

    def as_json(self) -> dict[str, Any]:
        """The result for programs."""
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


class Saved(NamedTuple):
    """The snapshot, memory and metadata that scans had saved when the command began."""

    snapshot: Snapshot
    memory: Memory
    metadata: MetadataTable


class Hashing:
    """Reads files of one output, once. It is the `Source` of its readers."""

    def __init__(
        self,
        settings: Settings,
        outputs: Outputs,
        rate: int,
        within: Sequence[str],
        workers_of: WorkersOf,
    ):
        """`rate`: bytes per second at most on each mount, 0 for no limit. `within`: only files at
        or below these paths. `workers_of` makes the workers that read. Raises InventoryError and
        SettingsError."""
        self.files = DiskFileSystem()
        self._rate = float(rate)
        self._stop = threading.Event()
        snapshot, memory = _load(outputs)
        self._roots = known_roots(memory)
        self._locations = RootLocations(self.files)
        self._within = [os.path.abspath(path) for path in within]
        _check(self._within, self._roots, snapshot)
        self.store = Saved(snapshot, memory, MetadataTable(outputs.state))
        self.workers = workers_of(settings, self.files, self._stop.is_set, lambda: snapshot)

    def stop(self) -> None:
        """Ask for the end; safe in a signal handler."""
        self._stop.set()

    def close(self) -> None:
        """Let go of everything."""
        self.workers.close()
        self.store.metadata.close()

    def hash(self, algorithms: Sequence[str], progress: Callable[[Progressed], None]) -> Result:
        """Take the hashes that are missing. Raises OutputError if they cannot be saved."""
        jobs = []
        for mount, own in self._by_mount(self.zones().all, lambda zone: zone).items():
            for takes in _parts(self.workers.readers(mount)):
                reader = HashReader(
                    self,
                    PendingFolders(self.store.snapshot),
                    algorithms,
                    rate=self._rate,
                    own=lambda own=own: own,  # type: ignore[misc]
                    within=self._within,
                    takes=takes,
                )
                jobs.append(_Job(reader.hasher, partial(reader.work, self._stop.is_set)))
        return self._side_by_side(jobs, progress)

    def verify(self, before: int, progress: Callable[[Progressed], None]) -> Result:
        """Read files again that were hashed and last read before `before` (nanoseconds since 1970).

        Raises OutputError if the result cannot be saved.
        """
        zones = self.zones().all

        def zone_of(task: HashTask) -> Root:
            owner = owner_of(task.path, zones)
            assert owner is not None
            return owner

        jobs = []
        tasks = tasks_to_verify(self, self._within, before)
        for mount, own in self._by_mount(tasks, zone_of).items():
            for takes in _parts(self.workers.readers(mount)):
                hasher = FileHasher(self, self._rate)
                mine = [task for task in own if takes(task.path)]
                jobs.append(_Job(hasher, partial(hasher.verify, mine, self._stop.is_set)))
        return self._side_by_side(jobs, progress)

    def zones(self) -> Zones:
        """Roots, and the mounts that begin below them, as they are now."""
        return find_zones(
            self._roots,
            self._locations,
            list(self.store.memory.roots.values()),
            lambda path, is_directory: True,
        )

    def _by_mount(self, items: Iterable[T], zone_of: Callable[[T], Root]) -> dict[Mount, list[T]]:
        zones, mounts = self.zones(), self.files.mounts()
        by_mount: defaultdict[Mount, list[T]] = defaultdict(list)
        for item in items:
            by_mount[zones.mount_of(zone_of(item), mounts)].append(item)
        return by_mount

    def _side_by_side(self, jobs: Sequence[_Job], progress: Callable[[Progressed], None]) -> Result:
        """Do all jobs at a time, each in a thread: there is one for each mount."""
        progress_of: dict[int, Progressed] = {}
        lock = threading.Lock()

        def do(number: int) -> Remaining:
            def note(done: Progressed) -> None:
                with lock:
                    progress_of[number] = done
                    progress(_together(progress_of.values()))

            return jobs[number].work(note)

        with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
            try:
                left = list(pool.map(do, range(len(jobs))))
            except BaseException:
                self.stop()
                raise
        done = _together(progress_of.values())
        return Result(
            Remaining(done.files, done.bytes),
            Remaining(sum(work.files for work in left), sum(work.bytes for work in left)),
            sorted(path for job in jobs for path in job.hasher.attempts.unreadable),
            sorted(damage for job in jobs for damage in job.hasher.damaged),
            self._away(),
        )

    def _away(self) -> list[str]:
        kinds = MODEL_KINDS if not self._within else frozenset(KINDS)
        return [
            root.id
            for root in self.zones().all
            if root.id in self.store.memory.roots
            and not self.store.memory.could_read(root.id)
            and root.kind in kinds
            and (not self._within or any(_meet(root.path, path) for path in self._within))
        ]


def _parts(count: int) -> list[Callable[[str], bool]]:
    """Functions of which exactly one is True for each path."""
    if count == 1:
        return [lambda path: True]
    return [partial(_is_part, number, count) for number in range(count)]


def _is_part(number: int, count: int, path: str) -> bool:
    return zlib.crc32(path.encode("utf-8", "surrogateescape")) % count == number


class _Job(NamedTuple):
    """Files of one mount to read. `work` takes a function to report progress to."""

    hasher: FileHasher
    work: Callable[[Callable[[Progressed], None]], Remaining]


def _load(outputs: Outputs) -> tuple[Snapshot, Memory]:
    """Load what scans of these outputs have saved. Raises InventoryError if there is nothing."""
    if not os.path.exists(outputs.state):
        raise InventoryError(f"No scan has written {outputs.inventory} yet.")
    with closing(State(outputs.state)) as state:
        return state.load_snapshot(), state.load_memory()


def _check(within: Iterable[str], roots: Iterable[Root], snapshot: Snapshot) -> None:
    """Raise SettingsError for a path that no scan has seen."""
    for path in within:
        if not any(_meet(root.path, path) for root in roots):
            raise SettingsError(f"{readable(path)} is in none of the folders that are scanned.")
        folder, name = os.path.split(path)
        directory = snapshot.get(folder)
        is_listed = directory is not None and name in directory.listing.split_names()
        if not is_listed and not any(is_below(other, path) for other in snapshot):
            raise SettingsError(f"No scan has seen {readable(path)}.")


def _meet(one: str, other: str) -> bool:
    """True if one of the folders is the other or lies in it."""
    return is_below(one, other) or is_below(other, one)


def _together(parts: Iterable[Progressed]) -> Progressed:
    files = bytes_ = left_files = left_bytes = 0
    for done in parts:
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
    """Replace the inventory by one with the new hashes, unless a running scanner will do so.

    True if the inventory was replaced. Raises OutputError.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(outputs.lock))
        except (LockHeldError, OSError):
            return False
        header = read_header(outputs.inventory)
        base = base_of(header) if header else None
        files = DiskFileSystem()
        if header is not None:  # an option of the scan that wrote it may have said so
            split_by = header.get("split_by", NOT_SPLIT)
            settings = replace(settings, split_by=split_by if split_by in SPLITS else NOT_SPLIT)
        store = stack.enter_context(closing(Store.open(settings, outputs, base, files)))
        return store.publish(
            lambda: view_of(store, known_roots(store.memory), files.now()), is_last=True
        )
