"""JSON Schemas (draft 2020-12) of the files that other programs read."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson

NAMES = ("inventory", "change", "status", "history")
"""Those of the files that a scan writes."""

EXPORTED = ("lock", "event")
"""Those of documents that `export` writes, and of the news that are sent."""

PRINTED = ("envelope", "workflow")
"""Those of what commands print."""


def load_schema(name: str) -> dict[str, Any]:
    """The schema of that name, one of `NAMES`, `EXPORTED` and `PRINTED`.
    FileNotFoundError for any other."""
    schema: dict[str, Any] = orjson.loads(schema_text(name))
    return schema


def schema_text(name: str) -> bytes:
    """The same as the text of its file."""
    return files(__name__).joinpath(f"{name}.schema.json").read_bytes()
