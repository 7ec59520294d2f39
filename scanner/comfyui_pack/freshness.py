"""Whether lists of models may be answered from the inventory. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .library import Library
from .parts.core.serialize import native
from .tree import nanoseconds

_OUTPUT_FOLDERS = ("checkpoints", "clip", "vae", "diffusion_models", "loras")
"""Folders of output that ComfyUI searches for models. The inventory has a category for them."""


class _Root(NamedTuple):
    path: str
    id: str
    kind: str
    category: str
    state: str


class Facts(NamedTuple):
    """What decides it, of one inventory and its status."""

    roots: tuple[_Root, ...]
    unreachable: tuple[str, ...]
    not_entered: tuple[str, ...]
    scanned: Mapping[str, float]
    """When the last scan of each root began, in seconds since 1970."""
    updated: float
    """When the status was written."""
    is_behind: bool
    """True if changes are known that the inventory does not have yet."""


def facts_of(library: Library, status: Mapping[str, Any]) -> Facts:
    """Raises KeyError, TypeError or ValueError where the status is damaged."""
    states = {root["id"]: root["state"] for root in status["roots"]}
    scanned = {
        root: nanoseconds(lane["last_scan"]["started"]) / 1e9
        for lane in status["lanes"]
        if lane.get("last_scan")
        for root in lane["roots"]
    }
    unreachable = [*library.unreachable, *status.get("unreachable", ())]
    return Facts(
        tuple(
            _Root(
                native(root, library.base),
                root["id"],
                root["kind"],
                root.get("category", ""),
                states.get(root["id"], root["state"]),
            )
            for root in library.roots
        ),
        tuple({native(each, library.base) for each in unreachable}),
        tuple(library.tree.not_entered),
        scanned,
        nanoseconds(status["updated"]) / 1e9,
        status["journal"]["scan"] > library.scan,
    )


def why_not(folders: Sequence[str], facts: Facts, now: float, max_age: float) -> str:
    """Why ComfyUI's own search of `folders` is needed, a few words; empty if it is not."""
    for folder in folders:
        if reason := _why_not(folder, facts, now, max_age):
            return f"{folder}: {reason}"
    return ""


def _why_not(folder: str, facts: Facts, now: float, max_age: float) -> str:
    above = [root for root in facts.roots if _is_at_or_below(folder, root.path)]
    if not above:
        return "the inventory does not have it"
    owner = max(above, key=lambda root: len(root.path))
    if not _has_categories(folder, owner):
        return f"the inventory has it as {owner.kind}"
    for root in [owner, *(root for root in facts.roots if _is_at_or_below(root.path, folder))]:
        if reason := _why_old(root, facts, now, max_age):
            return reason
    for place in facts.not_entered:
        if _is_at_or_below(place, folder):
            return f"{place} is a link that the inventory does not follow"
    if owner.state == "stalled":
        return ""
    for place in facts.unreachable:
        if _is_at_or_below(place, folder) or _is_at_or_below(folder, place):
            return f"{place} is unreachable"
    return ""


def _why_old(root: _Root, facts: Facts, now: float, max_age: float) -> str:
    if root.state == "stalled":
        # A search of a disk that hangs would hang ComfyUI. What was there last is the best answer,
        # while somebody looks whether it still hangs.
        is_watched = abs(now - facts.updated) <= max_age
        return "" if is_watched else "nobody has looked at it for long"
    if root.state not in ("online", "partial"):
        return f"it is {root.state}"
    if facts.is_behind:
        return "the inventory is about to be written"
    if abs(now - facts.scanned.get(root.id, 0.0)) > max_age:
        return f"its last scan is more than {max_age:.0f} s ago"
    return ""


def _has_categories(folder: str, root: _Root) -> bool:
    """True if the inventory has everything in `folder` among its models."""
    if root.category:
        return True
    below = folder[len(root.path) :].strip(os.sep).split(os.sep)[0]
    if root.kind == "output":
        return below in _OUTPUT_FOLDERS
    return root.kind == "models" and bool(below)


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
