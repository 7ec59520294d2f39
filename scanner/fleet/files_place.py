"""Publishing to files, and reading what all hosts have published there.

hosts/HOST.json                                  the manifest of a host, replaced last
entries/host=HOST/root=ROOT/SCAN-DIGEST.parquet  the entries of one root
changes/host=HOST/FIRST-LAST-DIGEST.parquet      lines of the change list
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from tempfile import TemporaryDirectory

from scanner.errors import InventoryError, OutputError
from scanner.fleet.generation import Generation, Spooled
from scanner.fleet.manifest import (
    FOLDER,
    DamagedManifestError,
    Manifest,
    Part,
    changes_folder,
    entries_folder,
    key_of,
    manifest_from,
    manifest_path,
    noted,
    own_manifest,
)
from scanner.fleet.rows import CHANGES, ENTRIES, KEY
from scanner.fleet.shelf import Shelf
from scanner.output.parquet import Field, connected, quoted, write_rows

MOST_CHANGES = 32
"""Files of changes of one host. Beyond it they become one, so that readers open few."""

READERS = 16
"""Manifests that are read at a time: over a network each takes a round trip or more."""

NEEDS = "fleet: DuckDB is not installed: install comfy-inventory[fleet]."


class FilesPlace:
    """A folder or a bucket that hosts publish to."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def make(self) -> None:
        """Make the folder, if it is one."""
        self._shelf.make()

    def manifest_of(self, host: str) -> Manifest | None:
        """What `host` published last; None if it is nothing, or nothing that can be read. Raises
        SettingsError if a later version of this program published it."""
        document = self._shelf.read(manifest_path(host))
        return None if document is None else own_manifest(document)

    def publish(self, generation: Generation, previous: Manifest | None, scratch: str) -> Manifest:
        """Put the files of `generation`, then its manifest. Killed before that, the old manifest
        stands, and so does every file that it names. Raises OutputError."""
        made = generation.manifest
        there = self._names_of(made.host)
        parts = {
            root: self._entries(made, root, spooled, _part_of(previous, root, there), scratch)
            for root, spooled in generation.entries.items()
        }
        made = self._with_changes(generation, there, scratch)
        made = replace(made, parts=parts)
        if self.manifest_of(made.host) != previous:
            raise OutputError(f"another process publishes {made.host} at the same time.")
        self._put_manifest(made, scratch)
        # A reader may still use the last manifest: its files go with the next generation.
        self._tidy(made, previous)
        return made

    def _names_of(self, host: str) -> list[str]:
        folders = (entries_folder(host), changes_folder(host))
        return [name for folder in folders for name in self._shelf.names(folder)]

    def _entries(
        self, manifest: Manifest, root: str, spooled: Spooled, known: Part | None, scratch: str
    ) -> Part:
        if known is not None and known.digest == spooled.digest:
            return known
        if not spooled.rows:
            return Part("", 0, spooled.digest)
        folder = f"{entries_folder(manifest.host)}/root={key_of(root)}"
        name = f"{folder}/{manifest.scan:012}-{spooled.digest[:16]}.parquet"
        return self._put(name, spooled, ENTRIES, scratch)

    def _put(self, name: str, spooled: Spooled, columns: Mapping[str, str], scratch: str) -> Part:
        local = os.path.join(scratch, "part.parquet")
        with open(local, "wb"):
            pass
        write_rows(spooled.path, local, {n: Field(kind) for n, kind in columns.items()}, NEEDS)
        self._shelf.put(name, local)
        os.remove(local)
        return Part(name, spooled.rows, spooled.digest)

    def _with_changes(
        self, generation: Generation, there: Collection[str], scratch: str
    ) -> Manifest:
        """The manifest with all files of changes. Those that somebody removed are noted."""
        made = generation.manifest
        changes = tuple(part for part in made.changes if part.path in there)
        if changes != made.changes:
            made = replace(made, lacks=noted(made.lacks, generation.first))
        if generation.changes is not None:
            folder = changes_folder(made.host)
            name = f"{folder}/{generation.first:012}-{made.scan:012}-"
            name += f"{generation.changes.digest[:16]}.parquet"
            changes = (*changes, self._put(name, generation.changes, CHANGES, scratch))
            if len(changes) > MOST_CHANGES:
                changes = (self._joined(changes, f"{folder}/all-{made.scan:012}-", scratch),)
        return replace(made, changes=changes)

    def _joined(self, changes: Sequence[Part], name: str, scratch: str) -> Part:
        rows = sum(part.rows for part in changes)
        digest = generation_digest(changes)
        local = os.path.join(scratch, "joined.parquet")
        with closing(connected()) as database:
            self._shelf.attach(database)
            names = ", ".join(quoted(self._shelf.address(part.path)) for part in changes)
            database.execute(
                f"COPY (SELECT * FROM read_parquet([{names}], union_by_name = true) "
                f"ORDER BY {', '.join(KEY)}) TO {quoted(local)} (FORMAT parquet, COMPRESSION zstd)"
            )
        path = f"{name}{digest[:16]}.parquet"
        self._shelf.put(path, local)
        os.remove(local)
        return Part(path, rows, digest)

    def _put_manifest(self, manifest: Manifest, scratch: str) -> None:
        local = os.path.join(scratch, "manifest.json")
        with open(local, "wb") as file:
            file.write(manifest.as_bytes())
        self._shelf.put(manifest_path(manifest.host), local)

    def _tidy(self, manifest: Manifest, previous: Manifest | None) -> None:
        """Remove the files that neither of these names, and what a killed process left."""
        kept = {part.path for part in (*manifest.parts.values(), *manifest.changes)}
        if previous is not None:
            kept |= {part.path for part in (*previous.parts.values(), *previous.changes)}
        folder, name = posixpath.split(manifest_path(manifest.host))
        left = [n for n in self._shelf.names(folder) if n.startswith(f"{folder}/.{name}.")]
        for name in (*self._names_of(manifest.host), *left):
            if name not in kept:
                self._shelf.remove(name)

    def forget(self, host: str) -> bool:
        """Remove all that `host` has published; False if there was nothing."""
        files = self._names_of(host)
        was_there = self._shelf.read(manifest_path(host)) is not None
        for name in (manifest_path(host), *files):
            self._shelf.remove(name)
        return was_there or bool(files)

    def manifests(self, report: Callable[[str], None]) -> list[Manifest]:
        """The manifests of all hosts by their names; `report` gets a sentence for each that cannot
        be read."""
        names = [name for name in self._shelf.names(FOLDER) if name.endswith(".json")]
        with ThreadPoolExecutor(READERS) as pool:
            found = list(pool.map(self._manifest_or_reason, names))
        for name, manifest in zip(names, found, strict=True):
            if isinstance(manifest, str):
                report(f"{name} is left out: {manifest}.")
        return sorted(
            (manifest for manifest in found if isinstance(manifest, Manifest)),
            key=lambda manifest: manifest.host,
        )

    def _manifest_or_reason(self, name: str) -> Manifest | str | None:
        try:
            document = self._shelf.read(name)
            if document is None:
                return None  # it was removed meanwhile
            manifest = manifest_from(document)
        except (DamagedManifestError, OutputError) as error:
            return str(error)
        if name != manifest_path(manifest.host):
            return f"it says that it is of {manifest.host!r}"
        return manifest


def _part_of(previous: Manifest | None, root: str, there: Collection[str]) -> Part | None:
    """The part of `root` that is published, if its file is still there."""
    known = previous.parts.get(root) if previous is not None else None
    return known if known is not None and (not known.path or known.path in there) else None


def generation_digest(parts: Sequence[Part]) -> str:
    """A digest of files that become one."""
    import xxhash

    return xxhash.xxh3_128_hexdigest("".join(part.digest for part in parts).encode())


def scratch_folder() -> TemporaryDirectory[str]:
    """A folder for rows on this machine's own disk. Raises InventoryError."""
    try:
        return TemporaryDirectory(prefix="comfy-inventory-fleet-", ignore_cleanup_errors=True)
    except OSError as error:
        raise InventoryError(f"There is no room for temporary files: {error.strerror}.") from error
