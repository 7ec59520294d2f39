"""What is new: the change list of the last day, and the models that have arrived. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .library import Library, Model, key_of

DAY = 24 * 3600 * 10**9
"""Nanoseconds."""

MOST_ARRIVALS = 1000


class New(NamedTuple):
    """A model that was created or moved."""

    time: str
    kind: str
    model: Model


class Arrival(NamedTuple):
    """A model that is whole since a scan."""

    scan: int
    name: str
    category: str


def changes_since(lines: Iterable[bytes], since: str) -> list[dict[str, Any]]:
    """Lines of a change list that say what came, from the time `since` on. Others, and damaged
    ones, are left out."""
    found = []
    for line in lines:
        if b'"created"' not in line and b'"moved"' not in line:
            continue
        try:
            change = json.loads(line)
            is_wanted = change["kind"] in ("created", "moved") and change["time"] >= since
            key_of(change)
        except (ValueError, TypeError, KeyError):
            continue
        if is_wanted:
            found.append(change)
    return found


def new_models(library: Library, changes: Sequence[Mapping[str, Any]]) -> list[New]:
    """The models that `changes` brought and that are still there, the last first."""
    found: dict[str, New] = {}
    for change in reversed(changes):
        if change["kind"] == "moved" and change["type"] == "directory":
            top = f"{change['path'].rstrip('/')}/"
            keys = [key for key, model in library.models.items() if model.path.startswith(top)]
        else:
            keys = [key_of(change)]
        for key in keys:
            model = library.models.get(key)
            if model is not None and key not in found:
                found[key] = New(change["time"], change["kind"], model)
    return list(found.values())


def arrivals(before: Library | None, now: Library, new: Sequence[New]) -> list[Arrival]:
    """The models of `new` that are whole now and were not before."""
    if before is None:
        return []
    old = before.models
    return [
        Arrival(now.scan, each.model.name, each.model.category)
        for each in new
        if each.model.is_whole and (each.model.key not in old or not old[each.model.key].is_whole)
    ]


def has_other_names(before: Library | None, now: Library) -> bool:
    """True if the lists of models differ between two inventories."""
    return before is not None and before.models.keys() != now.models.keys()


def journals_of(inventory: str) -> list[str]:
    """The files of the change list beside an inventory that are read, the newest first."""
    stem = os.path.splitext(inventory)[0]
    return [f"{stem}.changes.jsonl", f"{stem}.changes.1.jsonl"]


def status_of(inventory: str) -> str:
    """The status file beside an inventory."""
    return os.path.splitext(inventory)[0] + ".status.json"
