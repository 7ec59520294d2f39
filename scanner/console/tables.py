"""Tables for people and JSON documents for programs, both printed as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from scanner.console.envelope import envelope
from scanner.core.serialize import printable

if TYPE_CHECKING:
    from rich.console import Console
SCHEMA = 1

STRETCH = 500
"""Rows that are laid out together. Column widths are known once all of them are."""


class _Cell(NamedTuple):
    text: str
    style: str = ""


class _Column(NamedTuple):
    heading: str
    is_number: bool = False
    is_wrapped: bool = True
    """True if its texts may take several lines on a narrow terminal."""


_LEAST_WIDTH = 12
"""Cells that a column with longer texts keeps on a narrow terminal."""


def _print_table(
    console: Console, columns: Sequence[_Column], rows: Iterator[Sequence[_Cell]]
) -> None:
    """Print a heading and rows in stretches. Columns never get narrower than above."""
    from rich.cells import cell_len

    widths = [0] * len(columns)
    heading: list[Sequence[_Cell]] = [[_Cell(column.heading, "bold") for column in columns]]
    while stretch := list(islice(rows, STRETCH)):
        # Names may hold control characters: here no caller can forget them.
        lines = [
            *heading,
            *([cell._replace(text=printable(cell.text)) for cell in line] for line in stretch),
        ]
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
    """Print as wide as the terminal. Longer texts go on below, within their column."""
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
    """Print each row as a line, uncut. A row takes some 10 us, and 1 ms as one of Rich's tables."""
    from rich.cells import cell_len

    def padded(cell: _Cell, column: _Column, width: int) -> str:
        space = " " * (width - cell_len(cell.text))
        return space + cell.text if column.is_number else cell.text + space

    texts = ["  ".join(map(padded, line, columns, widths)).rstrip() for line in lines]
    console.out("\n".join(texts), highlight=False)


def _write_document(
    out: BinaryIO,
    header: Mapping[str, Any],
    name: str,
    items: Iterable[Mapping[str, Any]],
    sums: Callable[[], Mapping[str, Any]],
) -> None:
    fields = ("scan", "generated", "base", "base_b64")
    start = {"schema": SCHEMA, **{field: header[field] for field in fields if field in header}}
    envelope().write_items(out, start, name, items, sums)
