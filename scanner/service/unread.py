"""Files that can be listed and whose content could not be read: no error of a scan says so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from scanner.core.serialize import path_fields, readable
from scanner.core.snapshot import Snapshot
from scanner.core.wording import count_text

MOST_SHOWN = 8
"""Files that are named; of the others only the number is told."""


def still_unread(failed: Iterable[tuple[str, int, int]], snapshot: Snapshot) -> tuple[str, ...]:
    """The paths of those in `failed` (path, size, mtime) that still are as they were then, and have
    no fingerprint. Sorted."""
    paths = []
    for path, size, mtime in failed:
        folder, name = os.path.split(path)
        directory = snapshot.get(folder)
        if directory is None:
            continue
        names = directory.listing.split_names()
        index = names.index(name) if name in names else -1
        if index < 0 or directory.fingerprint(index):
            continue
        if (directory.listing.sizes[index], directory.listing.mtimes[index]) == (size, mtime):
            paths.append(path)
    return tuple(sorted(paths))


def unread_fields(paths: Sequence[str], base: str | None) -> dict[str, Any]:
    """The JSON of files that could not be read."""
    shown = [path_fields(path, base) for path in sorted(paths)[:MOST_SHOWN]]
    return {"files": len(paths), "first": shown}


def unread_text(paths: Sequence[str]) -> str:
    """A line for the log."""
    count = len(paths)
    rest = f", and {count - MOST_SHOWN:,} more" if count > MOST_SHOWN else ""
    names = ", ".join(map(readable, paths[:MOST_SHOWN]))
    return (
        f"{count_text(count, 'file')} can be listed and not read, or changed while read; tried "
        f"again in ten minutes, then ever more rarely: {names}{rest}"
    )
