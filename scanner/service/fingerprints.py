"""Fingerprints are taken between scans, so that the first inventory does not wait for them."""

from __future__ import annotations

import heapq
import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice

from scanner.core.digests import WHOLE
from scanner.core.paths import join
from scanner.core.pending import PendingFolder, PendingFolders
from scanner.core.progress import Progressed, Remaining
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, Directory, Entry
from scanner.disk.mounts import Mount
from scanner.scan import Scanner
from scanner.service.attempts import RETRY_ELSEWHERE, Attempts
from scanner.service.reading import MODEL_KINDS, NAP
from scanner.service.real_files import RealFiles, has_no_content, patience_for
from scanner.service.unread import still_unread
from scanner.walk.granularity import settle_of

CHUNK = 4096
"""The least number of files to choose at a time: each choice searches all folders that wait."""

SEARCHES = 16
"""Choose at least this fraction of the waiting files at a time, so that a million files are not
searched hundreds of times for the next few thousand."""

BATCH_FILES = 1024

BATCH_BYTES = 64 * WHOLE
"""The most files, and bytes read of them, whose fingerprints go into one transaction. A crash
repeats no more than that."""


class FingerprintReader:
    """Takes the fingerprints that are missing: of models first, of large files first, of small
    ones by folder.

    Files of `MODEL_KINDS` are fingerprinted wherever they lie. The others come last, and only
    where inodes are not stable or zones lie on several mounts: elsewhere an inode proves a move
    without reading anything.
    """

    def __init__(
        self,
        scanner: Scanner,
        pending: PendingFolders,
        own: Callable[[], Collection[Root]] | None = None,
    ) -> None:
        """`own` gives the zones whose files are read, else all: a lane must not wait for the
        mount of another."""
        self._scanner = scanner
        self._pending = pending
        self._own = own
        self._attempts = Attempts()
        self._real = RealFiles(scanner)

    def size(self) -> Remaining:
        """Count the files that wait now, and their bytes."""
        waiting, _ = self._waiting(math.inf)
        return Remaining.of(entry.size for folder in waiting for entry in self._missing(folder))

    def unread(self) -> tuple[str, ...]:
        """The files that could not be read, and have not changed since."""
        return still_unread(self._attempts.given_up(), self._scanner.store.snapshot)

    def work(
        self,
        stopped: Callable[[], bool],
        progress: Callable[[Progressed], None] | None = None,
        seconds_left: Callable[[], float] = lambda: math.inf,
        settling: Callable[[float], None] = lambda seconds: None,
    ) -> Remaining:
        """Take fingerprints until none is missing or `stopped`. Returns what is left.

        Ends early if nothing can be read any more within `seconds_left`. While nothing may be read
        yet, `settling` gets the seconds that are left until then.

        Raises OutputError if they cannot be saved.
        """
        files = bytes_ = 0
        self._attempts.begin(self._scanner.store.snapshot)
        self._real.begin()
        left = self.size()
        while left.files and not stopped():
            batches = _batches(self._choose(max(CHUNK, left.files // SEARCHES)))
            first = next(batches, None)
            if first is None:
                # All files that are left were listed a moment ago (rule 4).
                if (seconds := self._seconds_to_settle()) > seconds_left():
                    break
                settling(seconds)
                self._scanner.files.sleep(NAP)
                continue
            for batch in chain((first,), batches):
                taken = None if stopped() else self._take(batch, stopped)
                if taken is None:
                    return left
                files, bytes_ = files + len(taken), bytes_ + sum(entry.size for entry in taken)
                read = sum(entry.size for entry in batch)
                left = Remaining(max(0, left.files - len(batch)), max(0, left.bytes - read))
                if progress is not None:
                    progress(Progressed(files, bytes_, left))
            left = self.size()
        return left

    def _choose(self, most: int) -> Iterator[Entry]:
        """The files to read next in their order, `most` of them at most."""
        waiting, ranks = self._waiting(self._scanner.files.monotonic())
        by_rank: defaultdict[int, list[PendingFolder]] = defaultdict(list)
        for folder in waiting:
            by_rank[ranks[folder.zone.id]].append(folder)
        files = (self._in_order(by_rank[rank], most) for rank in sorted(by_rank))
        return islice(chain.from_iterable(files), most)

    def _in_order(self, folders: list[PendingFolder], most: int) -> Iterator[Entry]:
        """The files of `folders`: `most` of the large ones, and the small ones if there are fewer.

        All files that are read whole cost the same, so those of a folder come together: they are
        written into its row at once. They are looked for as they are read: of a million files, the
        next sixty thousand would take 30 MB.
        """
        with_large = (folder for folder in folders if _largest(folder) > WHOLE)
        missing = chain.from_iterable(map(self._missing, with_large))
        large = (entry for entry in missing if entry.size > WHOLE)
        yield from heapq.nsmallest(most, large, key=lambda entry: (-entry.size, entry.path))
        for folder in sorted(folders, key=lambda folder: folder.path):
            yield from (entry for entry in self._missing(folder) if entry.size <= WHOLE)

    def _waiting(self, now: float) -> tuple[Iterator[PendingFolder], dict[str, int]]:
        """Folders that may be read at `now`, at infinity all that will be; and the rank of each
        zone that is read, by id."""
        snapshot, zones = self._scanner.store.snapshot, self._scanner.zones().all
        ranks, settles = self._terms()
        return self._pending.waiting(snapshot, zones, settles, now), ranks

    def _seconds_to_settle(self) -> float:
        """Seconds until the first of the files that wait may be read."""
        _, settles = self._terms()
        zones, now = self._scanner.zones().all, self._scanner.files.monotonic()
        return self._pending.seconds_to_settle(zones, settles, now)

    def _terms(self) -> tuple[dict[str, int], dict[str, float]]:
        """The rank of each zone that is read, by id, and the seconds for which its folders have to
        stand unchanged before that. Lower ranks come first."""
        zones, mounts = self._scanner.zones(), self._scanner.files.mounts()
        snapshot = self._scanner.store.snapshot
        own = zones.all if self._own is None else self._own()
        by_zone = {zone: zones.mount_of(zone, mounts) for zone in zones.all}
        has_several = len(set(by_zone.values())) > 1
        ranks: dict[str, int] = {}
        settles: dict[str, float] = {}
        for zone, mount in by_zone.items():
            needs_content = has_several or not mount.has_stable_inodes
            rank = self._rank(zone, needs_content=needs_content)
            if zone in own and rank is not None:
                ranks[zone.id] = rank
                settles[zone.id] = settle_of(mount, zone, zones, snapshot)
        return ranks, settles

    def _rank(self, zone: Root, *, needs_content: bool) -> int | None:
        """The rank of the files of `zone`; None if they are not read, or not now. `needs_content`
        is True if inodes alone do not prove all moves."""
        if not self._scanner.store.memory.could_read(zone.id):
            return None
        if zone.kind in MODEL_KINDS:
            return 0
        return 1 if needs_content else None

    def _missing(self, folder: PendingFolder) -> Iterator[Entry]:
        """Files of one folder that lack a fingerprint. The folder is done if there is none, not
        even one that has to wait."""
        unsettled, attempts = self._scanner.store.memory.unsettled, self._attempts
        is_complete = True
        now = self._scanner.files.monotonic()
        for index, row in enumerate(folder.directory.listing.rows()):
            if has_no_content(row) or not row.size or folder.directory.fingerprint(index):
                continue
            path = join(folder.path, row.name)
            is_complete = False
            if not (
                path in unsettled
                or attempts.is_given_up(path, row.size, row.mtime, now)
                or attempts.is_unanswered(path)
            ):
                yield Entry(path, FILE, row.size, row.mtime)
        if is_complete:
            self._pending.done(folder.path, folder.changed)

    def _take(self, batch: list[Entry], stopped: Callable[[], bool]) -> list[Entry] | None:
        """Take the fingerprints of the files in `batch` and save them.

        Returns the files that have one now; None if it `stopped`, and nothing is saved.
        """
        paths = self._real.paths(entry.path for entry in batch)
        taken = self._read(batch, paths, stopped)
        if stopped():
            return None
        now = self._scanner.files.monotonic()
        names: defaultdict[str, dict[str, Entry]] = defaultdict(dict)
        for entry in batch:
            if entry.path not in taken:
                self._attempts.unanswered(entry.path)
            elif not taken[entry.path]:
                # Unreadable for now, or changed since its listing: then the next scan asks again.
                self._attempts.failed(entry.path, entry.size, entry.mtime, now)
            else:
                folder, name = os.path.split(entry.path)
                names[folder][name] = entry
        with self._scanner.commit_lock:
            snapshot = self._scanner.store.snapshot
            self._scanner.store.save_fingerprints(
                {
                    folder: _with_fingerprints(snapshot[folder], entries, taken)
                    for folder, entries in names.items()
                    if folder in snapshot
                }
            )
        return [entry for entry in batch if taken.get(entry.path)]

    def _read(
        self, batch: list[Entry], paths: Mapping[str, str], stopped: Callable[[], bool]
    ) -> dict[str, bytes]:
        """The fingerprints of `batch`, by path. Each file is read once, at one of `paths`, and not
        at all if another entry that leads there has its fingerprint."""
        taken: dict[str, bytes] = {}
        wanted: dict[str, Entry] = {}
        waiting: list[Entry] = []
        zones, mounts = self._scanner.zones(), self._scanner.files.mounts()
        patience = patience_for(self._scanner, self._own)
        for entry in batch:
            path = paths[entry.path]
            known = b""
            if path != entry.path:
                known = self._real.fingerprint(path, entry.size, entry.mtime)
            if known:
                taken[entry.path] = known
            elif path == entry.path or self._is_settled(entry, zones.mount_at(path, mounts)):
                wanted.setdefault(path, entry._replace(path=path))
                waiting.append(entry)
        own = None if self._own is None else self._own()
        read = self._scanner.take_fingerprints(wanted.values(), stopped, own)
        for entry in waiting:
            path = paths[entry.path]
            if path in read:
                is_same = wanted[path][2:4] == entry[2:4]
                taken[entry.path] = read[path] if is_same else b""
            elif patience(zones.mount_at(path, mounts)) is not None:
                # No scan of ours says when it answers again.
                now = self._scanner.files.monotonic()
                self._attempts.failed(entry.path, entry.size, entry.mtime, now, RETRY_ELSEWHERE)
        return taken

    def _is_settled(self, entry: Entry, mount: Mount) -> bool:
        """True if the entry of a file elsewhere, on `mount`, was long enough unchanged."""
        since = self._pending.since(os.path.dirname(entry.path))
        return self._scanner.files.monotonic() - since >= mount.settle


def _with_fingerprints(
    directory: Directory, entries: Mapping[str, Entry], taken: Mapping[str, bytes]
) -> Directory:
    """`directory` with the fingerprints that were taken of its `entries`, which are by name.

    A commit of another lane may have changed some of them meanwhile: those get none.
    """
    return directory.with_fingerprints(
        {
            row.name: taken[entry.path]
            for row in directory.listing.rows()
            if (entry := entries.get(row.name)) is not None
            and (row.size, row.mtime) == (entry.size, entry.mtime)
        }
    )


def _largest(folder: PendingFolder) -> int:
    return max(folder.directory.listing.sizes, default=0)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Split `entries` into the parts that go into one transaction each."""
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
