"""What a report needs of the entries of an inventory, gathered in one pass over them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from scanner.core.serialize import mtime_of, printable
from scanner.core.times import Zone, moment_of
from scanner.output.inventory_reader import is_file
from scanner.views.copies import Copies
from scanner.views.drives import Drives
from scanner.views.problems import Problems

MOST_ROWS = 300_000
"""Entries up to which every file is in the table: 1.5 MB for each 100,000. Above, models alone."""

NOT_MODELS = "no model"

NO_BASE = "not recognised"

_ROOM = {"custom_nodes": "node packs", "models": "other files of models"}
"""Names for files without a category, by the kind of their root; else the kind itself."""

Cell = tuple[int, int, int]
"""Drive, category and base model, as indexes."""


class Names:
    """Texts, each with an index."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._indexes: dict[str, int] = {}

    def index(self, text: str) -> int:
        """The index of `text`, which is a new one for a new text."""
        found = self._indexes.get(text)
        if found is None:
            found = self._indexes[text] = len(self.texts)
            self.texts.append(printable(text))
        return found


class Folders:
    """The tree of folders that hold files, with sums. The first one is above all others."""

    def __init__(self) -> None:
        self.parents = [0]
        self.names = [""]
        self.bytes = [0]
        self.files = [0]
        self._indexes: dict[str, int] = {}

    def index(self, path: str) -> int:
        """The index of the folder at `path`."""
        found = self._indexes.get(path)
        if found is None:
            above, slash, name = path.rpartition("/")
            parent = self.index(above) if above else 0
            found = self._indexes[path] = len(self.names)
            self.parents.append(parent)
            # "/mnt" and "/mnt/nas" are absolute, so the first name keeps its slash.
            self.names.append(printable(name if above else slash + name))
            self.bytes.append(0)
            self.files.append(0)
        return found

    def add(self, folder: int, size: int) -> None:
        self.bytes[folder] += size
        self.files[folder] += 1

    def columns(self) -> dict[str, list[Any]]:
        """Parents, names, and the bytes and files at and below each folder."""
        bytes_, files = self.bytes.copy(), self.files.copy()
        for index in range(len(self.names) - 1, 0, -1):  # parents stand before their children
            bytes_[self.parents[index]] += bytes_[index]
            files[self.parents[index]] += files[index]
        return {"parent": self.parents, "name": self.names, "bytes": bytes_, "files": files}


class Contents:
    """The entries as a table of columns, as sums, as problems and as copies."""

    def __init__(self, header: Mapping[str, Any], zone: Zone) -> None:
        self.drives = Drives(header)
        self.folders = Folders()
        self.categories, self.kinds, self.bases, self.words = Names(), Names(), Names(), Names()
        self.cells: defaultdict[Cell, list[int]] = defaultdict(lambda: [0, 0])
        """Bytes and files; a file with several paths counts once."""
        self.models = 0
        self.model_bytes = 0
        self.problems = Problems(header, zone)
        self.copies = Copies()
        self.models_only = header["totals"]["entries"] > MOST_ROWS
        self.left_out = 0
        """Files that are not in the table."""
        self._rows: list[tuple[int, int, tuple[Any, ...]]] = []
        """A heap of the largest files: bytes, place in the inventory, columns."""
        self._place = 0
        self._drive_of: dict[str, int] = {}
        self._root_kinds = {root["id"]: root["kind"] for root in header["roots"]}
        self._zone = zone

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take the next entry of the inventory."""
        self.problems.add(entry)
        if not is_file(entry):
            return
        folder_path, _, name = entry["path"].rpartition("/")
        folder, size = self.folders.index(folder_path), entry["size"]
        drive = self._drive_of.get(folder_path)
        if drive is None:
            drive = self._drive_of[folder_path] = self.drives.of(folder_path)
        model, category = entry.get("model", {}), entry.get("category")
        cell = (
            drive,
            self.categories.index(category or self._room(entry)),
            self.bases.index(model.get("base_model", NO_BASE) if category else NOT_MODELS),
        )
        is_alias = "alias_of" in entry
        if not is_alias:
            self.folders.add(folder, size)
            self.cells[cell][0] += size
            self.cells[cell][1] += 1
            if category:
                self.models += 1
                self.model_bytes += size
                self.copies.add(entry)
        if self.models_only and not category:
            self.left_out += 1
            return
        word = entry.get("status", "misplaced" if "misplaced" in entry else "")
        row = (
            folder,
            printable(name),
            size,
            self._seconds(entry),
            *cell,
            self.kinds.index(model.get("kind", "")),
            self.words.index(word),
            entry.get("sha256", "")[:10],
            int(is_alias),
            int(bool(category)),
        )
        self._place += 1
        if len(self._rows) < MOST_ROWS:
            heapq.heappush(self._rows, (size, self._place, row))
        else:
            heapq.heappushpop(self._rows, (size, self._place, row))
            self.left_out += 1

    def table(self) -> dict[str, Any]:
        """The files as columns. The numbers in some of them are indexes in the lists of names."""
        # In the order of the inventory names are like their neighbours, and compress well.
        rows = [row for _, _, row in sorted(self._rows, key=lambda item: item[1])]
        names = (
            "folder", "name", "size", "time", "drive", "category", "base", "kind", "word", "hash",
            "alias", "model",
        )  # fmt: skip
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
        return {
            "columns": columns or {name: [] for name in names},
            "kinds": self.kinds.texts,
            "words": self.words.texts,
        }

    def _room(self, entry: Mapping[str, Any]) -> str:
        kind: str = self._root_kinds.get(entry["root"], "")
        return _ROOM.get(kind, kind)

    def _seconds(self, entry: Mapping[str, Any]) -> int:
        """When it was modified, as seconds of the clock on the wall: a page needs no time zone."""
        ns = mtime_of(entry)
        offset = moment_of(ns, self._zone).utcoffset()
        return ns // 10**9 + (int(offset.total_seconds()) if offset else 0)
