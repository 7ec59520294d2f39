"""Formats of one line for each entry: JSON, CSV, and the sums of sha256sum."""

from __future__ import annotations

import csv
import os

import orjson

from scanner.commands.export.selection import Counted, Selection, Sink, Written
from scanner.core.wording import count_text
from scanner.output.columns import COLUMNS, row_of
from scanner.output.inventory_reader import is_file

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "'")  # noqa: RUF001
"""Beginnings of texts that a spreadsheet may take for a formula (OWASP, CSV injection), and the
sign that keeps it from that."""


def write_jsonl(selection: Selection, out: Sink) -> Written:
    """Entries as the inventory has them, one JSON object a line."""
    entries = Counted(selection.entries())
    for entry in entries:
        out.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
    return Written(entries.total)


class _Text:
    """A text file over `out`, for the csv module."""

    def __init__(self, out: Sink) -> None:
        self._out = out

    def write(self, text: str) -> None:
        self._out.write(text.encode("utf-8"))


def write_csv(selection: Selection, out: Sink) -> Written:
    """A table with the names of its columns in line 1 (RFC 4180, UTF-8).

    A text that a spreadsheet may take for a formula gets one ' before it, and so does one that
    begins with it: one ' less is always the text itself.
    """
    rows = csv.writer(_Text(out))
    rows.writerow(column.name for column in COLUMNS)
    entries = Counted(selection.entries())
    for entry in entries:
        rows.writerow(map(_harmless, row_of(entry)))
    return Written(entries.total)


def _harmless(value: str | int | None) -> str | int | None:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_sums(selection: Selection, out: Sink) -> Written:
    """Lines that `sha256sum -c` accepts, of files whose SHA-256 is known, with absolute paths."""
    count = unknown = 0
    for entry in selection.entries():
        if not is_file(entry):
            continue
        if "sha256" not in entry:
            unknown += 1
            continue
        path = os.fsencode(selection.inventory.path_of(entry))
        out.write(_sum_line(entry["sha256"].encode("ascii"), path))
        count += 1
    if not unknown:
        return Written(count)
    return Written(
        count,
        f"{unknown:,} of {count_text(count + unknown, 'file')} left out: their SHA-256 is not "
        "known. comfy-inventory hash reads those of models.",
    )


def _sum_line(digest: bytes, path: bytes) -> bytes:
    """As coreutils write it: a line with escapes (backslash, line ends) begins with a backslash."""
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"%s%s  %s\n" % (b"\\" if escaped != path else b"", digest, escaped)
