"""Annotations of the entries in the inventory: content hashes, model facts, sidecars, sets, packs.

No annotation is part of a change (rule 7, replay). They are kept by folder: the inventory asks for
the annotations of the folders that it writes anew, and sees by `folders` which those are.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scanner.core.digests import texts
from scanner.core.serialize import time_text
from scanner.core.snapshot import Directory, Listing
from scanner.store.metadata import FileMetadata, MetadataTable

if TYPE_CHECKING:
    from scanner.core.packs import Pack
    from scanner.store.pipelines import Pipeline

CORRUPT = "corrupt"


class Annotations:
    """All annotations at one moment."""

    def __init__(
        self,
        metadata: MetadataTable,
        packs: Mapping[str, Pack],
        pipelines: Mapping[str, Pipeline] | None = None,
    ) -> None:
        """`pipelines` are the diffusers folders, by path."""
        self._metadata = metadata
        self._versions = metadata.versions
        self._packs = packs
        self._pipelines = pipelines or {}
        self._packs_in: defaultdict[str, dict[str, Pack]] = defaultdict(dict)
        for path, pack in packs.items():
            folder, name = os.path.split(path)
            self._packs_in[folder][name] = pack
        self._carried_by: defaultdict[str, list[Pipeline]] = defaultdict(list)
        self._part_of: dict[str, Pipeline] = {}
        for pipeline in self._pipelines.values():
            self._carried_by[pipeline.carrier[0]].append(pipeline)
            self._part_of.update(dict.fromkeys((pipeline.folder, *pipeline.components), pipeline))
        self.folders: Mapping[str, object] = self._versions
        """Folders with annotations, each with a value that differs if its annotations do. What a
        diffusers folder shows of the folders below it has no part in it: the inventory writes the
        folders above a changed one anew."""
        others = self._packs_in.keys() | self._carried_by.keys() | self._part_of.keys()
        if others:
            self.folders = {**self._versions, **{folder: self._value(folder) for folder in others}}

    def _value(self, folder: str) -> object:
        """A value that differs if the annotations of `folder` do."""
        part_of = self._part_of.get(folder)
        return (
            self._versions.get(folder),
            tuple(sorted(self._packs_in.get(folder, {}).items())),
            part_of and part_of.carrier,
        )

    def are_of(
        self,
        metadata: MetadataTable,
        packs: Mapping[str, Pack],
        pipelines: Mapping[str, Pipeline],
    ) -> bool:
        """True if nothing of these has changed since."""
        return (
            self._versions is metadata.versions
            and self._packs == packs
            and self._pipelines == pipelines
        )

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        """The fields of each entry of `folder` that has any. The values of `part_of` and
        `sidecar_of` are absolute paths."""
        fields: dict[str, dict[str, Any]] = self._of_files(folder, directory.listing)
        for name, pack in self._packs_in.get(folder, {}).items():
            fields.setdefault(name, {})["pack"] = pack.as_json()
        if pipeline := self._part_of.get(folder):
            pipeline.mark_parts(folder, directory.listing, fields)
        for pipeline in self._carried_by.get(folder, ()):
            name = pipeline.carrier[1]
            fields[name] = {**pipeline.fields(self._of_files), **fields.get(name, {})}
        return {name: of_entry for name, of_entry in fields.items() if of_entry}

    def _of_files(self, folder: str, listing: Listing) -> dict[str, dict[str, Any]]:
        """The fields of files that follow from their folder alone."""
        if folder not in self._versions:
            return {}
        # A first scan knows no metadata, and has the signs of models compiled for nothing.
        from scanner.store.descriptions import describe

        by_name = self._metadata.of_folder(folder)
        known = {
            row.name: metadata
            for row in (listing.rows() if by_name else ())
            if (metadata := by_name.get(row.name)) is not None
            and metadata.is_of(row.size, row.mtime)
        }
        fields = {name: _fields_of(metadata) for name, metadata in known.items()}
        if known:
            describe(folder, listing, known, fields)
        return fields


def _fields_of(metadata: FileMetadata) -> dict[str, Any]:
    from scanner.store.descriptions import NO_FIELDS

    fields: dict[str, Any] = {**texts(metadata.digests)}
    fields.update({f"claimed_{name}": text for name, text in texts(metadata.claims).items()})
    fields.update({k: v for k, v in (metadata.facts or {}).items() if v and k not in NO_FIELDS})
    if metadata.corrupt:
        fields["status"] = CORRUPT
        fields["problem"] = (
            f"On {(time_text(metadata.corrupt) or '')[:10]} its content was no longer what "
            "was hashed, though size and time are the same."
        )
    return fields
