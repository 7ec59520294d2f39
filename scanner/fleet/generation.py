"""One state of one host's inventory, spooled as rows before anything of it is published."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, NamedTuple

import orjson
import xxhash

from scanner import __version__
from scanner.core.serialize import time_text
from scanner.errors import SettingsError
from scanner.fleet.manifest import Manifest, noted
from scanner.fleet.rows import change_row, entry_row
from scanner.fleet.storage import Storages
from scanner.output.inventory_reader import OpenInventory, base_of, damage_reported
from scanner.output.journal_reader import lines_since

_ROOT_FIELDS = ("id", "kind", "path", "category", "state", "since", "files", "bytes")


class Source(NamedTuple):
    """The inventory to publish, and the name to publish it under."""

    inventory: str
    journal: str
    host: str
    machine: str


class Spooled(NamedTuple):
    """A local file with one row a line, as JSON."""

    path: str
    rows: int
    digest: str


class _Spool:
    """A file of rows while it is written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: IO[bytes] = open(path, "wb")  # noqa: SIM115
        self._digest = xxhash.xxh3_128()
        self._rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        self._file.write(line)
        self._digest.update(line)
        self._rows += 1

    def finish(self) -> Spooled:
        self._file.close()
        return Spooled(self._path, self._rows, self._digest.hexdigest())


@dataclass(frozen=True)
class Generation:
    """What is to be published."""

    manifest: Manifest
    """Without its parts: how they are named is up to the place."""
    entries: Mapping[str, Spooled]
    """By root id."""
    changes: Spooled | None
    """The lines since the last generation."""
    first: int
    """The scan that the first of these lines is of; 0 if there is none."""


def generation_of(
    source: Source, previous: Manifest | None, folder: str, now: int
) -> Generation | None:
    """The state of the inventory as files in `folder`; None if `previous` has it already.

    `now`: nanoseconds since 1970. Raises SettingsError if another machine or another inventory
    publishes under this name, InventoryError if the inventory cannot be read.
    """
    if previous is not None:
        _refuse_namesakes(source, previous)
    with OpenInventory(source.inventory) as inventory, damage_reported(source.inventory):
        header = inventory.header
        scan, generated = int(header["scan"]), str(header["generated"])
        if previous is not None and (previous.scan, previous.generated) == (scan, generated):
            return None
        goes_on = previous is not None and previous.scan <= scan
        published = time_text(now) or ""
        manifest = Manifest(
            source.host,
            source.machine,
            source.inventory,
            previous.series if previous is not None and goes_on else published,
            published,
            generated,
            scan,
            __version__,
            tuple({n: root[n] for n in _ROOT_FIELDS if n in root} for root in header["roots"]),
            {},
            previous.changes if previous is not None else (),
            previous.lacks if previous is not None else (),
        )
        entries = _spool_entries(inventory, source.host, folder)
    through = previous.scan if previous is not None and goes_on else 0
    lines, reaches = lines_since(source.journal, through, scan)
    if through and not reaches and manifest.changes:
        manifest = replace(manifest, lacks=noted(manifest.lacks, through))
    return Generation(
        manifest,
        entries,
        _spool_changes(lines, source.host, manifest.series, folder),
        lines[0]["scan"] if lines else 0,
    )


def _refuse_namesakes(source: Source, previous: Manifest) -> None:
    if (previous.machine, previous.inventory) != (source.machine, source.inventory):
        where = "of another machine" if previous.machine != source.machine else "of this machine"
        raise SettingsError(
            f"publish_as: {source.host!r} is the name of another inventory already "
            f"({previous.inventory} {where}): set another name, or take this one over with "
            f"comfy-inventory fleet forget {source.host}."
        )


def _spool_entries(inventory: OpenInventory, host: str, folder: str) -> dict[str, Spooled]:
    header = inventory.header
    kinds = {root["id"]: root["kind"] for root in header["roots"]}
    storages, base = Storages(header, host), base_of(header) or ""
    spools = {root: _Spool(_path(folder, number)) for number, root in enumerate(kinds)}
    for entry in inventory.entries():
        spools[entry["root"]].add(entry_row(entry, host, kinds, storages, base))
    return {root: spool.finish() for root, spool in spools.items()}


def _path(folder: str, number: int) -> str:
    return os.path.join(folder, f"entries-{number}.jsonl")


def _spool_changes(
    lines: Iterable[Mapping[str, Any]], host: str, series: str, folder: str
) -> Spooled | None:
    spool = _Spool(os.path.join(folder, "changes.jsonl"))
    for line in lines:
        spool.add(change_row(line, host, series))
    spooled = spool.finish()
    return spooled if spooled.rows else None
