"""Model facts, read from the headers of models between scans."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator

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
from scanner.workers.requests import ReadFacts, Understood

KINDS = MODEL_KINDS | {"custom_nodes"}
"""Kinds of roots whose models' headers are read: packs hold weights of their own as well."""

HEADERS = 64
"""Headers requested at a time. At most so many are still read after the end was asked for."""


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
                entries = list(itertools.islice(waiting, HEADERS))
                if not entries:
                    has_read, self._has_read = self._has_read, False
                    return has_read
                for mount, expected in self._by_mount(entries).items():
                    self._read(mount, expected)
                    self._batch.save()
            return False
        finally:
            self._batch.save(is_last=True)

    def _waiting(self) -> Iterator[Entry]:
        """Files whose header is missing and may be read now."""
        source, zones = self._source, self._source.zones()
        settles = settle_times(source, zones, None if self._own is None else self._own())
        now = source.files.monotonic()
        for folder in self._pending.waiting(source.store.snapshot, zones.all, settles, now):
            if folder.zone.kind in KINDS:
                yield from self._missing(folder)
            else:
                self._pending.done(folder.path, folder.changed)

    def _missing(self, folder: PendingFolder) -> Iterator[Entry]:
        """Files of one folder whose header is missing. The folder is done if there is none, not
        even one that has to wait."""
        source = self._source
        known: dict[str, FileMetadata] | None = None
        is_complete = True
        now = source.files.monotonic()
        for row in folder.directory.listing.rows():
            if row.type != FILE or not wants_facts(row.name):
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
                yield Entry(path, FILE, row.size, row.mtime)
        if is_complete:
            self._pending.done(folder.path, folder.changed)

    def _by_mount(self, entries: Collection[Entry]) -> dict[Mount, dict[str, Entry]]:
        by_mount: dict[Mount, dict[str, Entry]] = {}
        for entry in entries:
            mount = mount_to_read(self._source, entry.path, self._attempts.silent)
            if mount is None:
                self._attempts.unanswered(entry.path)
            else:
                by_mount.setdefault(mount, {})[entry.path] = entry
        return by_mount

    def _read(self, mount: Mount, expected: dict[str, Entry]) -> None:
        """Read the headers of the files in `expected`, which is emptied."""
        attempts, files = self._attempts, self._source.files
        try:
            worker = self._source.workers.of(mount)
            for path in reversed(expected):  # last in, first out
                worker.ask(ReadFacts(path))
            while (answer := worker.answer()) is not None:
                entry = expected.pop(answer.path)
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
