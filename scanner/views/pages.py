"""The pages of a report as JSON, from an inventory, its status and its change list.

All texts in them are printable: control characters and the like are escapes, as in a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from scanner import __version__
from scanner.core.packs import SHORT
from scanner.core.roots import COMPLETE
from scanner.core.serialize import printable, time_ns
from scanner.core.times import Zone, time_shown
from scanner.core.wording import count_text
from scanner.output.inventory_reader import OpenInventory, damage_reported
from scanner.output.journal_reader import read as read_journal
from scanner.views.change_entries import days_of, last_of
from scanner.views.contents import Contents
from scanner.views.copies import Same
from scanner.views.drives import drives_page
from scanner.views.packs import PacksFound, is_pack_enabled, pack_name

DAYS = 30
"""Days of changes before the inventory was written."""

MOST_CHANGES = 1000

MOST_SETS = 500

MOST_PATHS = 50
"""Paths of one set of copies."""


class Pages(NamedTuple):
    """What a page shows at once, and the table of files, which is large."""

    pages: dict[str, Any]
    table: dict[str, Any]


class Read(NamedTuple):
    """An inventory that was read once, from its first entry to its last."""

    header: Mapping[str, Any]
    contents: Contents
    packs: PacksFound
    zone: Zone


def read_once(inventory: OpenInventory, zone: Zone) -> Read:
    """Read an open inventory. Raises InventoryError where it is damaged."""
    contents, packs = Contents(inventory.header, zone), PacksFound()
    with damage_reported(inventory.path):
        for place, entry in inventory.placed_entries():
            contents.add(entry, place)
            packs.add(entry)
    return Read(inventory.header, contents, packs, zone)


def pages_of(
    inventory: OpenInventory, status: Mapping[str, Any], journal: str, zone: Zone
) -> Pages:
    """The pages of an open inventory. `status` may be empty. Raises InventoryError and OutputError
    for files that cannot be read."""
    read = read_once(inventory, zone)
    table, left_out = read.contents.table()
    pages = {
        **lasting_pages(read),
        "drives": drives_page(read.header, status, read.contents.drives, zone),
        "changes": changes_page(journal, read.header, zone),
        "left_out": left_out,
    }
    return Pages(pages, table)


def lasting_pages(read: Read) -> dict[str, Any]:
    """The pages that an inventory alone gives."""
    header, contents = read.header, read.contents
    problems = contents.problems.page()
    return {
        "schema": 1,
        "tool": __version__,
        "generated": time_shown(header["generated"], read.zone),
        "zone": "UTC" if read.zone is UTC else "local time",
        "scan": header["scan"],
        "base": printable(header.get("base", "")),
        "totals": {
            "files": header["totals"]["files"],
            "bytes": header["totals"]["bytes"],
            "directories": header["totals"]["directories"],
            "models": contents.models,
            "model_bytes": contents.model_bytes,
        },
        "attention": attention(header, problems),
        "space": _space(contents),
        "problems": problems,
        "duplicates": _duplicates(contents.copies.sets()),
        "packs": [_pack(pack) for pack in read.packs.by_name()],
    }


def changes_page(journal: str, header: Mapping[str, Any], zone: Zone) -> dict[str, Any]:
    """The changes of the last days before an inventory was written."""
    return _changes(_recent(journal, header), zone)


def attention(header: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a person should act on, one clause each, as in `comfy-inventory status`."""
    clauses = [
        f"{printable(root['path'])} is {root['state']}"
        for root in header["roots"]
        if root["state"] not in COMPLETE
    ]
    for group in problems:
        if group["name"] == "broken":
            verb = "is" if group["files"] == 1 else "are"
            clauses.append(f"{count_text(group['files'], 'file')} {verb} broken")
        if group["name"] == "unreadable":
            clauses.append(f"{count_text(group['files'], 'place')} cannot be read")
    return clauses


def _space(contents: Contents) -> dict[str, Any]:
    return {
        "drives": contents.drives.names,
        "categories": contents.files.categories.texts,
        "bases": contents.files.bases.texts,
        "cells": [[*cell, *sums] for cell, sums in contents.cells.items()],
        "folders": contents.files.folders.columns(),
    }


def _duplicates(sets: Sequence[Same]) -> dict[str, Any]:
    def sums(chosen: Sequence[Same]) -> dict[str, int]:
        surplus = sum(len(same.paths) - 1 for same in chosen)
        return {"sets": len(chosen), "files": surplus, "bytes": sum(s.wasted for s in chosen)}

    return {
        "total": sums(sets),
        "proven": sums([same for same in sets if same.proven]),
        "rows": [
            {
                "size": same.size,
                "wasted": same.wasted,
                "proven": same.proven,
                "count": len(same.paths),
                "paths": same.paths[:MOST_PATHS],
            }
            for same in sets[:MOST_SETS]
        ],
    }


def _recent(journal: str, header: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The lines of the last days up to this inventory."""
    since = time_ns(header["generated"]) - DAYS * 86_400 * 10**9
    return (
        line for line in read_journal(journal, since_time=since) if line["scan"] <= header["scan"]
    )


def _changes(lines: Iterable[dict[str, Any]], zone: Zone) -> dict[str, Any]:
    """The last changes by day, newest first."""
    days, before = last_of(days_of(lines, zone), MOST_CHANGES)
    return {
        "days": [
            {
                "date": day.date.isoformat(),
                "counts": {kind: count for kind, count in sorted(day.counts.items()) if count},
                "entries": [[entry.kind, printable(entry.text)] for entry in reversed(day.entries)],
            }
            for day in reversed(days)
        ],
        "before": before,
        "within": DAYS,
    }


def _pack(pack: Mapping[str, Any]) -> dict[str, Any]:
    version = str(pack.get("version") or str(pack.get("commit") or "")[:SHORT])
    return {
        "name": printable(pack_name(pack)),
        "version": printable(version),
        "source": printable(str(pack.get("source", ""))),
        "enabled": is_pack_enabled(pack),
        "path": printable(pack["path"]),
        "files": pack["files"],
        "bytes": pack["bytes"],
    }
