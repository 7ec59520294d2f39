"""Rebuilding a lost state from the inventory and the change list (rule 9)."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from scanner.core.changes import BASELINE
from scanner.core.memory import ONLINE, PARTIAL, Memory, RootRecord
from scanner.core.mount_identity import MountIdentity
from scanner.core.roots import Root, owner_of
from scanner.core.serialize import native, printable, raw_text
from scanner.core.snapshot import Snapshot, is_link
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


def take_from_remote(outputs: Outputs) -> None:
    """Copy a state that lies next to an inventory on a remote mount, where older versions kept it
    if the folder was reached through a link. A state that cannot be read there is left alone."""
    old = os.path.join(outputs.folder, os.path.basename(outputs.state))
    if old == outputs.state or os.path.exists(outputs.state) or not os.path.exists(old):
        return
    copy = f"{outputs.state}.copy"
    try:
        with (
            closing(sqlite3.connect(f"{Path(old).as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        os.replace(copy, outputs.state)
    except (sqlite3.Error, OSError) as error:
        log.warning("The state %s cannot be copied: %s.", old, error)
        with suppress(OSError):
            os.unlink(copy)


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
                # The zone starts anew: its entries had no lines of their own.
                path = native(line, base_of(header))
                records = {id_: record for id_, record in records.items() if record.path != path}
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
    """The roots whose own folder the inventory lists, and the mounts below them, by id."""
    base = base_of(header)
    records = {}
    for fields in header["roots"]:
        root = Root(fields["kind"], native(fields, base), fields.get("category", ""))
        if root.path in snapshot:
            record = RootRecord(
                root.id, root.kind, root.path, root.category, fields["state"], walked=True
            )
            # Without the field, the settings or an inventory of an older version.
            record.named_by = _text(fields, "named_by") or None
            record.filesystem = _text(fields, "filesystem")
            if record.state in (ONLINE, PARTIAL) and "filesystem" in fields:
                # All that an inventory of an older version says of the mount.
                record.mount_identity = MountIdentity(raw_text(fields, "filesystem"))
            records[root.id] = record
    roots = [record.root for record in records.values()]
    for fields in header.get("mounts", ()):
        path = native(fields, base)
        owner = owner_of(path, roots)
        if owner is None:
            continue
        zone = Root(owner.kind, path, owner.category)
        record = records.setdefault(
            zone.id,
            RootRecord(zone.id, zone.kind, path, zone.category, walked=True, is_inner=True),
        )
        record.target = _text(fields, "target")
        record.is_point = record.is_inner and bool(record.target) and not is_link(snapshot, path)
        record.mount_point = _text(fields, "point")
        record.mount_identity = MountIdentity(
            *(_text(fields, key) for key in MountIdentity._fields)
        )
        record.filesystem = record.mount_identity.type or record.filesystem
    return records


def _text(fields: Mapping[str, Any], key: str) -> str:
    return raw_text(fields, key) if key in fields else ""
