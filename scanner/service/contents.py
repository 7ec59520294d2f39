"""What is read of files between scans: headers of models, and whole files for their hashes.

Nothing here is needed to tell what changed, so it always comes after what is, and stops when the
next scan of its mount is due. Each file is looked at through the worker of its mount: one that
hangs stops nothing else. What is read is saved file by file, so that a crash repeats one file.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.comfyui.model_facts import wants_facts
from scanner.core.digests import XXH3
from scanner.core.memory import ONLINE, PARTIAL, Memory
from scanner.core.paths import is_below, join
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import FILE, Directory, Snapshot
from scanner.disk.content_hash import Piece
from scanner.disk.filesystem import FileSystem
from scanner.disk.mounts import Mount, mount_of
from scanner.errors import OutputError
from scanner.scan import Scanner
from scanner.service.fingerprints import FIRST, NAP
from scanner.store.metadata import FileMetadata, MetadataTable, MetadataUpdate
from scanner.walk.zones import Zones
from scanner.workers.pool import Workers
from scanner.workers.remote import LostWorkerError
from scanner.workers.requests import Failed, HashPiece, PieceHashed, ReadFacts, Understood

WITH_FACTS = FIRST | {"custom_nodes"}
"""Kinds of roots whose models' headers are read: packs hold weights of their own as well."""

PIECE_SECONDS = 0.25
"""How long one request reads: the most that a scan or SIGTERM waits for it."""

CHUNK = 1024

SEARCHES = 16
"""Files chosen at a time at least, and parts in which all that wait are chosen: each choice looks
at all folders that wait."""

HEADERS = 64
"""Headers asked for at a time: so many are read after the end was asked for at most."""

RETRY_AFTER = 600.0
"""Seconds after which a file that could not be read is tried again: the fault may have been the
server's, and may be the disk's."""

LOCK_PATIENCE = 60.0
"""Seconds for which the state may be held by another process: a first scan commits it whole."""

MEASURE_EVERY = 300.0
"""Seconds between counts of what is left."""

BATCH_FILES = 256

BATCH_BYTES = 64 << 20

SAVE_EVERY = 1.0
"""Files, bytes hashed, and seconds after which what was read is saved: the most that a crash has to
read again, but for a single larger file."""


class ReadTask(NamedTuple):
    """A file to read, as it was listed."""

    path: str
    size: int
    mtime: int
    algorithms: tuple[str, ...] = ()
    """Digests to take; none: only its header is read."""
    expected: FileMetadata | None = None
    """What its content has to come to (`verify`)."""


_JOBS = itertools.count(os.getpid() << 32)
"""Numbers of readings of files, by which workers tell them apart, whoever asks."""


def _hash_task(
    path: str, size: int, mtime: int, missing: Sequence[str], was: FileMetadata | None
) -> ReadTask:
    """The digests that are `missing`, and one that is known: what rotted since must not get a
    digest that says it is sound."""
    if was is None or not was.digests:
        return ReadTask(path, size, mtime, tuple(missing))
    check = XXH3 if XXH3 in was.digests else min(was.digests)
    return ReadTask(path, size, mtime, (check, *missing), was._replace(facts=None))


class Damage(NamedTuple):
    """A file whose content is not what it was, though size and mtime are."""

    path: str
    size: int
    hashed: int
    """When it was read last and was sound, nanoseconds since 1970."""


@dataclass(frozen=True)
class ReadContext:
    """What there is to read from: given as calls, since scans replace it while we read."""

    files: FileSystem
    workers: Workers
    metadata: MetadataTable
    snapshot: Callable[[], Snapshot]
    memory: Callable[[], Memory]
    zones: Callable[[], Zones]


def sight_of(scanner: Scanner) -> ReadContext:
    """What `scanner` scans."""
    store = scanner.store
    return ReadContext(
        scanner.files,
        scanner.workers,
        store.metadata,
        lambda: store.snapshot,
        lambda: store.memory,
        scanner.zones,
    )


@dataclass
class ContentReader:
    """Reads what is missing, in the zones that `own` gives, at `rate` bytes a second at most."""

    context: ReadContext
    pending: dict[str, float]
    """Folders that may hold files to read, with the monotonic time of their last change."""
    algorithms: tuple[str, ...] = ()
    facts: bool = True
    rate: float = 0.0
    """Bytes per second; 0 for as fast as it goes."""
    own: Callable[[], Collection[Root]] | None = None
    within: Sequence[str] = ()
    """Only files at or below these paths, of whatever kind of root; none: all of the kinds that
    hold models."""
    unreadable: list[str] = field(default_factory=list)
    """Files that could not be read, or changed while they were."""
    damaged: list[Damage] = field(default_factory=list)
    _failed: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    """Files that could not be read, with size, mtime, and when they are tried again at the latest
    (monotonic): at once when they change."""
    _unanswered: set[str] = field(default_factory=set)
    """Files of mounts that did not answer: tried again by the next `work`."""
    _queue: deque[ReadTask] = field(default_factory=deque)
    _measured: float = float("-inf")
    _silent: set[Mount] = field(default_factory=set)
    _learned: list[MetadataUpdate] = field(default_factory=list)
    _learned_bytes: int = 0
    _saved: float = float("-inf")
    _under_way: tuple[ReadTask, int] | None = None
    _not_before: float = float("-inf")
    """When the rate lets the next piece be read, monotonic."""
    _unsaved_since: float = float("inf")
    _done: Remaining = field(default_factory=lambda: Remaining(0, 0))
    _left: Remaining = field(default_factory=lambda: Remaining(0, 0))

    # What to read

    def size(self) -> Remaining:
        """Files that wait to be hashed, and their bytes; headers are not counted."""
        files = bytes_ = 0
        for task in self._waiting(only_settled=False):
            if task.algorithms:
                files += 1
                bytes_ += task.size
        return Remaining(files, bytes_)

    def work(
        self,
        stopped: Callable[[], bool],
        progress: Callable[[Progressed], None] | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> Remaining:
        """Read until nothing is left, `stopped`, or there are no `seconds_left`; what is left.

        Raises OutputError where nothing can be saved.
        """

        def ends() -> bool:
            return stopped() or seconds_left() <= 0

        self._silent.clear()
        self._unanswered.clear()
        self.unreadable.clear()
        try:
            if self.facts:
                self._read_headers(ends)
                self._save()
            if self.algorithms and not ends():
                self._measure()
            while self.algorithms and not ends():
                if not self._queue:
                    self._save()
                    self._queue.extend(self._choose())
                if not self._queue or not self._hash(self._queue, ends, progress):
                    break
        finally:
            self._save(is_last=True)
        return self._left

    def verify(
        self,
        tasks: Sequence[ReadTask],
        stopped: Callable[[], bool],
        progress: Callable[[Progressed], None] | None = None,
    ) -> Remaining:
        """Read files again and compare with what is known of them (see `damaged`); what is
        left."""
        self._done = Remaining(0, 0)
        self._left = Remaining(len(tasks), sum(task.size for task in tasks))
        queue = deque(tasks)
        while queue and not stopped() and self._hash(queue, stopped, progress):
            pass
        return self._left

    def known_tasks(self, before: int) -> list[ReadTask]:
        """What `verify` can check: files that are what they were when they were hashed, and were
        read last before `before` (nanoseconds); those first that were not read for longest."""
        snapshot, metadata = self.context.snapshot(), self.context.metadata
        tasks = []
        for folder in metadata.versions:
            directory, mount = snapshot.get(folder), self._mount(folder)
            if directory is None or mount is None or not self._wants_folder(folder):
                continue
            known = metadata.of_folder(folder)
            for row in directory.listing.rows():
                was = known.get(row.name)
                path = join(folder, row.name)
                if row.type != FILE or was is None or not was.digests or not self._wants(path):
                    continue
                if was.is_of(row.size, row.mtime) and was.read < before:
                    # One of them proves as much as all, and xxh3 costs the least.
                    algorithm = XXH3 if XXH3 in was.digests else min(was.digests)
                    expected = was._replace(facts=None)
                    tasks.append(ReadTask(path, row.size, row.mtime, (algorithm,), expected))
        return sorted(tasks, key=lambda task: (task.expected.read if task.expected else 0, task))

    def _measure(self) -> None:
        """Count what is left, now and then: that looks at all folders that wait."""
        now = self.context.files.monotonic()
        if not self._left.files or now - self._measured >= MEASURE_EVERY:
            self._left, self._measured = self.size(), now

    def _choose(self) -> list[ReadTask]:
        """The files to hash next: possible duplicates first, then what is done soonest."""
        waiting = (task for task in self._waiting(only_settled=True) if task.algorithms)
        first = next(waiting, None)
        if first is None:
            return []
        repeated = self._repeated_sizes()
        return heapq.nsmallest(
            max(CHUNK, self._left.files // SEARCHES),
            itertools.chain((first,), waiting),
            key=lambda task: (task.size not in repeated, task.size, task.path),
        )

    def _repeated_sizes(self) -> set[int]:
        sizes = array("q")
        for directory in list(self.context.snapshot().values()):
            sizes.extend(directory.listing.sizes)
        ordered = sorted(sizes)
        return {one for one, other in itertools.pairwise(ordered) if one == other}

    def _waiting(self, *, only_settled: bool) -> Iterator[ReadTask]:
        snapshot, zones = self.context.snapshot(), self.context.zones()
        mounts = self.context.files.mounts()
        own = zones.all if self.own is None else self.own()
        settles = {zone.id: zones.mount_of(zone, mounts).settle for zone in zones.all}
        now = self.context.files.monotonic()
        for folder, changed in list(self.pending.items()):
            directory, owner = snapshot.get(folder), owner_of(folder, zones.all)
            if directory is None or owner is None:
                self.pending.pop(folder, None)
                continue
            # A write in the same tick as the listed mtime would not be noticed later (rule 4).
            is_settled = now - changed >= settles[owner.id]
            if owner in own and self._answers(owner) and (is_settled or not only_settled):
                yield from self._missing(folder, directory, owner)

    def _answers(self, zone: Root) -> bool:
        record = self.context.memory().roots.get(zone.id)
        return record is not None and record.state in (ONLINE, PARTIAL)

    def _missing(self, folder: str, directory: Directory, owner: Root) -> Iterator[ReadTask]:
        wants_hash = bool(self.algorithms) and (bool(self.within) or owner.kind in FIRST)
        wants_header = self.facts and (bool(self.within) or owner.kind in WITH_FACTS)
        if not (wants_hash or wants_header) or not self._wants_folder(folder):
            self.pending.pop(folder, None)
            return
        known: dict[str, FileMetadata] | None = None
        growing = self.context.memory().unsettled
        is_complete = True
        for row in directory.listing.rows():
            has_header = wants_header and wants_facts(row.name)
            if row.type != FILE or not (has_header or (wants_hash and row.size)):
                continue
            path = join(folder, row.name)
            if not self._wants(path):
                continue
            if self._is_given_up(path, row.size, row.mtime):
                is_complete = False
                continue
            seen = growing.get(path)
            if seen is not None and (seen.size, seen.mtime) != (row.size, row.mtime):
                is_complete = False
                continue  # it has other content by now, which is not reported yet
            if known is None:
                known = self._known(folder)
            was = known.get(row.name)
            if was is not None and not was.is_of(row.size, row.mtime):
                was = None
            if has_header and (was is None or was.facts is None):
                is_complete = False
                if path not in self._unanswered:
                    yield ReadTask(path, row.size, row.mtime)
            missing = [a for a in self.algorithms if was is None or a not in was.digests]
            # What is known to be corrupt has no hash worth keeping.
            if wants_hash and row.size and missing and not (was and was.corrupt):
                is_complete = False
                if path not in self._unanswered:
                    yield _hash_task(path, row.size, row.mtime, missing, was)
        if is_complete:
            self.pending.pop(folder, None)

    def _is_given_up(self, path: str, size: int, mtime: int) -> bool:
        failed = self._failed.get(path)
        if failed is None or failed[:2] != (size, mtime):
            return False
        return self.context.files.monotonic() < failed[2]

    def _known(self, folder: str) -> dict[str, FileMetadata]:
        metadata = self.context.metadata
        return metadata.of_folder(folder) if folder in metadata.versions else {}

    def _wants_folder(self, folder: str) -> bool:
        return not self.within or any(
            is_below(folder, top) or is_below(top, folder) for top in self.within
        )

    def _wants(self, path: str) -> bool:
        return not self.within or any(is_below(path, top) for top in self.within)

    def _mount(self, path: str) -> Mount | None:
        """The mount that `path` lives on; None where it does not answer."""
        zones, mounts = self.context.zones(), self.context.files.mounts()
        owner = owner_of(path, zones.all)
        if owner is not None and not self._answers(owner):
            return None
        mount = zones.mount_of(owner, mounts) if owner else mount_of(path, mounts)
        return None if mount in self._silent else mount

    # Reading

    def _read_headers(self, ends: Callable[[], bool]) -> None:
        waiting = (t for t in self._waiting(only_settled=True) if not t.algorithms)
        while not ends() and (tasks := list(itertools.islice(waiting, HEADERS))):
            by_mount: dict[Mount, dict[str, ReadTask]] = {}
            for task in tasks:
                mount = self._mount(task.path)
                if mount is None:
                    self._unanswered.add(task.path)
                else:
                    by_mount.setdefault(mount, {})[task.path] = task
            for mount, wanted in by_mount.items():
                self._read_headers_on(mount, wanted, ends)
                self._save()

    def _read_headers_on(
        self, mount: Mount, wanted: dict[str, ReadTask], ends: Callable[[], bool]
    ) -> None:
        try:
            worker = self.context.workers.of(mount)
            for path in reversed(wanted):  # last in, first out
                worker.ask(ReadFacts(path))
            while (answer := worker.answer()) is not None:
                task = wanted.pop(answer.path)
                found = answer.found if isinstance(answer, Understood) else None
                if found is None or (found.size, found.mtime) != task[1:3]:
                    self._give_up(task)
                else:
                    self._learn(MetadataUpdate(*task[:3], facts=found.facts._asdict()), 0)
        except LostWorkerError:
            self._silent.add(mount)
            self._unanswered.update(wanted)

    def _hash(
        self,
        queue: deque[ReadTask],
        ends: Callable[[], bool],
        progress: Callable[[Progressed], None] | None,
    ) -> bool:
        """Hash the first file of `queue`, on from where an earlier call left it, and take it out;
        False where it is not done."""
        task = queue[0]
        mount = self._mount(task.path)
        if mount is None:
            queue.popleft()
            self._pass(task, self._unanswered.add)
            return True
        if self._under_way is None or self._under_way[0] != task:
            self._under_way = task, next(_JOBS)
        job = self._under_way[1]
        while True:
            self._rest(ends)
            if ends():
                return False
            started = self.context.files.monotonic()
            most = max(1, int(self.rate * PIECE_SECONDS)) if self.rate else 1 << 62
            piece = self._ask(
                mount, HashPiece(task.path, job, task.algorithms, most, PIECE_SECONDS)
            )
            if piece is None or piece.has_changed or (piece.size, piece.mtime) != task[1:3]:
                self._under_way = None
                queue.popleft()
                is_lost = mount in self._silent
                self._pass(task, self._unanswered.add if is_lost else None)
                return True
            self._done = Remaining(self._done.files, self._done.bytes + piece.read)
            self._left = Remaining(self._left.files, max(0, self._left.bytes - piece.read))
            if self.rate:
                self._not_before = max(started, self._not_before) + piece.read / self.rate
            if piece.digests is not None:
                self._under_way = None
                queue.popleft()
                self._finish(task, piece.digests)
            if progress is not None:
                progress(Progressed(self._done.files, self._done.bytes, self._left))
            if piece.digests is not None:
                return True

    def _ask(self, mount: Mount, request: HashPiece) -> Piece | None:
        """The piece; None where the file or its mount did not answer."""
        try:
            worker = self.context.workers.of(mount)
            worker.ask(request)
            answer = worker.answer()
            worker.answer()
        except LostWorkerError:
            self._silent.add(mount)
            return None
        assert isinstance(answer, PieceHashed | Failed)
        return answer.piece if isinstance(answer, PieceHashed) else None

    def _rest(self, ends: Callable[[], bool]) -> None:
        files = self.context.files
        while not ends() and (left := self._not_before - files.monotonic()) > 0:
            files.sleep(min(left, NAP))

    def _finish(self, task: ReadTask, digests: dict[str, bytes]) -> None:
        self._done = Remaining(self._done.files + 1, self._done.bytes)
        self._left = Remaining(max(0, self._left.files - 1), self._left.bytes)
        before = task.expected
        if before is not None:
            now = self.context.files.now()
            is_sound = all(
                before.digests.get(name, value) == value for name, value in digests.items()
            )
            self.context.metadata.mark(task.path, corrupt=0 if is_sound else now, now=now)
            if not is_sound:
                self.damaged.append(Damage(task.path, task.size, before.read))
                return
        if before is None or digests.keys() - before.digests.keys():
            self._learn(MetadataUpdate(*task[:3], digests=digests), task.size)

    def _pass(self, task: ReadTask, keep: Callable[[str], None] | None) -> None:
        """Leave out a file that does not answer, or is not what was listed: the next scan that
        sees it differ queues it again. `keep` takes its path where its mount was lost."""
        self._left = Remaining(max(0, self._left.files - 1), max(0, self._left.bytes - task.size))
        if keep is None:
            self._give_up(task)
        else:
            keep(task.path)
            self.unreadable.append(task.path)

    def _give_up(self, task: ReadTask) -> None:
        again = self.context.files.monotonic() + RETRY_AFTER
        self._failed[task.path] = (task.size, task.mtime, again)
        self.unreadable.append(task.path)

    def _learn(self, learned: MetadataUpdate, size: int) -> None:
        self._learned.append(learned)
        self._learned_bytes += size
        is_late = self.context.files.monotonic() - self._saved >= SAVE_EVERY
        if is_late or len(self._learned) >= BATCH_FILES or self._learned_bytes >= BATCH_BYTES:
            self._save()

    def _save(self, *, is_last: bool = False) -> None:
        """Keep what was learned. Another process may hold the state for longer than a moment: only
        when that lasts, or nothing else comes, OutputError."""
        now = self._saved = self.context.files.monotonic()
        if not self._learned:
            return
        try:
            self.context.metadata.save(self._learned, self.context.files.now())
        except OutputError:
            self._unsaved_since = min(self._unsaved_since, now)
            if is_last or now - self._unsaved_since > LOCK_PATIENCE:
                raise
        else:
            self._learned, self._learned_bytes = [], 0
            self._unsaved_since = math.inf
