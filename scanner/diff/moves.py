"""What moved, and between which entries it is looked for. The search is `find_moves`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.core.snapshot import Entry

INODE = "inode"

FINGERPRINT = "fingerprint"

AskFingerprints = Callable[[Sequence[Entry]], Mapping[str, bytes]]
"""Fingerprints of the files asked for, by path; those that could not be taken are left out."""


class Move(NamedTuple):
    """`source` is what is gone; `target` what arrived."""

    source: Entry
    target: Entry
    evidence: str


@dataclass
class Moves:
    """Everything that moved. A file that moved with its directory is in neither list."""

    files: list[Move] = field(default_factory=list)
    directories: list[Move] = field(default_factory=list)
    arrived_before: dict[str, Entry] = field(default_factory=dict)
    """Entries that earlier scans reported as created, as they are now, by path."""
    fingerprints: dict[str, bytes] = field(default_factory=dict)
    """Fingerprints that were taken for the proof, by path of the file that arrived."""


@dataclass(frozen=True)
class Window:
    """Entries that earlier scans of the last `move_window` reported, still without a partner."""

    gone: Mapping[str, Entry] = field(default_factory=dict)
    arrived: Mapping[str, Entry] = field(default_factory=dict)
    """Files and directories, as they are now."""
