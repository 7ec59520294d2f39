"""Content hashes, taken between scans or by `hash`."""

from __future__ import annotations

import heapq
import itertools
import math
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from os.path import dirname

from scanner.core.paths import join
from scanner.core.pending import PendingFolder, PendingFolders
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root
from scanner.core.snapshot import FILE_LINK
from scanner.service.hash_tasks import HashTask, is_within, may_hold, missing_hashes
from scanner.service.hasher import FileHasher
from scanner.service.reading import (
    MODEL_KINDS,
    Source,
    is_growing,
    metadata_in,
    settle_times,
)
from scanner.service.real_files import has_no_content
from scanner.store.metadata import FileMetadata

CHUNK = 1024
"""The least number of files to choose at a time: each choice looks at all folders that wait."""

SEARCHES = 16
"""Choose at least this fraction of the waiting files at a time, so that many files are not searched
anew for every few."""

MEASURE_EVERY = 300.0
"""Seconds between counts of what is left."""


class HashReader:
    """Takes the hashes that are missing: of files that came back first, then of possible
    duplicates, then of small files."""

    def __init__(
        self,
        source: Source,
        pending: PendingFolders,
        algorithms: Sequence[str],
        *,
        rate: float = 0.0,
        own: Callable[[], Collection[Root]] | None = None,
        within: Sequence[str] = (),
        takes: Callable[[str], bool] = lambda path: True,
    ) -> None:
        """`rate`: bytes per second at most, 0 for no limit. `own` gives the zones whose files are
        read, else all. `within`: only files at or below these paths, of whatever kind of root;
        none for all of the kinds that hold models. `takes` leaves files to other readers."""
        self.hasher = FileHasher(source, rate, own)
        self._source = source
        self._pending = pending
        self._algorithms = tuple(algorithms)
        self._own = own
        self._within = within
        self._takes = takes
        self._queue: deque[HashTask] = deque()
        self._measured = -math.inf

    def size(self) -> Remaining:
        """Count the files that wait to be hashed, and their bytes."""
        return Remaining.of(task.size for task in self._waiting(math.inf))

    def work(
        self,
        stopped: Callable[[], bool],
        progress: Callable[[Progressed], None] | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> Remaining:
        """Hash until nothing is left, `stopped`, or there are no `seconds_left`. Returns what is
        left.

        Raises OutputError if nothing can be saved.
        """

        def ends() -> bool:
            return stopped() or seconds_left() <= 0

        hasher = self.hasher
        hasher.begin()
        try:
            if not ends():
                self._measure()
            while not ends():
                if not self._queue:
                    hasher.batch.save()
                    self._queue.extend(self._choose())
                if not self._queue:
                    break
                hasher.hash(self._queue, ends, progress)
        finally:
            hasher.batch.save(is_last=True)
        return hasher.left

    def _measure(self) -> None:
        """Count the files that are left, but not often: that looks at all folders that wait."""
        now = self._source.files.monotonic()
        if not self.hasher.left.files or now - self._measured >= MEASURE_EVERY:
            self.hasher.left, self._measured = self.size(), now

    def _choose(self) -> list[HashTask]:
        """The files to hash next: those that came back, then possible duplicates, then what is done
        soonest."""
        waiting = self._waiting(self._source.files.monotonic())
        first = next(waiting, None)
        if first is None:
            return []
        repeated = self._repeated_sizes()
        chosen = heapq.nsmallest(
            max(CHUNK, self.hasher.left.files // SEARCHES),
            itertools.chain((first,), waiting),
            key=lambda task: (
                not task.is_claimed,
                task.size not in repeated,
                task.size,
                task.path,
            ),
        )
        return list(self._placed(chosen))

    def _placed(self, tasks: Sequence[HashTask]) -> Iterator[HashTask]:
        """`tasks`, each with the path at which it is read, without files elsewhere that have
        changed just now."""
        files, zones = self._source.files, self._source.zones()
        paths = self.hasher.real.paths(task.path for task in tasks)
        mounts, now = files.mounts(), files.monotonic()
        for task in tasks:
            path = paths[task.path]
            if path == task.path:
                yield task
            elif (
                now - self._pending.since(dirname(task.path)) < zones.mount_at(path, mounts).settle
            ):
                self.hasher.attempts.unanswered(task.path)
            else:
                yield task._replace(real=path)

    def _repeated_sizes(self) -> set[int]:
        sizes = array("q")
        for directory in list(self._source.store.snapshot.values()):
            sizes.extend(iter(directory.listing.sizes))  # columns differ in width
        ordered = sorted(sizes)
        return {one for one, other in itertools.pairwise(ordered) if one == other}

    def _waiting(self, now: float) -> Iterator[HashTask]:
        """Files that may be hashed at `now`; at infinity, all that will be."""
        source, zones = self._source, self._source.zones()
        settles = settle_times(source, zones, None if self._own is None else self._own())
        for folder in self._pending.waiting(source.store.snapshot, zones.all, settles, now):
            is_wanted = self._within or folder.zone.kind in MODEL_KINDS
            if is_wanted and may_hold(folder.path, self._within):
                yield from self._missing(folder)
            else:
                self._pending.done(folder.path, folder.changed)

    def _missing(self, folder: PendingFolder) -> Iterator[HashTask]:
        """Files of one folder whose hashes are missing. The folder is done if there is none, not
        even one that has to wait."""
        source, attempts = self._source, self.hasher.attempts
        known: dict[str, FileMetadata] | None = None
        is_complete = True
        now = source.files.monotonic()
        for row in folder.directory.listing.rows():
            if has_no_content(row) or not row.size:
                continue
            path = join(folder.path, row.name)
            if not (is_within(path, self._within) and self._takes(path)):
                continue
            if known is None:
                known = metadata_in(source.store.metadata, folder.path)
            cached = known.get(row.name)
            task = missing_hashes(path, row.size, row.mtime, self._algorithms, cached)
            if task is None:
                continue
            is_claimed = cached is not None and bool(cached.claims)
            task = task._replace(is_link=row.type == FILE_LINK, is_claimed=is_claimed)
            is_complete = False
            if not (
                is_growing(source.store.memory, path, row)
                or attempts.is_given_up(path, row.size, row.mtime, now)
                or attempts.is_unanswered(path)
            ):
                yield task
        if is_complete:
            self._pending.done(folder.path, folder.changed)
