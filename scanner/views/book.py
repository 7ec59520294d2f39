"""An inventory, read once and kept as columns and pages."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from scanner.core.times import Zone
from scanner.core.wording import folded
from scanner.output.inventory_reader import OpenInventory, damage_reported
from scanner.views.drives import Drives
from scanner.views.pages import lasting_pages, read_once
from scanner.views.table import FileTable


class Book:
    """What one inventory says. Nothing of it changes."""

    def __init__(
        self, header: Mapping[str, Any], files: FileTable, mounts: Drives, pages: dict[str, Any]
    ) -> None:
        self.header = header
        self.scan: int = header["scan"]
        self.version = f"{header['scan']}-{header['generated']}"
        """Differs between any two inventories of one file."""
        self.files = files
        self.mounts = mounts
        self.drives = mounts.names
        self.pages = pages
        """What this inventory alone gives, as in a report."""

    @cached_property
    def folder_paths(self) -> list[str]:
        """The path of each folder, folded for searches."""
        folders = self.files.folders
        paths = [""]
        for index in range(1, len(folders.names)):
            above = paths[folders.parents[index]]
            name = folded(folders.names[index])
            paths.append(f"{above}/{name}" if folders.parents[index] else name)
        return paths

    @cached_property
    def folded_names(self) -> str:
        """All names, folded for searches, each with a line end after it: printable names have
        none."""
        return "".join(f"{folded(name)}\n" for name in self.files.name)

    @cached_property
    def name_starts(self) -> array[int]:
        """Where the name of each row begins in `folded_names`."""
        starts, position = array("q"), 0
        for name in self.files.name:
            starts.append(position)
            position += len(folded(name)) + 1
        return starts

    def folder_at(self, path: str) -> int | None:
        """The index of the folder at `path`, which is printable; None if it holds no file."""
        folder = 0
        rest = path
        while rest:
            for index in self.subfolders.get(folder, ()):
                name = self.files.folders.names[index]
                if rest == name or rest.startswith(f"{name}/"):
                    folder, rest = index, rest[len(name) + 1 :]
                    break
            else:
                return None
        return folder

    @cached_property
    def folder_sums(self) -> tuple[Sequence[int], Sequence[int]]:
        """Bytes and files at and below each folder."""
        return self.files.folders.sums()

    @cached_property
    def subfolders(self) -> Mapping[int, Sequence[int]]:
        """The folders in each folder, those with most bytes first."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        parents = self.files.folders.parents
        for index in range(1, len(parents)):
            found[parents[index]].append(index)
        bytes_ = self.folder_sums[0]
        for children in found.values():
            children.sort(key=lambda index: -bytes_[index])
        return found


def read_book(path: str, zone: Zone) -> Book:
    """Read the inventory at `path`. Raises InventoryError and OutputError."""
    with OpenInventory(path) as inventory, damage_reported(path):
        read = read_once(inventory, zone)
        return Book(read.header, read.contents.files, read.contents.drives, lasting_pages(read))
