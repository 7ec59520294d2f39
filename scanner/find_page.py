"""What `find` and `packs` print: tables for people, JSON for programs.

Entries are printed as they come, so that a million of them need no memory: a table in stretches of
rows, JSON with its sums at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import orjson

from scanner.find import BROKEN, PACK, is_file, is_pack_enabled, pack_name, texts_of
from scanner.portable import printable, raw_text
from scanner.report import SHORT, count_text, size_text

if TYPE_CHECKING:
    # Rich takes 50 ms to import: only what draws on a terminal pays for it.
    from rich.console import Console

SCHEMA = 1

STRETCH = 500
"""Rows that are laid out together: a table is printed when its last row is known."""


@dataclass(slots=True)
class Tally:
    """Sums over entries."""

    count: int = 0
    files: int = 0
    """With links to files."""
    bytes: int = 0
    """Sum of the sizes of `files`."""
    aliases: int = 0
    """Those of `files` that are further paths to what has an entry elsewhere."""
    alias_bytes: int = 0
    """Sum of the sizes of `aliases`, which is in `bytes` too."""
    _folders: dict[str, int] = field(default_factory=dict)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count an entry of an inventory."""
        self.count += 1
        size = entry.get("size", 0)
        if is_file(entry):
            self.files += 1
            self.bytes += size
            if "alias_of" in entry:
                self.aliases += 1
                self.alias_bytes += size
        elif entry["type"] == "directory" or entry.get("leads_to") == "directory":
            self._folders[raw_text(entry, "path")] = size

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
        told = []
        if self.files:
            told.append(f"{count_text(self.files, 'file')}, {size_text(self.bytes)}")
        if self.aliases:
            told[-1] += (
                f" ({self.aliases:,} of them, {size_text(self.alias_bytes)}, are further paths to "
                "files that are listed elsewhere)"
            )
        if self.folders:
            told.append(f"{count_text(self.folders, 'folder')}, {size_text(self.folder_bytes)}")
        if others := self.count - self.files - self.folders:
            told.append(f"{others:,} other")
        return "; ".join(told)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


# For people


class _Cell(NamedTuple):
    text: str
    style: str = ""


class _Column(NamedTuple):
    heading: str
    is_number: bool = False
    is_wrapped: bool = True
    """Whether its texts take several lines where a terminal is too narrow."""


_LEAST_WIDTH = 12
"""Cells that a column with longer texts keeps on a narrow terminal."""

_ENTRY_COLUMNS = (
    _Column("size", is_number=True, is_wrapped=False),
    _Column("modified (UTC)", is_wrapped=False),
    _Column("category"),
    _Column("model"),
    _Column("path"),
    _Column("status"),
)
_PACK_COLUMNS = (
    _Column("name"),
    _Column("version"),
    _Column("source", is_wrapped=False),
    _Column("enabled", is_wrapped=False),
    _Column("files", is_number=True, is_wrapped=False),
    _Column("size", is_number=True, is_wrapped=False),
    _Column("remote"),
)


def print_found(
    console: Console, entries: Iterable[Mapping[str, Any]], limit: int | None = None
) -> Tally:
    """Print entries as `find_entries` gives them, and their sums; where there are none, nothing."""
    tally = Tally()

    def rows() -> Iterator[Sequence[_Cell]]:
        for entry in entries:
            tally.add(entry)
            yield _entry_cells(entry)

    _print_table(console, _ENTRY_COLUMNS, rows())
    if tally.count:
        cut = f", and no more since --limit is {limit}" if tally.count == limit else ""
        console.out(f"{tally.sentence()}{cut}", style="dim", highlight=False)
    return tally


def print_packs(console: Console, packs: Sequence[Mapping[str, Any]]) -> None:
    """Print packs as `packs_of` gives them, and their sums; where there are none, nothing."""
    _print_table(console, _PACK_COLUMNS, map(_pack_cells, packs))
    if packs:
        disabled = sum(not is_pack_enabled(pack) for pack in packs)
        told = count_text(len(packs), "pack") + (f" ({disabled:,} disabled)" if disabled else "")
        files = count_text(sum(pack["files"] for pack in packs), "file")
        size = size_text(sum(pack["bytes"] for pack in packs))
        console.out(f"{told}, {files}, {size}", style="dim", highlight=False)


def _entry_cells(entry: Mapping[str, Any]) -> Sequence[_Cell]:
    status = entry.get("status", "")
    told = f"{status}: {entry['problem']}" if status and "problem" in entry else status
    return (
        _Cell(size_text(entry["size"]) if "size" in entry else ""),
        _Cell(entry.get("mtime", "")[:16].replace("T", " ")),
        _Cell(printable(entry.get("category", ""))),
        _Cell(printable(_model_text(entry))),
        _Cell(printable(_path_text(entry))),
        _Cell(printable(told), "red" if status in BROKEN else "yellow"),
    )


def _model_text(entry: Mapping[str, Any]) -> str:
    """The base model, else the kind of model, or the pack."""
    model = entry.get("model", {})
    told = texts_of(model.get("base_model")) or texts_of(model.get("kind"))
    if not told and PACK in entry:
        told = [f"{pack_name({**entry, **entry[PACK]})} {_version(entry[PACK])}".strip()]
    return ", ".join(told)


def _path_text(entry: Mapping[str, Any]) -> str:
    if entry["type"] == "directory":
        return f"{entry['path']}/"
    return f"{entry['path']} -> {entry['target']}" if "target" in entry else str(entry["path"])


def _pack_cells(pack: Mapping[str, Any]) -> Sequence[_Cell]:
    is_enabled = is_pack_enabled(pack)
    style = "" if is_enabled else "dim"
    texts = (
        pack_name(pack),
        _version(pack),
        str(pack.get("source", "")),
        "yes" if is_enabled else "no",
        f"{pack['files']:,}",
        size_text(pack["bytes"]),
        str(pack.get("remote") or ""),
    )
    return [_Cell(printable(text), style) for text in texts]


def _version(pack: Mapping[str, Any]) -> str:
    return str(pack.get("version") or str(pack.get("commit") or "")[:SHORT])


def _print_table(
    console: Console, columns: Sequence[_Column], rows: Iterator[Sequence[_Cell]]
) -> None:
    """A heading and rows, in stretches whose columns are as wide as those above at least."""
    from rich.cells import cell_len

    widths = [0] * len(columns)
    heading: list[Sequence[_Cell]] = [[_Cell(column.heading, "bold") for column in columns]]
    while stretch := list(islice(rows, STRETCH)):
        lines = [*heading, *stretch]
        widths = [
            max(width, *(cell_len(line[index].text) for line in lines))
            for index, width in enumerate(widths)
        ]
        if console.is_terminal:
            _print_wrapped(console, columns, widths, lines)
        else:
            _print_plain(console, columns, widths, lines)
        heading = []


def _print_wrapped(
    console: Console,
    columns: Sequence[_Column],
    widths: Sequence[int],
    lines: Iterable[Sequence[_Cell]],
) -> None:
    """As wide as the terminal; what is longer goes on below, within its column."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            justify="right" if column.is_number else "left",
            no_wrap=not column.is_wrapped,
            min_width=min(width, _LEAST_WIDTH) if column.is_wrapped else width,
            overflow="fold",
        )
    for line in lines:
        table.add_row(*(Text(cell.text, cell.style) for cell in line))
    console.print(table)


def _print_plain(
    console: Console,
    columns: Sequence[_Column],
    widths: Sequence[int],
    lines: Iterable[Sequence[_Cell]],
) -> None:
    """One line each, nothing cut. A row takes some 10 us, and 1 ms as one of Rich's tables."""
    from rich.cells import cell_len

    def padded(cell: _Cell, column: _Column, width: int) -> str:
        space = " " * (width - cell_len(cell.text))
        return space + cell.text if column.is_number else cell.text + space

    told = ["  ".join(map(padded, line, columns, widths)).rstrip() for line in lines]
    console.out("\n".join(told), highlight=False)


# For programs


def write_found(
    out: BinaryIO, header: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]
) -> Tally:
    """Write entries as `find_entries` gives them as one JSON document, an entry a line.

    `schema`, `scan`, `generated` and `base` of the inventory; `entries`; then `count` of them,
    `bytes` of files and links to files, `alias_bytes` that are in it although these files are
    listed elsewhere, and `folder_bytes` of folders. Nothing is written before the first entry, so
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


def write_packs(
    out: BinaryIO, header: Mapping[str, Any], packs: Sequence[Mapping[str, Any]]
) -> None:
    """Write packs as `packs_of` gives them as one JSON document, a pack a line."""
    sums = {
        "count": len(packs),
        "files": sum(pack["files"] for pack in packs),
        "bytes": sum(pack["bytes"] for pack in packs),
    }
    _write_document(out, header, "packs", packs, lambda: sums)


def _write_document(
    out: BinaryIO,
    header: Mapping[str, Any],
    name: str,
    items: Iterable[Mapping[str, Any]],
    sums: Callable[[], Mapping[str, Any]],
) -> None:
    remaining = iter(items)
    first = list(islice(remaining, 1))
    fields = ("scan", "generated", "base", "base_b64")
    start = {"schema": SCHEMA, **{field: header[field] for field in fields if field in header}}
    out.write(orjson.dumps(start)[:-1] + b',"%b":[' % name.encode())
    separator = b"\n"
    for item in chain(first, remaining):
        out.write(separator + orjson.dumps(item))
        separator = b",\n"
    out.write(b"\n]," + orjson.dumps(sums(), option=orjson.OPT_APPEND_NEWLINE)[1:])
    out.flush()
