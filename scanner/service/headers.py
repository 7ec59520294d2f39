"""Model facts, read between scans from the headers of models and from the files next to them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from scanner.comfyui.companions import SIDECAR_SUFFIXES, companion_of
from scanner.comfyui.model_facts import VERSION, wants_facts
from scanner.core.paths import join
from scanner.core.pending import PendingFolder, PendingFolders
from scanner.core.roots import Root
from scanner.core.snapshot import FILE, Entry
from scanner.disk.mounts import Mount
from scanner.service.attempts import Attempts
from scanner.service.reading import (
    MODEL_KINDS,
    MetadataBatch,
    Source,
    is_growing,
    metadata_in,
    mount_to_read,
    settle_times,
)
from scanner.store.metadata import FileMetadata, MetadataUpdate
from scanner.workers.remote import LostWorkerError
from scanner.workers.requests import ReadCompanion, ReadFacts, Understood

KINDS = MODEL_KINDS | {"custom_nodes"}
"""Kinds of roots whose models' headers are read: packs hold weights of their own as well."""

HEADERS = 64
"""Headers requested at a time. At most so many are still read after the end was asked for."""


class _Wanted(NamedTuple):
    """A file to read, as it was listed, and the request that reads it."""

    entry: Entry
    request: ReadFacts | ReadCompanion


class _Requests:
    """The requests that read the files of one folder."""

    def __init__(self, folder: PendingFolder) -> None:
        self._folder = folder
        self._names: frozenset[str] | None = None

    def __call__(self, name: str) -> ReadFacts | ReadCompanion | None:
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

    def work(self, ends: Callable[[], bool]) -> bool:
        """Read until nothing is left or `ends`. True if nothing is left now, and something was read
        since the last time. Raises OutputError if nothing can be saved."""
        self._attempts.begin()
        waiting = self._waiting()
        try:
            while not ends():
                wanted = list(itertools.islice(waiting, HEADERS))
                if not wanted:
                    has_read, self._has_read = self._has_read, False
                    return has_read
                for mount, expected in self._by_mount(wanted).items():
                    self._read(mount, expected)
                    self._batch.save()
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
            request = request_of(row.name) if row.type == FILE else None
            if request is None:
                continue
            if known is None:
                known = metadata_in(source.store.metadata, folder.path)
            cached = known.get(row.name)
            if (
                cached is not None
                and cached.is_of(row.size, row.mtime)
                and cached.facts is not None
                and cached.facts.get("version") == VERSION
            ):
                continue
            is_complete = False
            path = join(folder.path, row.name)
            if not (
                is_growing(source.store.memory, path, row)
                or self._attempts.is_given_up(path, row.size, row.mtime, now)
                or self._attempts.is_unanswered(path)
            ):
                yield _Wanted(Entry(path, FILE, row.size, row.mtime), request)
        if is_complete:
            self._pending.done(folder.path, folder.changed)

    def _by_mount(self, wanted: Collection[_Wanted]) -> dict[Mount, dict[str, _Wanted]]:
        by_mount: dict[Mount, dict[str, _Wanted]] = {}
        for each in wanted:
            path = each.entry.path
            mount = mount_to_read(self._source, path, self._attempts.silent)
            if mount is None:
                self._attempts.unanswered(path)
            else:
                by_mount.setdefault(mount, {})[path] = each
        return by_mount

    def _read(self, mount: Mount, expected: dict[str, _Wanted]) -> None:
        """Read the headers of the files in `expected`, which is emptied."""
        attempts, files = self._attempts, self._source.files
        try:
            worker = self._source.workers.of(mount)
            for each in reversed(expected.values()):  # last in, first out
                worker.ask(each.request)
            while (answer := worker.answer()) is not None:
                entry = expected.pop(answer.path).entry
                header = answer.found if isinstance(answer, Understood) else None
                if header is None or (header.size, header.mtime) != (entry.size, entry.mtime):
                    attempts.failed(entry.path, entry.size, entry.mtime, files.monotonic())
                else:
                    facts = {**header.facts._asdict(), "version": VERSION}
                    self._has_read = True
                    self._batch.add(
                        MetadataUpdate(entry.path, entry.size, entry.mtime, facts=facts), 0
                    )
        except LostWorkerError:
            attempts.silent.add(mount)
            for path in expected:
                attempts.unanswered(path)
