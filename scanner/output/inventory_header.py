"""The first line of an inventory: everything but the entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

import scanner
from scanner.core.inventory_parts import PARTS_END
from scanner.core.serialize import (
    mtime_fields,
    path_fields,
    readable,
    text_fields,
    time_text,
    with_slashes,
)
from scanner.output.inventory_layout import Count, Folder, Layout
from scanner.output.inventory_text import HEADER_END, SCHEMA
from scanner.output.inventory_view import InventoryView, MountView, RootView

TOOL = {"name": "comfy-inventory", "version": scanner.__version__}


def header_line(
    view: InventoryView, layout: Layout, totals: Mapping[str, Any], split_by: str = ""
) -> bytes:
    """The header up to the first entry. With `split_by`, a manifest up to its first part."""
    header = _header(view, layout, totals)
    if split_by:
        return orjson.dumps({**header, "split_by": split_by})[:-1] + b"," + PARTS_END
    return orjson.dumps(header)[:-1] + b"," + HEADER_END


def _header(view: InventoryView, layout: Layout, totals: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "tool": TOOL,
        "generated": time_text(view.generated),
        "scan": view.scan,
        **({} if view.base is None else text_fields(with_slashes(view.base), "base")),
        "roots": [
            _root_fields(root, view, layout.folders, count)
            for root, count in zip(view.roots, layout.counts, strict=True)
        ],
        "unreachable": [
            {
                **path_fields(unreachable.path, view.base),
                "error": readable(unreachable.error),
                "since": time_text(unreachable.since),
            }
            for unreachable in view.unreachable
        ],
        "mounts": [_mount_fields(mount, view.base) for mount in view.mounts],
        "totals": totals,
    }


def totals_of(layout: Layout) -> dict[str, Any]:
    """The totals of all roots, and those of each category."""
    counts = layout.counts
    return {
        "entries": sum(c.files + c.directories + c.others + c.aliases for c in counts),
        "files": sum(count.files for count in counts),
        "directories": sum(count.directories for count in counts),
        "others": sum(count.others for count in counts),
        "aliases": sum(count.aliases for count in counts),
        "shadowed": layout.shadows.count,
        "bytes": sum(count.bytes for count in counts),
        "apparent_bytes": sum(count.apparent_bytes for count in counts),
        "categories": _categories(layout),
    }


def _categories(layout: Layout) -> dict[str, dict[str, int]]:
    """Files and bytes by category; what has none stands under the empty name."""
    found: dict[str, dict[str, int]] = {}
    for (_, category), count in sorted(layout.by_category.items()):
        sums = found.setdefault(category, {"files": 0, "bytes": 0})
        sums["files"] += count.files
        sums["bytes"] += count.bytes
    return {category: sums for category, sums in sorted(found.items()) if sums["files"]}


def _root_fields(
    view_of_root: RootView, view: InventoryView, folders: Mapping[str, Folder], count: Count
) -> dict[str, Any]:
    root = view_of_root.root
    fields: dict[str, Any] = {
        "id": readable(root.id),
        "kind": root.kind,
        **path_fields(root.path, view.base),
    }
    if root.category:
        fields["category"] = readable(root.category)
    if root.named_by:
        fields.update(text_fields(root.named_by, "named_by"))
    fields["state"] = view_of_root.state
    fields["since"] = time_text(view_of_root.since)
    if view_of_root.filesystem:
        fields["filesystem"] = readable(view_of_root.filesystem)
    if view_of_root.reason:
        fields["reason"] = readable(view_of_root.reason)
    if root.path in folders:
        fields.update(mtime_fields(folders[root.path].directory.mtime))
    sizes = {"bytes": count.bytes, "apparent_bytes": count.apparent_bytes}
    return {**fields, "files": count.files, **sizes}


def _mount_fields(mount: MountView, base: str | None) -> dict[str, Any]:
    fields = path_fields(mount.path, base)
    known = {"target": mount.target, "point": mount.point, **mount.identity._asdict()}
    for key, text in known.items():
        if text:
            fields.update(text_fields(text, key))
    return fields
