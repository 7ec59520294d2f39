"""The formats of `export`, the choice of entries, and where they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, BinaryIO, NamedTuple

from scanner.api import Inventory
from scanner.commands.export.database import write_database
from scanner.commands.export.lines import write_csv, write_jsonl, write_sums
from scanner.commands.export.lock import write_lock
from scanner.commands.export.parquet import write_parquet
from scanner.commands.export.selection import Selection, Written
from scanner.commands.export.tree import write_tree
from scanner.commands.find.criteria import Wanted, parse_wanted
from scanner.commands.find.search import matches
from scanner.commands.targets import file_to_write
from scanner.console.steps import _one_of
from scanner.core.serialize import printable
from scanner.errors import SettingsError
from scanner.output.atomic import AtomicFile
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import damage_reported

_TO_STREAM = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "ncdu": write_tree,
    "sha256sum": write_sums,
    "lock": write_lock,
}

_TO_PATH: dict[str, Callable[[Selection, str], Written]] = {
    "sqlite": write_database,
    "parquet": write_parquet,
}
"""Their libraries write to a path and not to a stream."""

NAMES = ("jsonl", "csv", "sqlite", "parquet", "ncdu", "sha256sum", "lock")


class Request(NamedTuple):
    """What `export` was asked for."""

    format: str
    target: str | None
    """The file to write, relative to `cwd`; None or `-` for standard output."""
    outputs: Outputs
    cwd: str
    criteria: Mapping[str, Any]
    """Arguments of `parse_wanted`; none for all entries."""


class Result(NamedTuple):
    """What was written."""

    total: int
    path: str
    """Empty for standard output."""
    note: str
    """A sentence for the user; empty if there is nothing to say."""


def export_entries(request: Request, stdout: BinaryIO) -> Result:
    """Write the inventory in the wanted format. Raises InventoryError; a file is then unchanged."""
    name = _one_of("--format", request.format, NAMES)
    path = _target_of(request, name)
    with Inventory(request.outputs.inventory) as inventory, damage_reported(inventory.path):
        selection = Selection(inventory, _chosen(inventory, request))
        if name in _TO_PATH:
            with AtomicFile(path) as file:
                written = _TO_PATH[name](selection, file.temporary)
        else:
            with AtomicFile(path) if path else nullcontext(stdout) as out:
                written = _TO_STREAM[name](selection, out)
            stdout.flush()
    return Result(written.total, printable(path), written.note)


def _chosen(inventory: Inventory, request: Request) -> Callable[[], Iterator[dict[str, Any]]]:
    """A function that begins anew with the first of the wanted entries."""
    if not request.criteria:
        return inventory.entries
    wanted: Wanted = parse_wanted(inventory.header, request.cwd, **request.criteria)
    now = time.time_ns()
    return lambda: (entry for entry in inventory.entries() if matches(entry, wanted, now))


def _target_of(request: Request, name: str) -> str:
    """The absolute path of the file to write; empty for standard output.

    Raises SettingsError for standard output where a path is needed, and InventoryError where the
    file is one of those that scans write.
    """
    if request.target in (None, "-"):
        if name in _TO_PATH:
            raise SettingsError(
                f"--format {name}: expected a file to write, as in -o inventory.{name}."
            )
        return ""
    return file_to_write(request.target or "", request.cwd, request.outputs)
