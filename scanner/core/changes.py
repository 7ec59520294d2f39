"""One line of the change list, as a value."""

from __future__ import annotations

from typing import NamedTuple

from scanner.core.packs import PackChange

CREATED = "created"

DELETED = "deleted"

MODIFIED = "modified"

MOVED = "moved"

BASELINE = "baseline"

KINDS = (CREATED, DELETED, MODIFIED, MOVED, BASELINE)


class Change(NamedTuple):
    """One line of the change list: an event at one path.

    `type` is a word of `snapshot.TYPE_NAMES`; `size` in bytes, `mtime` in nanoseconds (the last
    known ones for what was deleted). `source` is where a moved entry came from. `files` and
    `bytes` are given for directories that moved and for baselines, else -1. `pack` is an annotation
    of the line of a node pack's folder or file.
    """

    kind: str
    type: str
    path: str
    root: str
    size: int = 0
    mtime: int = 0
    source: str = ""
    evidence: str = ""
    files: int = -1
    bytes: int = -1
    reason: str = ""
    pack: PackChange | None = None


def baseline(root: str, path: str, files: int, bytes_: int, reason: str) -> Change:
    """The one line that stands for all entries of a zone, in place of a line each (rule 9)."""
    return Change(BASELINE, "directory", path, root, files=files, bytes=bytes_, reason=reason)
