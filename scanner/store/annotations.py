"""Annotations of the entries in the inventory: content hashes, model facts, node packs.

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
from scanner.core.snapshot import Directory
from scanner.store.metadata import FileMetadata, MetadataTable

if TYPE_CHECKING:
    from scanner.core.packs import Pack

CORRUPT = "corrupt"


class Annotations:
    """All annotations at one moment."""

    def __init__(self, metadata: MetadataTable, packs: Mapping[str, Pack]) -> None:
        self._metadata = metadata
        self._versions = metadata.versions
        self._packs = packs
        self._packs_in: defaultdict[str, dict[str, Pack]] = defaultdict(dict)
        for path, pack in packs.items():
            folder, name = os.path.split(path)
            self._packs_in[folder][name] = pack
        self.folders: Mapping[str, object] = self._versions
        """Folders with annotations, each with a value that differs if its annotations do."""
        if self._packs_in:
            with_packs = {
                folder: (self._versions.get(folder), tuple(sorted(by_name.items())))
                for folder, by_name in self._packs_in.items()
            }
            self.folders = {**self._versions, **with_packs}

    def are_of(self, metadata: MetadataTable, packs: Mapping[str, Pack]) -> bool:
        """True if neither the metadata nor the packs have changed since."""
        return self._versions is metadata.versions and self._packs == packs

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        """The fields of each entry of `folder` that has any."""
        fields: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        if folder in self._versions:
            by_name = self._metadata.of_folder(folder)
            for row in directory.listing.rows() if by_name else ():
                metadata = by_name.get(row.name)
                if metadata is not None and metadata.is_of(row.size, row.mtime):
                    fields[row.name].update(_fields_of(metadata))
        for name, pack in self._packs_in.get(folder, {}).items():
            fields[name]["pack"] = pack.as_json()
        return {name: of_entry for name, of_entry in fields.items() if of_entry}


def _fields_of(metadata: FileMetadata) -> dict[str, Any]:
    fields: dict[str, Any] = {**texts(metadata.digests)}
    fields.update({k: v for k, v in (metadata.facts or {}).items() if v and k != "version"})
    if metadata.corrupt:
        fields["status"] = CORRUPT
        fields["problem"] = (
            f"On {(time_text(metadata.corrupt) or '')[:10]} its content was no longer what "
            "was hashed, though size and time are the same."
        )
    return fields
