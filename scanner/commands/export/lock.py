"""What to fetch again after a reinstall: the models and node packs, with their hashes and URLs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from scanner.comfyui.model_files import wants_facts
from scanner.commands.export.selection import Counted, Selection, Sink, Written
from scanner.output.inventory_reader import is_file

SCHEMA = 1

_OF_HEADER = ("generated", "scan", "base", "base_b64")

_OF_ENTRY = ("path", "path_b64", "size", "sha256", "claimed_sha256", "hash", "fingerprint")

_OF_MODEL = ("autov3", "title", "version", "kind", "base_model", "url")

_REST = ("status", "part_of", "part_of_b64", "alias_of", "alias_of_b64")

_OF_PACK = ("id", "name", "version", "commit", "source", "remote", "publisher", "enabled")

_AUTOV2 = 10
"""Digits of a SHA-256 that are Civitai's AutoV2."""


def write_lock(selection: Selection, out: Sink) -> Written:
    """One JSON document, a model or pack a line. `schemas/lock.schema.json` describes its fields.

    Models are the files of a category whose suffix is that of a model, and the parts of models in
    several files.
    """
    header = selection.inventory.header
    roots = {root["id"]: root for root in header["roots"]}
    first = {"schema": SCHEMA, "tool": header["tool"]}
    first |= {field: header[field] for field in _OF_HEADER if field in header}
    out.write(orjson.dumps(first)[:-1])
    models = (
        _model(entry, roots.get(entry["root"], {}))
        for entry in selection.entries()
        if _is_model(entry)
    )
    count = _write_list(out, "models", models)
    packs = (_pack(entry) for entry in selection.entries() if "pack" in entry)
    count += _write_list(out, "packs", packs)
    out.write(b"}\n")
    return Written(count)


def _write_list(out: Sink, name: str, items: Iterable[Mapping[str, Any]]) -> int:
    out.write(b',"%b":[' % name.encode())
    counted = Counted(items)
    for item in counted:
        out.write((b",\n" if counted.total > 1 else b"\n") + orjson.dumps(item))
    out.write(b"\n]")
    return counted.total


def _is_model(entry: Mapping[str, Any]) -> bool:
    return (
        "category" in entry
        and is_file(entry)
        and "sidecar_of" not in entry
        and ("part_of" in entry or wants_facts(entry["path"]))
    )


def _model(entry: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"category": entry["category"], "name": entry.get("name") or _name_below(entry, root)}
    fields |= _some(entry, _OF_ENTRY)
    if sha256 := entry.get("sha256") or entry.get("claimed_sha256"):
        fields["autov2"] = sha256[:_AUTOV2]
    return fields | _some(entry.get("model", {}), _OF_MODEL) | _some(entry, _REST)


def _pack(entry: Mapping[str, Any]) -> dict[str, Any]:
    return _some(entry, ("path", "path_b64")) | _some(entry["pack"], _OF_PACK)


def _some(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _name_below(entry: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """The name of a model as ComfyUI's loaders list it: its path below the folder of its category,
    or its whole path where that folder is not known."""
    path: str = entry["path"]
    folder = "" if root.get("path") == "." else f"{root.get('path', path)}/"
    if not path.startswith(folder):
        return path
    below = path.removeprefix(folder)
    # A root that is not one category has a folder for each.
    return below if "category" in root else below.partition("/")[2] or below
