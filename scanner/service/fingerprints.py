"""Fingerprints taken between scans, so that the first inventory does not wait for the reading."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence

from scanner.core.memory import ONLINE, PARTIAL
from scanner.core.paths import join
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import FILE, Directory, Entry
from scanner.disk.fingerprint import WHOLE
from scanner.disk.mounts import Mount
from scanner.scan import Scanner

FIRST = frozenset(("models", "downloads", "extra"))
"""Kinds whose files are fingerprinted wherever they lie. The others come last, and only where
inodes are not stable: elsewhere an inode proves a move without reading anything."""

CHUNK = 4096
"""Files chosen at a time at least: the columns are searched once for so many."""

SEARCHES = 16
"""As many searches of the columns would do for all that waits: a part of it is chosen at a time,
so that a million files are not searched for the next few thousand hundreds of times."""

BATCH_FILES = 1024

BATCH_BYTES = 64 * WHOLE
"""Files, and bytes read of them, whose fingerprints go into one transaction; also the most that a
crash has to redo."""

NAP = 0.05
"""Seconds between looks at whether to stop."""


class FingerprintReader:
    """Works off what has no fingerprint yet: models first, largest first, small ones by folder."""

    def __init__(self, scanner: Scanner, own: Callable[[], Collection[Root]] | None = None) -> None:
        """`own` gives the zones whose files are read, else all: a lane must not wait for the
        mount of another."""
        self._scanner = scanner
        self._own = own
        self._failed: dict[str, tuple[int, int]] = {}
        """Files that could not be read, with size and mtime: tried again when they change."""
        self._unanswered: set[str] = set()
        """Files of mounts that did not answer: tried again by the next `work`."""

    def size(self) -> Remaining:
        """What waits now."""
        files = bytes_ = 0
        for _, size, _, _ in self._waiting(only_settled=False):
            files += 1
            bytes_ += size
        return Remaining(files, bytes_)

    def work(
        self,
        stopped: Callable[[], bool],
        progress: Callable[[Progressed], None] | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> Remaining:
        """Take fingerprints until none is missing or `stopped`. What is left.

        Ends early where nothing can be read any more within `seconds_left`.

        Raises OutputError where they cannot be saved.
        """
        files = bytes_ = 0
        self._unanswered.clear()
        left = self.size()
        while left.files and not stopped():
            chosen = self._choose(max(CHUNK, left.files // SEARCHES))
            if not chosen:
                # All that is left was listed a moment ago (rule 4).
                if self._seconds_to_settle() > seconds_left():
                    break
                self._scanner.files.sleep(NAP)
                continue
            for batch in _batches(chosen):
                if stopped():
                    return left
                self._take(batch, stopped)
                files += len(batch)
                done = sum(entry.size for entry in batch)
                bytes_ += done
                left = Remaining(max(0, left.files - len(batch)), max(0, left.bytes - done))
                if progress is not None:
                    progress(Progressed(files, bytes_, left))
            left = self.size()
        return left

    def _choose(self, most: int) -> list[Entry]:
        """The files to read next, `most` of them at most."""
        chosen = heapq.nsmallest(most, self._waiting(only_settled=True), key=_turn)
        return [Entry(path, FILE, size, mtime) for _, size, path, mtime in chosen]

    def _waiting(self, *, only_settled: bool) -> Iterator[tuple[int, int, str, int]]:
        """(rank, size, path, mtime) of the files that lack a fingerprint; `only_settled`: of those
        that can be read now."""
        scanner = self._scanner
        mounts = scanner.files.mounts()
        zones = scanner.zones()
        own = zones.all if self._own is None else self._own()
        ranks = {
            zone.id: self._rank(zone, zones.mount_of(zone, mounts)) if zone in own else None
            for zone in zones.all
        }
        settles = {zone.id: zones.mount_of(zone, mounts).settle for zone in zones.all}
        now = scanner.files.monotonic()
        for folder, changed in list(scanner.unfingerprinted.items()):
            directory = scanner.store.snapshot.get(folder)
            owner = owner_of(folder, zones.all)
            if directory is None or owner is None:
                scanner.unfingerprinted.pop(folder, None)
            # A write in the same tick as the listed mtime would not be noticed later.
            elif (rank := ranks[owner.id]) is not None and (
                not only_settled or now - changed >= settles[owner.id]
            ):
                yield from self._missing(folder, directory, rank)

    def _rank(self, root: Root, mount: Mount) -> int | None:
        """When the files of `root` have their turn; None for not now, or not at all."""
        record = self._scanner.store.memory.roots.get(root.id)
        if record is None or record.state not in (ONLINE, PARTIAL):
            return None
        if root.kind in FIRST:
            return 0
        return None if mount.has_stable_inodes else 1

    def _seconds_to_settle(self) -> float:
        """Until the first of the files that wait may be read."""
        scanner = self._scanner
        mounts, zones = scanner.files.mounts(), scanner.zones()
        now = scanner.files.monotonic()
        waits = [
            changed + zones.mount_of(owner, mounts).settle - now
            for folder, changed in list(scanner.unfingerprinted.items())
            if (owner := owner_of(folder, zones.all)) is not None
            and changed + zones.mount_of(owner, mounts).settle > now
        ]
        return min(waits, default=0.0)

    def _missing(
        self, folder: str, directory: Directory, rank: int
    ) -> Iterator[tuple[int, int, str, int]]:
        unsettled = self._scanner.store.memory.unsettled
        complete = True
        for index, row in enumerate(directory.listing.rows()):
            if row.type != FILE or not row.size or directory.fingerprint(index):
                continue
            path = join(folder, row.name)
            if self._failed.get(path) == (row.size, row.mtime):
                continue
            complete = False
            if path not in unsettled and path not in self._unanswered:
                yield rank, row.size, path, row.mtime
        if complete:
            self._scanner.unfingerprinted.pop(folder, None)

    def _take(self, batch: list[Entry], stopped: Callable[[], bool]) -> None:
        taken = self._scanner.take_fingerprints(batch, stopped)
        if stopped():
            return
        found: dict[str, dict[str, Entry]] = {}
        for entry in batch:
            if entry.path not in taken:
                self._unanswered.add(entry.path)
                continue
            if not taken[entry.path]:
                # Unreadable, or changed since its listing: the next scan asks for it again.
                self._failed[entry.path] = (entry.size, entry.mtime)
                continue
            folder, name = os.path.split(entry.path)
            found.setdefault(folder, {})[name] = entry
        with self._scanner.commit_lock:
            snapshot = self._scanner.store.snapshot
            self._scanner.store.save_fingerprints(
                {
                    folder: snapshot[folder].with_fingerprints(
                        {
                            row.name: taken[names[row.name].path]
                            for row in snapshot[folder].listing.rows()
                            if row.name in names
                            # Another lane's commit may have changed it meanwhile.
                            and (row.size, row.mtime)
                            == (names[row.name].size, names[row.name].mtime)
                        }
                    )
                    for folder, names in found.items()
                    if folder in snapshot
                }
            )


def _turn(item: tuple[int, int, str, int]) -> tuple[int, int, str]:
    """What `_waiting` gives, as it is sorted. Files that are read whole cost all the same: those of
    a folder together are written into its row at once."""
    rank, size, path, _ = item
    return rank, -size if size > WHOLE else 0, path


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """`entries` in the parts that go into one transaction."""
    batch: list[Entry] = []
    bytes_ = 0
    for entry in entries:
        batch.append(entry)
        bytes_ += min(entry.size, WHOLE)
        if len(batch) >= BATCH_FILES or bytes_ >= BATCH_BYTES:
            yield batch
            batch, bytes_ = [], 0
    if batch:
        yield batch
