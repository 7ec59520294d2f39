"""What stands beside entries of the inventory: content hashes, model facts, node packs.

All of it is annotation (rule 7), kept by folder: the inventory asks for the annotations of the
folders that it writes anew, and sees by `folders` which those are.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scanner.core.digests import texts
from scanner.core.serialize import time_text
from scanner.core.snapshot import Directory
from scanner.store.metadata import MetadataTable

if TYPE_CHECKING:
    from scanner.core.packs import Pack
CORRUPT = "corrupt"


class Annotations:
    """The annotations as they stand now."""

    def __init__(self, metadata: MetadataTable, packs: Mapping[str, Pack]) -> None:
        self._metadata = metadata
        self._known = metadata.versions
        self._of = packs
        self._packs: defaultdict[str, dict[str, Pack]] = defaultdict(dict)
        for path, pack in packs.items():
            folder, name = os.path.split(path)
            self._packs[folder][name] = pack
        self.folders: Mapping[str, object] = self._known
        """Folders with annotations, each with something that is another whenever they are."""
        if self._packs:
            found = {
                folder: (self._known.get(folder), tuple(sorted(named.items())))
                for folder, named in self._packs.items()
            }
            self.folders = {**self._known, **found}

    def are_of(self, metadata: MetadataTable, packs: Mapping[str, Pack]) -> bool:
        """Whether nothing has changed since."""
        return self._known is metadata.versions and self._of == packs

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        """The fields of each entry of `folder` that has any."""
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        if folder in self._known:
            known = self._metadata.of_folder(folder)
            for row in directory.listing.rows() if known else ():
                was = known.get(row.name)
                if was is None or not was.is_of(row.size, row.mtime):
                    continue
                found[row.name].update(texts(was.digests))
                found[row.name].update({k: v for k, v in (was.facts or {}).items() if v})
                if was.corrupt:
                    found[row.name]["status"] = CORRUPT
                    found[row.name]["problem"] = (
                        f"On {(time_text(was.corrupt) or '')[:10]} its content was no longer what "
                        "was hashed, though size and time are the same."
                    )
        for name, pack in self._packs.get(folder, {}).items():
            found[name]["pack"] = pack.as_json()
        return {name: fields for name, fields in found.items() if fields}
