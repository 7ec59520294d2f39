"""An entry as one row of a table, for CSV, SQLite and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TEXT, INTEGER, TIME, YES_NO = "text", "integer", "time", "yes or no"


class Column(NamedTuple):
    """A column, and the field of an entry that it shows."""

    name: str
    type: str
    place: str
    """The object in the entry that has the field; empty for the entry itself."""
    field: str


def _columns(types: Mapping[str, str], place: str = "", prefix: str = "") -> list[Column]:
    return [Column(prefix + field, kind, place, field) for field, kind in types.items()]


COLUMNS = (
    *_columns({"path": TEXT, "type": TEXT, "size": INTEGER, "mtime": TIME}),
    *_columns({"root": TEXT, "category": TEXT}),
    *_columns({"kind": TEXT, "base_model": TEXT, "family": TEXT, "title": TEXT}, "model"),
    *_columns({"version": TEXT, "format": TEXT, "precision": TEXT}, "model"),
    *_columns({"parameters": INTEGER, "trigger_words": TEXT, "url": TEXT}, "model"),
    *_columns({"status": TEXT, "problem": TEXT, "fingerprint": TEXT, "hash": TEXT}),
    *_columns({"sha256": TEXT, "claimed_sha256": TEXT}),
    *_columns({"autov3": TEXT}, "model"),
    *_columns({"leads_to": TEXT, "target": TEXT, "alias_of": TEXT}),
    *_columns({"part_of": TEXT, "sidecar_of": TEXT}),
    *_columns({"kind": TEXT, "parts": INTEGER, "bytes": INTEGER}, "set", "set_"),
    *_columns({"id": TEXT, "version": TEXT, "commit": TEXT, "enabled": YES_NO}, "pack", "pack_"),
    *_columns({"total_size": INTEGER, "apparent_bytes": INTEGER}),
    *_columns({"path_b64": TEXT, "target_b64": TEXT}),
    *_columns({"name": TEXT, "shadowed_by": TEXT, "blake3": TEXT}),
)
"""New columns come last, so that programs may count them."""

_LIST_SEPARATOR = "; "


def row_of(entry: Mapping[str, Any]) -> list[str | int | None]:
    """The values of `COLUMNS`. None where a field is absent.

    Times are texts as in the inventory; those outside the years 1 to 9999 are absent. Lists are
    joined by "; ", and yes or no is 1 or 0.
    """
    row: list[str | int | None] = [None] * len(COLUMNS)
    # Most entries have few fields: those are looked at, not the columns.
    for field, value in entry.items():
        if (column := _OF_ENTRY.get(field)) is not None:
            row[column] = _flat(value, COLUMNS[column].type)
        elif (columns := _OF_OBJECTS.get(field)) is not None:
            for inner, its in value.items():
                if (column := columns.get(inner)) is not None:
                    row[column] = _flat(its, COLUMNS[column].type)
    return row


_OF_ENTRY = {column.field: n for n, column in enumerate(COLUMNS) if not column.place}
"""Numbers of columns by the fields of an entry, and below by those of the objects in it."""

_OF_OBJECTS = {
    place: {column.field: n for n, column in enumerate(COLUMNS) if column.place == place}
    for place in {column.place for column in COLUMNS if column.place}
}


def _flat(value: Any, kind: str) -> str | int | None:
    """Raises ValueError where a damaged inventory has another type."""
    if value is None:
        return None
    if kind in (INTEGER, YES_NO):
        if isinstance(value, int):
            return int(value)
    elif isinstance(value, str):
        return value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _LIST_SEPARATOR.join(value)
    raise ValueError(f"expected {kind}, not {value!r}")
