"""Whether files that were gone and have come back are those that were read.

Programs remove their links and make them again, and roots go and come back; reading all of it again
would take hours. A file whose device, inode and ctime are the same was not touched. A link that
leads to the same file again says what it said. What was read of any other file is a claim until
that is read again, if at least the fingerprint is the same.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection

from scanner.core.roots import Root, owner_of
from scanner.core.snapshot import FILE_LINK
from scanner.disk.filesystem import Stat
from scanner.disk.mounts import Mount
from scanner.service.reading import Source, mount_to_read
from scanner.service.real_files import Found, RealFiles, patience_for
from scanner.workers.lost import LostWorkerError
from scanner.workers.requests import Stated, StatPath


class ClaimReader:
    """Compares the files that came back, in the zones that `own` gives or in all."""

    def __init__(self, source: Source, own: Callable[[], Collection[Root]] | None = None) -> None:
        self._source = source
        self._own = own
        self._real = RealFiles(source)

    def work(self) -> None:
        """Compare what can be compared now. Raises OutputError if nothing can be saved."""
        metadata = self._source.store.metadata
        if not metadata.doubtful:
            return
        self._real.begin()
        zones = self._source.zones().all
        own = None if self._own is None else set(self._own())
        mine = [p for p in sorted(metadata.doubtful) if own is None or owner_of(p, zones) in own]
        found: dict[str, bool | None] = {}
        files: dict[str, Found] = {}
        real = self._real.paths(mine)
        for path in mine:
            entry = self._real.entry(path)
            if entry is None:
                # It is gone again, and is in doubt when it comes back.
                metadata.doubtful.discard(path)
                continue
            known = metadata.of(path)
            if known is None or not known.is_of(entry.row.size, entry.row.mtime):
                found[path] = None
            elif entry.row.type != FILE_LINK:
                files[path] = entry
            else:
                # A file that is listed has what was read, and gives it to the link.
                is_same = known.identity == os.fsencode(real[path])
                found[path] = True if is_same and self._real.listed(real[path]) is None else None
        for path, stat in self._stats(files, real).items():
            known = metadata.of(path)
            if known is None or known.claimed is None:
                metadata.doubtful.discard(path)  # it has been read meanwhile
                continue
            row, fingerprint = files[path]
            is_same = (stat.identity, stat.size, stat.mtime) == (known.identity, *row[2:4])
            if is_same:
                found[path] = True
            elif not known.claimed or fingerprint:
                found[path] = False if fingerprint and fingerprint == known.claimed else None
        if found:
            metadata.settle(found)

    def _stats(self, files: Collection[str], real: dict[str, str]) -> dict[str, Stat]:
        """Stats of `files`, as far as their mounts answer."""
        by_mount: defaultdict[Mount, defaultdict[str, list[str]]]
        by_mount = defaultdict(lambda: defaultdict(list))
        for path in files:
            mount = mount_to_read(self._source, real[path], ())
            if mount is not None:
                by_mount[mount][real[path]].append(path)
        found: dict[str, Stat] = {}
        patience = patience_for(self._source, self._own)
        for mount, paths in by_mount.items():
            try:
                worker = self._source.workers.of(mount, patience(mount))
                for path in paths:
                    worker.ask(StatPath(path))
                while (answer := worker.answer()) is not None:
                    if isinstance(answer, Stated):
                        found.update(dict.fromkeys(paths[answer.path], answer.stat))
            except LostWorkerError:
                continue  # the next turn asks again
        return found
