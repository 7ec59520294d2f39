"""Write the tables of docs/inventory.md from the JSON Schemas: `python -m scripts.describe_fields`.

A schema says of each field what it means, in `unit` the unit of a number, and in `since` the
version of the format that it came with, if that is not 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from scanner.schemas import load_schema

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inventory.md"

ENTRY = "entries[]."

_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "integer": "number",
    "number": "number",
    "null": "null",
}

_TABLE = re.compile(r"(<!-- begin of (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


class Field(NamedTuple):
    """A field that a schema describes."""

    path: str
    """As `roots[].id`: below `roots`, which is a list, in each item."""
    type: str
    meaning: str
    unit: str
    """Of numbers. `number` is one that counts nothing, such as that of a scan."""
    since: int
    """The version of the format that it came with."""


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """All fields that `schema` describes, in its order."""
    return list(_below(schema, "", schema.get("$defs", {})))


def _below(schema: Mapping[str, Any], above: str, defs: Mapping[str, Any]) -> Iterator[Field]:
    for name, described in schema.get("properties", {}).items():
        own = _resolved(described, defs)
        path = f"{above}{name}"
        meaning = own.get("description", "")
        choices = [str(choice) for choice in own.get("enum", ())]
        if not all(choice in meaning for choice in choices):
            meaning += f" One of: {', '.join(choices)}."
        unit = own.get("unit", "")
        yield Field(path, _type_of(own), meaning.strip(), unit, own.get("since", 1))
        yield from _below_value(own, path, defs)


def _below_value(value: Mapping[str, Any], path: str, defs: Mapping[str, Any]) -> Iterator[Field]:
    for choice in value.get("anyOf", ()):
        yield from _below_value(_resolved(choice, defs), path, defs)
    if "items" in value:
        yield from _below_value(_resolved(value["items"], defs), f"{path}[]", defs)
    yield from _below(value, f"{path}.", defs)


def _resolved(described: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """A description with what it refers to, whose name stands under `named`."""
    own = dict(described)
    while "$ref" in own:
        name = own.pop("$ref").rpartition("/")[2]
        own = {**defs[name], "named": name, **own}
    return own


def _type_of(own: Mapping[str, Any]) -> str:
    if own.get("named") in ("time", "path"):
        return str(own["named"])
    if "anyOf" in own and "type" not in own:
        return " or ".join(_type_of({**choice, **_named(choice)}) for choice in own["anyOf"])
    types = own.get("type", "string" if "enum" in own else "")
    if not types:
        types = "boolean" if isinstance(own["const"], bool) else "integer"
    return " or ".join(_WORDS[each] for each in ([types] if isinstance(types, str) else types))


def _named(choice: Mapping[str, Any]) -> dict[str, str]:
    return {"named": choice["$ref"].rpartition("/")[2]} if "$ref" in choice else {}


def table(fields: list[Field], *, has_since: bool) -> str:
    """A table of Markdown. Fields that differ from others in `_b64` only stand beside these."""
    paths = {field.path for field in fields}
    head = ["Field", "Type and unit", "Meaning", *(["Since"] if has_since else [])]
    lines = [head, ["---"] * len(head)]
    for field in fields:
        if field.path.removesuffix("_b64") in paths - {field.path}:
            continue
        encoded = [f"`{path}`" for path in paths if path == f"{field.path}_b64"]
        meaning = field.meaning.replace("|", "\\|")
        since = [str(field.since)] if has_since else []
        unit = [field.unit] if field.unit not in ("", "number") else []
        names, type_ = (f"`{field.path}`", *encoded), (field.type, *unit)
        lines.append([", ".join(names), ", ".join(type_), meaning, *since])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def tables() -> dict[str, str]:
    """The tables of the page, by name."""
    inventory = fields_of(load_schema("inventory"))
    entries = [
        field._replace(path=field.path.removeprefix(ENTRY))
        for field in inventory
        if field.path.startswith(ENTRY)
    ]
    header = [field for field in inventory if not field.path.startswith(ENTRY)]
    return {
        "header": table(header, has_since=True),
        "entry": table(entries, has_since=True),
        "change": table(fields_of(load_schema("change")), has_since=False),
        "status": table(fields_of(load_schema("status")), has_since=False),
        "history": table(fields_of(load_schema("history")), has_since=False),
    }


def described(page: str) -> str:
    """`page` with its tables as the schemas are now."""
    now = tables()
    return _TABLE.sub(lambda match: f"{match[1]}{now[match[2]]}{match[3]}", page)


if __name__ == "__main__":
    PAGE.write_text(described(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
