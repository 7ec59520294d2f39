"""The files of an inventory as columns: a million of them in some 250 MB, not one dict each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scanner.core.serialize import mtime_of, printable


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
    """The tree of folders that hold files, with sums. The first one is above all others, and
    parents stand before their children."""

    def __init__(self) -> None:
        self.parents = array("i", [0])
        self.names = [""]
        self.bytes = array("q", [0])
        self.files = array("i", [0])
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
        """Count a file that lies in the folder itself."""
        self.bytes[folder] += size
        self.files[folder] += 1

    def sums(self) -> tuple[array[int], array[int]]:
        """The bytes and the files at and below each folder."""
        bytes_, files = self.bytes[:], self.files[:]
        for index in range(len(self.names) - 1, 0, -1):
            bytes_[self.parents[index]] += bytes_[index]
            files[self.parents[index]] += files[index]
        return bytes_, files

    def columns(self) -> dict[str, list[Any]]:
        """Parents, names, and the bytes and files at and below each folder."""
        bytes_, files = self.sums()
        return {
            "parent": list(self.parents),
            "name": self.names,
            "bytes": list(bytes_),
            "files": list(files),
        }

    def path(self, folder: int) -> str:
        """The path of a folder, printable; empty for the first one."""
        names = []
        while folder:
            names.append(self.names[folder])
            folder = self.parents[folder]
        return "/".join(reversed(names))


class FileTable:
    """The files, in the order of the inventory. Columns of indexes belong to the lists of names;
    `drives` are given from outside."""

    def __init__(self) -> None:
        self.folders = Folders()
        self.categories, self.bases, self.kinds = Names(), Names(), Names()
        self.words, self.roots = Names(), Names()
        self.folder, self.drive, self.root = array("i"), array("i"), array("i")
        self.category, self.base = array("i"), array("i")
        self.kind, self.word = array("i"), array("i")
        self.name: list[str] = []
        self.size, self.time = array("q"), array("q")
        """Bytes; seconds since 1970."""
        self.hash: list[str] = []
        self.loader = array("h")
        """Folders before the name that belong to the name in ComfyUI's lists; -1: it has none."""
        self.alias, self.model = bytearray(), bytearray()
        self.place = array("q")
        """Where the entry stands in the inventory that it was read from."""

    def __len__(self) -> int:
        return len(self.name)

    def add(self, entry: Mapping[str, Any], name: str, cell: tuple[int, int, int, int]) -> None:
        """Add a file called `name`, in this folder, of this drive, category and base model."""
        folder, drive, category, base = cell
        model = entry.get("model", {})
        word = entry.get("status", "misplaced" if "misplaced" in entry else "")
        self.folder.append(folder)
        self.drive.append(drive)
        self.root.append(self.roots.index(entry["root"]))
        self.category.append(category)
        self.base.append(base)
        self.kind.append(self.kinds.index(model.get("kind", "")))
        self.word.append(self.words.index(word))
        self.name.append(printable(name))
        self.size.append(entry["size"])
        self.time.append(mtime_of(entry) // 10**9)
        self.hash.append(entry.get("sha256", "")[:10])
        self.loader.append(_depth(entry))
        self.alias.append("alias_of" in entry)
        self.model.append("category" in entry)

    def largest(self, most: int, *, models_only: bool) -> Sequence[int]:
        """The rows of the `most` largest files, in the order of the inventory."""
        rows: Sequence[int] = range(len(self))
        if models_only:
            rows = [row for row in rows if self.model[row]]
        if len(rows) > most:
            rows = sorted(sorted(rows, key=lambda row: -self.size[row])[:most])
        return rows


def _depth(entry: Mapping[str, Any]) -> int:
    name = entry.get("name", "")
    if not name or not entry["path"].endswith(name):
        return -1
    depth: int = name.count("/")
    return min(depth, 1 << 14)


def chosen(column: Sequence[Any], rows: Sequence[int]) -> Iterator[Any]:
    """The values of `column` in these rows."""
    return map(column.__getitem__, rows)
