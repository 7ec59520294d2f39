"""Entries as a table for people or as JSON for programs.

Entries are printed as they come, so that a million of them need no memory: a table in stretches of
rows, JSON with its sums at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from scanner.commands.find.criteria import PACK, texts_of
from scanner.commands.find.search import PART_OF, SET, Searched, size_of
from scanner.commands.packs.page import _version
from scanner.console.tables import _Cell, _Column, _Note, _print_table, _write_document
from scanner.core.serialize import raw_text
from scanner.core.statuses import BROKEN
from scanner.core.times import Zone, time_shown, zone_name
from scanner.core.wording import count_text, size_text
from scanner.output.inventory_reader import is_file
from scanner.views.packs import pack_name

if TYPE_CHECKING:
    from rich.console import Console


class _Sizes:
    """Sizes of files. A model in several files has that of all of them, and so its parts add
    nothing where it is added itself."""

    def __init__(self) -> None:
        self._bytes = 0
        self._sets: set[str] = set()
        self._parts: Counter[str] = Counter()

    def add(self, entry: Mapping[str, Any]) -> None:
        size = size_of(entry) or 0
        self._bytes += size
        if SET in entry:
            self._sets.add(raw_text(entry, "path"))
        if PART_OF in entry:
            self._parts[raw_text(entry, PART_OF)] += size

    @property
    def bytes(self) -> int:
        return self._bytes - sum(self._parts[path] for path in self._sets)


@dataclass(slots=True)
class Tally:
    """Sums over entries."""

    count: int = 0
    files: int = 0
    """Files and links to files."""
    aliases: int = 0
    """The number of `files` that are further paths to a file that has an entry elsewhere."""
    _file_sizes: _Sizes = field(default_factory=_Sizes)
    _alias_sizes: _Sizes = field(default_factory=_Sizes)
    _folders: dict[str, int] = field(default_factory=dict)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count an entry of an inventory."""
        self.count += 1
        if is_file(entry):
            self.files += 1
            self._file_sizes.add(entry)
            if "alias_of" in entry:
                self.aliases += 1
                self._alias_sizes.add(entry)
        elif entry["type"] == "directory" or entry.get("leads_to") == "directory":
            self._folders[raw_text(entry, "path")] = size_of(entry) or 0

    @property
    def bytes(self) -> int:
        """Sum of the sizes of `files`."""
        return self._file_sizes.bytes

    @property
    def alias_bytes(self) -> int:
        """Sum of the sizes of `aliases`, which is in `bytes` too."""
        return self._alias_sizes.bytes

    @property
    def folders(self) -> int:
        """Folders and links to folders."""
        return len(self._folders)

    @property
    def folder_bytes(self) -> int:
        """Sum of the sizes of `folders`, without those that lie below others."""
        return sum(
            size
            for path, size in self._folders.items()
            if self._folders.keys().isdisjoint(_parents(path))
        )

    def sentence(self) -> str:
        """`12 files, 45.6 GB`."""
        parts = []
        if self.files:
            parts.append(f"{count_text(self.files, 'file')}, {size_text(self.bytes)}")
        if self.aliases:
            parts[-1] += (
                f" ({self.aliases:,} of them, {size_text(self.alias_bytes)}, are further paths to "
                "files that are listed elsewhere)"
            )
        if self.folders:
            parts.append(f"{count_text(self.folders, 'folder')}, {size_text(self.folder_bytes)}")
        if others := self.count - self.files - self.folders:
            parts.append(f"{others:,} other")
        return "; ".join(parts)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _columns(zone: Zone) -> Sequence[_Column]:
    return (
        _Column("size", is_number=True, is_wrapped=False),
        _Column(f"modified{zone_name(zone)}", is_wrapped=False),
        _Column("category"),
        _Column("model"),
        _Column("status"),
        _Column("path"),
    )


FIRST = 100
"""Entries that a terminal shows without --limit."""


def print_found(
    console: Console,
    entries: Iterable[Mapping[str, Any]],
    limit: int | None = None,
    first: int | None = None,
    searched: Searched | None = None,
    zone: Zone = None,
) -> Tally:
    """Print entries as `find_entries` gives them, and their sums. Without any, print nothing.

    Beyond `first` entries are counted only. The sums name those that `searched` left out.
    """
    tally = Tally()

    def rows() -> Iterator[Sequence[_Cell]]:
        for entry in entries:
            tally.add(entry)
            if first is None or tally.count <= first:
                yield _entry_cells(entry, zone)

    _print_table(console, _columns(zone), rows())
    if tally.count:
        cut = f", and no more since --limit is {limit}" if tally.count == limit else ""
        if first is not None and tally.count > first:
            cut = f"; the first {first} are shown, --limit 0 shows all"
        if searched is not None and searched.hidden:
            cut += f"; {hidden_text(searched.hidden)}"
        console.out(f"{tally.sentence()}{cut}", style="dim", highlight=False)
    return tally


def hidden_text(count: int) -> str:
    """The words for `count` entries inside node packs that fit and were left out."""
    return f"{count:,} inside node packs {'is' if count == 1 else 'are'} left out (--all)"


def _entry_cells(entry: Mapping[str, Any], zone: Zone) -> Sequence[_Cell]:
    status = entry.get("status", "")
    words, notes = [status], []
    if status and "problem" in entry:
        notes.append(_Note(f"{status}: {entry['problem']}"))
    if "misplaced" in entry:
        words.append("misplaced")
        notes.append(_Note("misplaced: {kind} in {category}".format_map(entry["misplaced"])))
    if "shadowed_by" in entry:
        words.append("shadowed")
        notes.append(_Note(f"shadowed by {entry['shadowed_by']}", is_whole=True))
    if notes and status and "problem" not in entry:
        notes.insert(0, _Note(status))
    style = "red" if status in BROKEN else "yellow"
    return (
        _Cell("" if (size := size_of(entry)) is None else size_text(size)),
        _Cell(time_shown(entry.get("mtime", ""), zone)),
        _Cell(entry.get("category", "")),
        _Cell(_model_text(entry)),
        _Cell(", ".join(filter(None, words)), style, tuple(notes)),
        _Cell(_path_text(entry)),
    )


def _model_text(entry: Mapping[str, Any]) -> str:
    """The base model, or the kind of model, or the pack."""
    model = entry.get("model", {})
    names = texts_of(model.get("base_model")) or texts_of(model.get("kind"))
    if not names and PACK in entry:
        names = [f"{pack_name({**entry, **entry[PACK]})} {_version(entry[PACK])}".strip()]
    return ", ".join(names)


def _path_text(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "directory":
        return f"{entry['path']}/"
    return f"{entry['path']} -> {entry['target']}" if "target" in entry else str(entry["path"])


# For programs


def write_found(
    out: BinaryIO, header: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]
) -> Tally:
    """Write entries as `find_entries` gives them as one JSON document, an entry a line.

    `schema`, `scan`, `generated` and `base` of the inventory; `entries`; then `count` of them,
    `bytes` of files and links to files, a model in several files with that of all its parts,
    `alias_bytes` that are in it although these files are listed elsewhere, and `folder_bytes` of
    folders. Nothing is written before the first entry, so
    that an inventory that cannot be read leaves no half document.
    """
    tally = Tally()

    def counted() -> Iterator[Mapping[str, Any]]:
        for entry in entries:
            tally.add(entry)
            yield entry

    _write_document(
        out,
        header,
        "entries",
        counted(),
        lambda: {
            "count": tally.count,
            "bytes": tally.bytes,
            "alias_bytes": tally.alias_bytes,
            "folder_bytes": tally.folder_bytes,
        },
    )
    return tally
