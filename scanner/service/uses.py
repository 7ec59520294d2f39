"""What workflows and pictures name, read between scans after everything that scans need."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from os.path import dirname

from scanner.core.paths import join
from scanner.core.pending import PendingFolder, PendingFolders
from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import Entry
from scanner.core.use_sources import KINDS, is_source
from scanner.disk.mounts import Mount
from scanner.service.attempts import RETRY_ELSEWHERE, Attempts
from scanner.service.reading import Source, is_growing, mount_to_read, settle_times
from scanner.service.real_files import RealFiles, has_no_content, patience_for
from scanner.store.uses import Read, UsesTable
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import ReadUses, UsesRead

FILES = 64
"""Files requested at a time, and saved together: the most that a crash has to read again."""


class UsesReader:
    """Reads the files in the zones that `own` gives, or in all: workflows first, then what
    ComfyUI has made."""

    def __init__(
        self,
        source: Source,
        pending: PendingFolders,
        table: UsesTable,
        own: Callable[[], Collection[Root]] | None = None,
    ) -> None:
        self._source = source
        self._pending = pending
        self._table = table
        self._own = own
        self._attempts = Attempts()
        self._real = RealFiles(source)
        self._is_complete = False

    def work(self, ends: Callable[[], bool]) -> None:
        """Read until nothing is left or `ends`. Raises OutputError if nothing can be saved."""
        self._attempts.begin(self._source.store.snapshot)
        self._real.begin()
        waiting = self._waiting()
        try:
            while not ends():
                wanted = list(itertools.islice(waiting, FILES))
                if not wanted:
                    self._note_complete()
                    return
                for mount, parts in self._by_mount(wanted).items():
                    self._read(mount, parts)
        finally:
            self._table.close()

    def _waiting(self) -> Iterator[Entry]:
        """Files that may be read now. Folders in which nothing is left are done."""
        source, zones = self._source, self._source.zones()
        settles = settle_times(source, zones, None if self._own is None else self._own())
        now = source.files.monotonic()
        later: list[PendingFolder] = []
        for folder in self._pending.waiting(source.store.snapshot, zones.all, settles, now):
            if folder.zone.kind not in KINDS:
                self._pending.done(folder.path, folder.changed)
            elif folder.zone.kind == KINDS[0]:
                yield from self._missing(folder)
            else:
                later.append(folder)
        for folder in later:
            yield from self._missing(folder)

    def _missing(self, folder: PendingFolder) -> Iterator[Entry]:
        """Files of one folder that are not read as they are now. The folder is done if there is
        none, not even one that has to wait."""
        source, path = self._source, folder.path
        known = self._table.marks(path)
        self._drop_gone(folder, known)
        is_complete = True
        now = source.files.monotonic()
        for row in folder.directory.listing.rows():
            if not is_source(folder.zone, row.name) or has_no_content(row):
                continue
            if known.get(row.name) == (row.size, row.mtime):
                continue
            is_complete = False
            file = join(path, row.name)
            if not (
                is_growing(source.store.memory, file, row)
                or self._attempts.is_given_up(file, row.size, row.mtime, now)
                or self._attempts.is_unanswered(file)
            ):
                yield Entry(file, row.type, row.size, row.mtime)
        if is_complete:
            self._pending.done(path, folder.changed)

    def _drop_gone(self, folder: PendingFolder, known: Collection[str]) -> None:
        """Drop what is known of files that are no longer listed in a folder or below it."""
        now, snapshot = self._source.files.now(), self._source.store.snapshot
        gone = frozenset(known) - frozenset(folder.directory.all_names())
        self._table.drop(folder.path, gone, now)
        for below in self._table.folders_below(folder.path):
            if below not in snapshot:
                self._table.drop(below, self._table.marks(below), now)

    def _by_mount(self, wanted: Collection[Entry]) -> dict[Mount, dict[str, list[Entry]]]:
        """The entries to read, by mount and by the path at which their content is."""
        found: defaultdict[Mount, defaultdict[str, list[Entry]]] = defaultdict(
            lambda: defaultdict(list)
        )
        paths = self._real.paths(entry.path for entry in wanted)
        now = self._source.files.monotonic()
        for entry in wanted:
            mount = mount_to_read(self._source, paths[entry.path], self._attempts.silent)
            if mount is None or now - self._pending.since(dirname(entry.path)) < mount.settle:
                self._attempts.unanswered(entry.path)
            else:
                found[mount][paths[entry.path]].append(entry)
        return {mount: dict(parts) for mount, parts in found.items()}

    def _read(self, mount: Mount, expected: dict[str, list[Entry]]) -> None:
        """Read and save the files in `expected`, which is emptied."""
        attempts, files = self._attempts, self._source.files
        patience = patience_for(self._source, self._own)(mount)
        read: list[Read] = []
        try:
            worker = self._source.workers.of(mount, patience)
            for path in reversed(expected):  # last in, first out
                worker.ask(ReadUses(path))
            while (answer := worker.answer()) is not None:
                found = answer.found if isinstance(answer, UsesRead) else None
                for path, _, size, mtime, *_ in expected.pop(answer.path):
                    if found is None or (found.size, found.mtime) != (size, mtime):
                        attempts.failed(path, size, mtime, files.monotonic())
                    else:
                        read.append(Read(path, size, mtime, found.text))
        except LostWorkerError:
            attempts.silent.add(mount)
            for entry in itertools.chain.from_iterable(expected.values()):
                attempts.unanswered(entry.path)
                if patience is not None:  # no scan of ours says when it answers again
                    attempts.failed(entry.path, *entry[2:4], files.monotonic(), RETRY_ELSEWHERE)
        finally:
            self._table.save(read, files.now())

    def _note_complete(self) -> None:
        """Note since when everything has been read, once that is so."""
        if self._is_complete:
            return
        if not self._table.is_complete():
            if not self._is_all_read():
                return
            self._table.note_complete(self._source.files.now())
        self._is_complete = True

    def _is_all_read(self) -> bool:
        """True if no file of any lane is left. Looked at until it is so for the first time."""
        zones = self._source.zones().all
        for folder, directory in list(self._source.store.snapshot.items()):
            zone = owner_of(folder, zones)
            if zone is None or zone.kind not in KINDS:
                continue
            known = self._table.marks(folder)
            for row in directory.listing.rows():
                is_read = known.get(row.name) == (row.size, row.mtime)
                if not is_read and is_source(zone, row.name) and not has_no_content(row):
                    return False
        return True
