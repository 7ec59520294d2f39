"""JSON Schemas (draft 2020-12) of the three files that other programs read."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson

NAMES = ("inventory", "change", "status")


def load_schema(name: str) -> dict[str, Any]:
    """The schema of that name, one of `NAMES`. FileNotFoundError for any other."""
    schema: dict[str, Any] = orjson.loads(
        files(__name__).joinpath(f"{name}.schema.json").read_bytes()
    )
    return schema
