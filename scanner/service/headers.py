"""Model facts, read between scans from the headers of models and from the files next to them."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from os.path import dirname
from typing import Any, NamedTuple

from scanner.comfyui.companions import SIDECAR_SUFFIXES, companion_of
from scanner.comfyui.model_files import VERSION, suffix_of, wants_facts
from scanner.core.paths import join
from scanner.core.pending import PendingFolder, PendingFolders
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, FILE_LINK, Entry, Row
from scanner.disk.mounts import Mount
from scanner.service.attempts import RETRY_ELSEWHERE, Attempts
from scanner.service.reading import (
    MODEL_KINDS,
    MetadataBatch,
    Source,
    is_growing,
    metadata_in,
    mount_to_read,
    settle_times,
)
from scanner.service.real_files import RealFiles, has_no_content, identity_of, patience_for
from scanner.store.metadata import FileMetadata, MetadataUpdate
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import ReadCompanion, ReadFacts, Understood

KINDS = MODEL_KINDS | {"custom_nodes"}
"""Kinds of roots whose models' headers are read: packs hold weights of their own as well."""

HEADERS = 64
"""Headers requested at a time. At most so many are still read after the end was asked for."""


_Request = ReadFacts | ReadCompanion


class _Wanted(NamedTuple):
    """A file to read, as it was listed, and the request that reads it."""

    entry: Entry
    request: _Request


class _Reading(NamedTuple):
    """A request, and the entries whose facts it reads."""

    request: _Request
    entries: list[Entry]


_Readings = dict[str, _Reading]
"""By the path that is read."""


class _Requests:
    """The requests that read the files of one folder."""

    def __init__(self, folder: PendingFolder) -> None:
        self._folder = folder
        self._names: frozenset[str] | None = None

    def __call__(self, name: str) -> _Request | None:
        """The request that reads `name`; None if it has no facts."""
        if wants_facts(name):
            return ReadFacts(join(self._folder.path, name))
        if not name.lower().endswith(SIDECAR_SUFFIXES):
            return None
        if self._names is None:
            self._names = frozenset(self._folder.directory.listing.split_names())
        companion = companion_of(name, self._names)
        if companion is None:
            return None
        return ReadCompanion(join(self._folder.path, name), companion.kind, companion.of)


class HeaderReader:
    """Reads the headers that are missing in the zones that `own` gives, or in all."""

    def __init__(
        self,
        source: Source,
        pending: PendingFolders,
        own: Callable[[], Collection[Root]] | None = None,
    ) -> None:
        self._source = source
        self._pending = pending
        self._own = own
        self._attempts = Attempts()
        self._batch = MetadataBatch(source)
        self._has_read = False
        """True if something was read since nothing was left."""
        self._real = RealFiles(source)
        self._shared: dict[_Request, tuple[int, int, Mapping[str, Any]]] = {}
        """Size, mtime and facts of files that links lead to, as far as this run knows them."""

    def work(
        self, ends: Callable[[], bool], progress: Callable[[int], None] = lambda files: None
    ) -> bool:
        """Read until nothing is left or `ends`. True if nothing is left now, and something was read
        since the last time. `progress` gets the number of files read. Raises OutputError if nothing
        can be saved."""
        if not self._pending:
            has_read, self._has_read = self._has_read, False
            return has_read
        files = 0
        self._attempts.begin(self._source.store.snapshot)
        self._real.begin()
        self._shared.clear()
        waiting = self._waiting()
        try:
            while not ends():
                wanted = list(itertools.islice(waiting, HEADERS))
                if not wanted:
                    has_read, self._has_read = self._has_read, False
                    return has_read
                for mount, parts in self._by_mount(wanted).items():
                    for expected in parts:
                        self._read(mount, expected)
                    self._batch.save()
                files += len(wanted)
                progress(files)
            return False
        finally:
            self._batch.save(is_last=True)

    def _waiting(self) -> Iterator[_Wanted]:
        """Files whose header is missing and may be read now."""
        source, zones = self._source, self._source.zones()
        settles = settle_times(source, zones, None if self._own is None else self._own())
        now = source.files.monotonic()
        for folder in self._pending.waiting(source.store.snapshot, zones.all, settles, now):
            if folder.zone.kind in KINDS:
                yield from self._missing(folder)
            else:
                self._pending.done(folder.path, folder.changed)

    def _missing(self, folder: PendingFolder) -> Iterator[_Wanted]:
        """Files of one folder whose header is missing. The folder is done if there is none, not
        even one that has to wait."""
        source = self._source
        known: dict[str, FileMetadata] | None = None
        is_complete = True
        now = source.files.monotonic()
        request_of = _Requests(folder)
        for row in folder.directory.listing.rows():
            request = None if has_no_content(row) else request_of(row.name)
            if request is None:
                continue
            if known is None:
                known = metadata_in(source.store.metadata, folder.path)
            cached = known.get(row.name)
            if _is_current(cached, row):
                continue
            is_complete = False
            path = join(folder.path, row.name)
            is_doubtful = cached is not None and cached.claimed is not None
            if not (
                is_doubtful  # the header need not be read if it is the same file
                or is_growing(source.store.memory, path, row)
                or self._attempts.is_given_up(path, row.size, row.mtime, now)
                or self._attempts.is_unanswered(path)
            ):
                yield _Wanted(Entry(path, row.type, row.size, row.mtime), request)
        if is_complete:
            self._pending.done(folder.path, folder.changed)

    def _by_mount(self, wanted: Collection[_Wanted]) -> dict[Mount, list[_Readings]]:
        """The readings that give the facts of `wanted`. No path comes twice in a part of them."""
        by_mount: defaultdict[Mount, list[_Readings]] = defaultdict(list)
        paths = self._real.paths(each.entry.path for each in wanted)
        now = self._source.files.monotonic()
        for entry, own_request in wanted:
            path = paths[entry.path]
            is_elsewhere = path != entry.path
            request = _at(path, own_request) if is_elsewhere else own_request
            facts = self._facts_of(request, entry) if is_elsewhere else None
            if facts is not None:
                self._give(entry, facts, request.path)
            if facts is not None or self._has_given(request, entry):
                continue
            mount = mount_to_read(self._source, path, self._attempts.silent)
            if mount is None or now - self._pending.since(dirname(entry.path)) < mount.settle:
                self._attempts.unanswered(entry.path)
            else:
                _add(by_mount[mount], request, entry)
        return by_mount

    def _has_given(self, request: _Request, entry: Entry) -> bool:
        """True if a listed file got its facts in this run, when a link to it was read."""
        return self._shared.get(request, ())[:2] == entry[2:4]

    def _facts_of(self, request: _Request, entry: Entry) -> Mapping[str, Any] | None:
        """The facts that `request` would read for `entry`, if another entry has them."""
        read = self._shared.get(request)
        if read is not None:
            return read[2] if read[:2] == entry[2:4] else None
        metadata, suffix = self._source.store.metadata, suffix_of(entry.path)
        for other in self._real.others(request.path) if isinstance(request, ReadFacts) else ():
            cached = metadata.of(other) if suffix_of(other) == suffix else None
            if cached is not None and _is_current(cached, entry):
                self._shared[request] = (cached.size, cached.mtime, cached.facts or {})
                return cached.facts
        return None

    def _give(
        self, entry: Entry, facts: Mapping[str, Any], path: str, identity: bytes | None = None
    ) -> None:
        """Save the facts of `entry`, whose content is at `path` in a file of this identity."""
        self._has_read = True
        of_entry = identity_of(entry.type == FILE_LINK, path, identity)
        update = MetadataUpdate(entry.path, entry.size, entry.mtime, None, facts, of_entry)
        self._batch.add(update, 0)

    def _read(self, mount: Mount, expected: _Readings) -> None:
        """Read the files in `expected`, which is emptied."""
        attempts, now = self._attempts, self._source.files.monotonic
        patience = patience_for(self._source, self._own)(mount)
        try:
            worker = self._source.workers.of(mount, patience)
            for request, _ in reversed(expected.values()):  # last in, first out
                worker.ask(request)
            while (answer := worker.answer()) is not None:
                request, entries = expected.pop(answer.path)
                header = answer.found if isinstance(answer, Understood) else None
                facts = {} if header is None else {**header.facts._asdict(), "version": VERSION}
                identity = getattr(header, "identity", b"") if mount.has_stable_inodes else b""
                if header is not None and entries[0].path != request.path:
                    self._shared[request] = (header.size, header.mtime, facts)
                    entries = [*entries, *self._listed(request)]
                for entry in entries:
                    if header is None or (header.size, header.mtime) != (entry.size, entry.mtime):
                        attempts.failed(entry.path, entry.size, entry.mtime, now())
                    else:
                        self._give(entry, facts, request.path, identity)
        except LostWorkerError:
            attempts.silent.add(mount)
            for entry in itertools.chain.from_iterable(each.entries for each in expected.values()):
                attempts.unanswered(entry.path)
                if patience is not None:  # no scan of ours says when it answers again
                    attempts.failed(entry.path, *entry[2:4], now(), RETRY_ELSEWHERE)

    def _listed(self, request: _Request) -> list[Entry]:
        """The file that a link led to, if it is listed and `request` reads its own facts."""
        path = request.path
        if not isinstance(request, ReadFacts) or request.name or not wants_facts(path):
            return []
        row = self._real.listed(path)
        return [] if row is None else [Entry(path, FILE, row.size, row.mtime)]


def _at(path: str, request: _Request) -> _Request:
    """`request` for the file at `path`, read as that of a link by the name of which it was made."""
    if not isinstance(request, ReadFacts):
        return request._replace(path=path)
    suffix = suffix_of(request.path)
    return ReadFacts(path, "" if suffix == suffix_of(path) else suffix)


def _add(parts: list[_Readings], request: _Request, entry: Entry) -> None:
    """Add `entry` to the first of `parts` that reads the path of `request` so or not at all."""
    for readings in parts:
        reading = readings.setdefault(request.path, _Reading(request, []))
        if reading.request == request:
            reading.entries.append(entry)
            return
    parts.append({request.path: _Reading(request, [entry])})


def _is_current(cached: FileMetadata | None, entry: Entry | Row) -> bool:
    """True if the facts of an entry are known, as this version reads them."""
    return (
        cached is not None
        and cached.is_of(entry.size, entry.mtime)
        and cached.facts is not None
        and cached.facts.get("version") == VERSION
    )
