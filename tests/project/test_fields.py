"""docs/inventory.md and the schemas say the same of every field, and say it of every field."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from scanner.comfyui.model_facts import GGUF_KEYS, SAFETENSORS_KEYS, facts_of
from scanner.schemas import NAMES, load_schema
from scripts.describe_fields import ENTRY, PAGE, Field, described, fields_of, tables
from tests.support.fuzz_headers import gguf_file, safetensors_file, tensor

SCHEMA_1 = Path(__file__).resolve().parents[1] / "data" / "schema_1" / "fields.txt"
"""The fields of the last version that wrote schema 1."""


def test_the_page_is_what_the_schemas_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert described(page) == page, "run: python -m scripts.describe_fields"
    assert set(re.findall(r"begin of (\w+)", page)) == tables().keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_named_on_the_page_and_nothing_else(name: str) -> None:
    shown = {
        path
        for table in (("header", "entry") if name == "inventory" else (name,))
        for row in re.findall(r"^\| (`.*?) \|", tables()[table], re.MULTILINE)
        for path in re.findall(r"`([^`]+)`", row)
    }
    assert shown == {field.path.removeprefix(ENTRY) for field in fields_of(load_schema(name))}


@pytest.mark.parametrize("name", NAMES)
def test_every_field_has_a_meaning_and_every_number_a_unit(name: str) -> None:
    schema = load_schema(name)
    known = schema.get("$defs", {})
    general = {known[kind]["description"] for kind in ("path", "time") if kind in known}
    for field in fields_of(schema):
        assert field.meaning, field
        assert field.meaning not in general, field
        if "number" in field.type and field.path != "schema":
            assert field.unit, field


def test_since_is_the_version_that_a_field_came_with() -> None:
    old = set(SCHEMA_1.read_text(encoding="utf-8").split())
    fields = fields_of(load_schema("inventory"))
    assert {field.path for field in fields if field.since == 1} == old
    assert {field.since for field in fields} == {1, 2}


def read_at(data: bytes, offset: int, length: int) -> bytes:
    return data[offset : offset + length]


def test_facts_of_models_are_all_described() -> None:
    of_model = {
        field.path.removeprefix(f"{ENTRY}model.")
        for field in fields_of(load_schema("inventory"))
        if field.path.startswith(f"{ENTRY}model.")
    }
    words = {"sshs_model_hash": "a" * 12, "modelspec.resolution": "1024x1024"}
    tensors = {"w": tensor("F16", [2], 0, 4)}
    header = {"__metadata__": dict.fromkeys(SAFETENSORS_KEYS, "word") | words, **tensors}
    metadata = [(key, 8, "word") for key in GGUF_KEYS]
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 5\n" % (b"a" * 64)
    found: set[str] = set()
    for suffix, data in (
        ("safetensors", safetensors_file(header, 4)),
        ("safetensors", pointer),
        ("gguf", gguf_file(metadata, [("w", (2,), 0, 0)], 8, order=">")),
    ):
        facts = facts_of(f"x.{suffix}", len(data), partial(read_at, data))
        found |= facts.model.keys()
    assert found <= of_model
    assert {"author", "license", "autov3", "resolution", "lfs_size", "quantization"} <= found


def test_a_table_of_fields() -> None:
    schema = {
        "properties": {
            "bytes": {"type": "integer", "unit": "bytes", "description": "Its size.", "since": 2},
            "path": {"$ref": "#/$defs/path", "description": "Where."},
            "path_b64": {"type": "string", "description": "As `path_b64`."},
            "parts": {"type": "array", "items": {"properties": {"kind": {"enum": ["a", "b"]}}}},
        },
        "$defs": {"path": {"type": "string", "description": "Forward slashes."}},
    }
    assert fields_of(schema) == [
        Field("bytes", "number", "Its size.", "bytes", 2),
        Field("path", "path", "Where.", "", 1),
        Field("path_b64", "text", "As `path_b64`.", "", 1),
        Field("parts", "list", "", "", 1),
        Field("parts[].kind", "text", "One of: a, b.", "", 1),
    ]
