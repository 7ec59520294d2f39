"""Tables for people and JSON documents for programs, both printed as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from scanner.console.envelope import envelope
from scanner.console.terminal import print_indented
from scanner.core.serialize import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

SCHEMA = 1

STRETCH = 500
"""Rows that are laid out together. Column widths are known once all of them are."""


class _Note(NamedTuple):
    text: str
    is_whole: bool = False
    """True if it holds a path, so that it is neither cut nor folded."""


class _Cell(NamedTuple):
    text: str
    style: str = ""
    notes: Sequence[_Note] = ()
    """Sentences about it. On a terminal they follow the row; elsewhere they stand in the column, in
    place of `text`, so that a row stays one line."""


class _Column(NamedTuple):
    heading: str
    is_number: bool = False
    is_wrapped: bool = True
    """True if its texts may take several lines on a narrow terminal."""


_LEAST_WIDTH = 12
"""Cells that a column with longer texts keeps on a narrow terminal."""

_GAP = 2

_INDENT = 4
"""Spaces before a path on a line of its own."""


def _print_table(
    console: Console, columns: Sequence[_Column], rows: Iterable[Sequence[_Cell]]
) -> None:
    """Print a heading and rows in stretches. Columns never get narrower than above.

    The last column is that of paths, or of what else a person copies: it is neither cut nor folded.
    On a terminal it goes on a line of its own where it has no room beside the others. Columns
    without any text are left out; one that gets its first text in a later stretch begins there,
    under a new heading.
    """
    from rich.cells import cell_len

    widths = [0] * len(columns)
    remaining = iter(rows)
    while stretch := list(islice(remaining, STRETCH)):
        # Names may hold control characters: here no caller can forget them.
        lines = [[_safe(cell, console.is_terminal) for cell in line] for line in stretch]
        last = len(columns) - 1
        longest = [max(cell_len(line[i].text) for line in lines) for i in range(last + 1)]
        filled = [i for i in range(last + 1) if longest[i] or widths[i]] or [last]
        if any(not widths[index] for index in filled):
            lines.insert(0, [_Cell(column.heading, "bold") for column in columns])
        for index in filled:
            heading = cell_len(columns[index].heading)
            widths[index] = max(widths[index], longest[index], heading)
        layout = _Layout([columns[index] for index in filled], [widths[index] for index in filled])
        shown = ([line[index] for index in filled] for line in lines)
        if console.is_terminal:
            layout.print_wrapped(console, shown)
        else:
            layout.print_plain(console, shown)


def _safe(cell: _Cell, is_terminal: bool) -> _Cell:
    """`cell` with control characters as escapes, and its notes where they belong."""
    if not cell.notes:
        return cell._replace(text=printable(cell.text))
    if not is_terminal:
        return _Cell(printable(", ".join(note.text for note in cell.notes)), cell.style)
    notes = [note._replace(text=printable(note.text)) for note in cell.notes]
    return _Cell(printable(cell.text), cell.style, notes)


class _Layout(NamedTuple):
    """Columns that hold something, and their widths in cells."""

    columns: Sequence[_Column]
    widths: Sequence[int]

    def print_wrapped(self, console: Console, lines: Iterable[Sequence[_Cell]]) -> None:
        """Print for a terminal. Texts of wrapped columns go on below, within their column."""
        from rich.cells import cell_len
        from rich.text import Text

        layout = self._replace(widths=self._fitting(console.width))
        left = sum(layout.widths[:-1]) + _GAP * (len(layout.widths) - 1)
        for line in lines:
            first, *others = layout._facts(console, line[:-1])
            last = Text(line[-1].text, line[-1].style)
            if layout.columns[-1].is_number:
                last.pad_left(layout.widths[-1] - last.cell_len)
            if left + cell_len(last.plain) <= console.width:
                shown = [first + last, *others]
            else:
                shown = [first, *others, Text(" " * _INDENT) + last]
            for text in shown:
                text.rstrip()
                console.print(text, soft_wrap=True)
            for cell in line:
                for note in cell.notes:
                    if note.is_whole:
                        console.print(Text(" " * _INDENT + note.text, cell.style), soft_wrap=True)
                    else:
                        print_indented(console, note.text, cell.style, _INDENT)

    def _fitting(self, width: int) -> list[int]:
        """Widths with which a row fits into `width`, the widest column giving first. Where the last
        column has no room even so, the others take the whole of `width`."""
        *widths, last = self.widths
        gaps = _GAP * len(widths)
        wrapped = [index for index in range(len(widths)) if self.columns[index].is_wrapped]
        least = sum(min(w, _LEAST_WIDTH) if i in wrapped else w for i, w in enumerate(widths))
        room = width - last if least + gaps + last <= width else width
        while (over := sum(widths) + gaps - room) > 0:
            widest = max(wrapped, key=widths.__getitem__, default=None)
            if widest is None or widths[widest] <= _LEAST_WIDTH:
                break
            widths[widest] = max(_LEAST_WIDTH, widths[widest] - over)
        return [*widths, last]

    def _facts(self, console: Console, cells: Sequence[_Cell]) -> list[Text]:
        """The lines of a row but for its last column, each as wide as all columns."""
        from rich.text import Text

        folded = [
            Text(cell.text, cell.style).wrap(console, max(1, width), overflow="fold")
            for cell, width in zip(cells, self.widths, strict=False)
        ]
        lines = []
        for number in range(max(map(len, folded), default=1) or 1):
            line = Text()
            for column, width, texts in zip(self.columns, self.widths, folded, strict=False):
                text = texts[number] if number < len(texts) else Text()
                text.rstrip()
                space = Text(" " * (width - text.cell_len))
                line += space + text if column.is_number else text + space
                line.append(" " * _GAP)
            lines.append(line)
        return lines

    def print_plain(self, console: Console, lines: Iterable[Sequence[_Cell]]) -> None:
        """Print each row as a line, uncut. It takes some 10 us."""
        from rich.cells import cell_len

        def padded(cell: _Cell, column: _Column, width: int) -> str:
            space = " " * (width - cell_len(cell.text))
            return space + cell.text if column.is_number else cell.text + space

        texts = [
            (" " * _GAP).join(map(padded, line, self.columns, self.widths)).rstrip()
            for line in lines
        ]
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
