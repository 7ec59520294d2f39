"""Entries and changes of one host as rows of the fleet's tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from scanner.core.serialize import native
from scanner.fleet.storage import Storages
from scanner.output.columns import COLUMNS, INTEGER, TIME, YES_NO, row_of

TEXT_TYPE, NUMBER_TYPE, YES_NO_TYPE = "VARCHAR", "BIGINT", "BOOLEAN"
"""Words that DuckDB and PostgreSQL share."""

_TYPES = {INTEGER: NUMBER_TYPE, YES_NO: YES_NO_TYPE, TIME: TEXT_TYPE}

ENTRIES = {
    "host": TEXT_TYPE,
    "root_kind": TEXT_TYPE,
    "storage": TEXT_TYPE,
    "storage_path": TEXT_TYPE,
    **{column.name: _TYPES.get(column.type, TEXT_TYPE) for column in COLUMNS},
}
"""Columns of `entries`. Times are texts as in the inventory: exact, and ordered as texts."""

CHANGES = {
    "host": TEXT_TYPE,
    "series": TEXT_TYPE,
    "scan": NUMBER_TYPE,
    "n": NUMBER_TYPE,
    "time": TEXT_TYPE,
    "kind": TEXT_TYPE,
    "type": TEXT_TYPE,
    "path": TEXT_TYPE,
    "path_b64": TEXT_TYPE,
    "from_path": TEXT_TYPE,
    "from_b64": TEXT_TYPE,
    "root": TEXT_TYPE,
    "size": NUMBER_TYPE,
    "mtime": TEXT_TYPE,
    "evidence": TEXT_TYPE,
    "files": NUMBER_TYPE,
    "bytes": NUMBER_TYPE,
    "reason": TEXT_TYPE,
}
"""Columns of `changes`. Host, series, scan and n are the key of a line."""

KEY = ("host", "series", "scan", "n")

_FROM = {"from_path": "from"}

_YES_NO = frozenset(name for name, kind in ENTRIES.items() if kind == YES_NO_TYPE)


def entry_row(
    entry: Mapping[str, Any], host: str, kinds: Mapping[str, str], storages: Storages, base: str
) -> dict[str, Any]:
    """The row of an entry. `kinds`: kind by root. Raises ValueError for a damaged entry."""
    storage, path = storages.of(native(entry, base or None))
    row: dict[str, Any] = {
        "host": host,
        "root_kind": kinds.get(entry.get("root", "")),
        "storage": _told_apart(storage),
        "storage_path": _told_apart(path),
    }
    for column, value in zip(COLUMNS, row_of(entry), strict=True):
        row[column.name] = bool(value) if value is not None and column.name in _YES_NO else value
    return row


def _told_apart(text: str) -> str:
    """`text` as UTF-8 in which different names stay different."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def change_row(line: Mapping[str, Any], host: str, series: str) -> dict[str, Any]:
    """The row of a line of the change list."""
    row = {name: line.get(_FROM.get(name, name)) for name in CHANGES}
    return {**row, "host": host, "series": series}
