"""Rebuilding a lost state from the inventory and the change list (rule 9)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from scanner.core.changes import BASELINE
from scanner.core.memory import Memory, RootRecord
from scanner.core.roots import Root
from scanner.core.serialize import native, printable
from scanner.core.snapshot import Snapshot
from scanner.diff.replay import replayed_snapshot
from scanner.errors import DamagedStateError, InventoryError
from scanner.output.atomic import cannot, free_name_beside
from scanner.output.file_names import Outputs
from scanner.output.inventory_reader import base_of, snapshot_from
from scanner.output.journal_reader import read
from scanner.store.database import VALUE_ERRORS

log = logging.getLogger(__name__)


class Rebuilt(NamedTuple):
    """The state as far as the inventory and the change list hold it."""

    scan: int
    """Number of the scan that the inventory shows."""
    snapshot: Snapshot
    memory: Memory


def set_aside(path: str, error: DamagedStateError) -> str:
    """Keep the damaged database at `path` under another name, which is returned. It must not be
    open. Raises OutputError."""
    aside = free_name_beside(path)
    log.warning(
        "The state is damaged (%s): it is kept as %s and rebuilt.", error.reason, printable(aside)
    )
    try:
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.replace(path + ending, aside + ending)
    except OSError as failure:
        raise cannot("replace", path, failure) from failure
    return aside


def rebuild(outputs: Outputs) -> Rebuilt | None:
    """Take the inventory for the snapshot, brought up to the change list: that costs time and
    evidence for moves, never a false change. None if they hold no root, or are damaged."""
    try:
        header, snapshot = snapshot_from(outputs.inventory)
    except InventoryError as error:
        log.warning("The inventory cannot be read either (%s): starting anew.", error)
        return None
    try:
        scan = int(header["scan"])
        records = _records(header, snapshot)
        lines = list(read(outputs.journal, since_scan=scan))
        for line in lines:
            if line["kind"] == BASELINE:
                # The root starts anew: its entries had no lines of their own.
                records.pop(line["root"], None)
        if lines:
            tops = [record.path for record in records.values()]
            snapshot = replayed_snapshot(snapshot, tops, lines, base_of(header))
    except VALUE_ERRORS as error:
        log.warning("The change list is damaged (%s): starting anew.", error)
        return None
    if not records:
        return None
    log.warning("The state was lost: rebuilding it from %s.", outputs.inventory)
    return Rebuilt(scan, snapshot, Memory(roots=records))


def _records(header: Mapping[str, Any], snapshot: Snapshot) -> dict[str, RootRecord]:
    """The roots whose own folder the inventory lists, by id."""
    records = {}
    for fields in header["roots"]:
        root = Root(fields["kind"], native(fields, base_of(header)), fields.get("category", ""))
        if root.path in snapshot:
            records[root.id] = RootRecord(
                root.id, root.kind, root.path, root.category, fields["state"], walked=True
            )
    return records
