"""What pages need of the entries of an inventory, gathered in one pass over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from scanner.core.times import Zone, moment_of
from scanner.output.inventory_reader import is_file
from scanner.views.copies import Copies
from scanner.views.drives import Drives
from scanner.views.problems import Problems
from scanner.views.table import FileTable, chosen

MOST_ROWS = 300_000
"""Entries up to which every file is in a table: 1.5 MB for each 100,000. Above, models alone."""

NOT_MODELS = "no model"

NO_BASE = "not recognised"

_ROOM = {"custom_nodes": "node packs", "models": "other files of models"}
"""Names for files without a category, by the kind of their root; else the kind itself."""

Cell = tuple[int, int, int]
"""Drive, category and base model, as indexes."""

_COLUMNS = ("folder", "name", "size", "drive", "category", "base", "kind", "word", "hash", "alias")


class Contents:
    """The entries as a table of columns, as sums, as problems and as copies."""

    def __init__(self, header: Mapping[str, Any], zone: Zone) -> None:
        self.drives = Drives(header)
        self.files = FileTable()
        self.cells: defaultdict[Cell, list[int]] = defaultdict(lambda: [0, 0])
        """Bytes and files; a file with several paths counts once."""
        self.models = 0
        self.model_bytes = 0
        self.problems = Problems(header, zone)
        self.copies = Copies()
        self._models_only = header["totals"]["entries"] > MOST_ROWS
        self._drive_of: dict[str, int] = {}
        self._root_kinds = {root["id"]: root["kind"] for root in header["roots"]}
        self._zone = zone

    def add(self, entry: Mapping[str, Any], place: int = 0) -> None:
        """Take the next entry of the inventory, and its place there."""
        self.problems.add(entry)
        if not is_file(entry):
            return
        files, category = self.files, entry.get("category")
        folder_path, _, name = entry["path"].rpartition("/")
        folder, size = files.folders.index(folder_path), entry["size"]
        drive = self._drive_of.get(folder_path)
        if drive is None:
            drive = self._drive_of[folder_path] = self.drives.of(folder_path)
        base = entry.get("model", {}).get("base_model", NO_BASE) if category else NOT_MODELS
        cell = (
            drive,
            files.categories.index(category or self._room(entry)),
            files.bases.index(base),
        )
        files.add(entry, name, (folder, *cell))
        files.place.append(place)
        if "alias_of" in entry:
            return
        files.folders.add(folder, size)
        self.cells[cell][0] += size
        self.cells[cell][1] += 1
        if category:
            self.models += 1
            self.model_bytes += size
            self.copies.add(entry)

    def table(self) -> tuple[dict[str, Any], int]:
        """The files as columns, and how many are left out. The numbers in some columns are indexes
        in the lists of names. In the order of the inventory names are like their neighbours, and
        compress well."""
        files = self.files
        rows = files.largest(MOST_ROWS, models_only=self._models_only)
        columns = {name: list(chosen(getattr(files, name), rows)) for name in _COLUMNS}
        columns["time"] = [self._on_the_wall(time) for time in chosen(files.time, rows)]
        columns["model"] = list(chosen(files.model, rows))
        table = {"columns": columns, "kinds": files.kinds.texts, "words": files.words.texts}
        return table, len(files) - len(rows)

    def _room(self, entry: Mapping[str, Any]) -> str:
        kind: str = self._root_kinds.get(entry["root"], "")
        return _ROOM.get(kind, kind)

    def _on_the_wall(self, seconds: int) -> int:
        """Seconds of the clock on the wall: a page needs no time zone."""
        offset = moment_of(seconds * 10**9, self._zone).utcoffset()
        return seconds + (int(offset.total_seconds()) if offset else 0)
