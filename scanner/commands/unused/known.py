"""The models of an inventory, and what workflows and pictures name, all without a look at a disk
but the one that holds these files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scanner.core.roots import Root
from scanner.core.serialize import mtime_of, native
from scanner.core.use_sources import KINDS, is_source
from scanner.errors import InventoryError
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import (
    base_of,
    damage_reported,
    header_of,
    is_file,
    read_entries,
    size_in,
)
from scanner.store.uses import Known, read_known


class Model(NamedTuple):
    """A model that ComfyUI can load by a name."""

    path: str
    """Absolute."""
    shown: Mapping[str, Any]
    """Its entry in the inventory."""
    name: str
    category: str
    real: str
    """The path of the file that it is the same as; its own if it is no other's."""


class Sources(NamedTuple):
    """What is known of the files that name models."""

    known: Known
    models: tuple[Model, ...]
    files: Mapping[str, int]
    """The files that were read and are listed now, each with the number of its text."""
    left: int
    """Files that are listed and were not read, or not as they are now."""
    away: tuple[str, ...]
    """Ids of the roots of such files that cannot be read whole now: their news is not known."""
    base: str | None
    roots: Mapping[str, str]
    """The absolute path of each root, by id as the inventory shows it."""


class UnreadTracesError(InventoryError):
    """A list of unused models may still hold some that are in use."""

    exit_code = 3


def load(outputs: Outputs) -> Sources:
    """Read the inventory and the state. Raises InventoryError."""
    header = header_of(outputs.inventory)
    if not os.path.isfile(outputs.state):
        raise InventoryError(
            f"The state {outputs.state} is not here: only the computer that scans knows what "
            "workflows and pictures name."
        )
    known, base = read_known(outputs.state), base_of(header)
    roots = {root["id"]: Root(root["kind"], native(root, base)) for root in header["roots"]}
    models: list[Model] = []
    files: dict[str, int] = {}
    left = 0
    with damage_reported(outputs.inventory):
        for entry in read_entries(outputs.inventory):
            if not is_file(entry):
                continue
            path = native(entry, base)
            if is_source(roots[entry["root"]], path):
                mark, text = known.files.get(path, ((-1, -1), -1))
                if text >= 0:
                    files[path] = text
                left += mark != (size_in(entry), mtime_of(entry))
            if is_model(entry):
                real = native(entry, base, "alias_of") if "alias_of" in entry else path
                models.append(Model(path, entry, entry["name"], entry["category"], real))
    away = tuple(
        root["id"]
        for root in header["roots"]
        if root["kind"] in KINDS and root["state"] not in ("online", "absent")
    )
    paths = {id_: root.path for id_, root in roots.items()}
    return Sources(known, tuple(models), files, left, away, base, paths)


def is_model(entry: Mapping[str, Any]) -> bool:
    """True if an entry is one whole model with a name. One in several files is none here: to know
    that nobody names it takes more than names of files. Names that are not UTF-8 cannot be found
    in texts."""
    return (
        "name" in entry
        and bool(entry.get("category"))
        and not any(field in entry for field in ("part_of", "sidecar_of", "set", "name_b64"))
    )


def texts_in(text: bytes) -> Iterator[str]:
    """All names in what the state has of a file."""
    from scanner.workflows.traces import from_text

    traces = from_text(text)
    yield from (name for name, _, _ in traces.uses)
    yield from traces.names
