"""The result of one walk."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanner.core.snapshot import Directory
from scanner.workers.requests import Failed


@dataclass
class Walked:
    """The result of one walk of one zone, against the snapshot it started from."""

    top: str
    observed: dict[str, Directory] = field(default_factory=dict)
    """Directories whose listing differs from the snapshot's, and new ones."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """Directories that could not be listed: nothing below them is known to have changed."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Links to folders on other mounts, and their targets: entries, but zones of their own."""
    closed: set[str] = field(default_factory=set)
    """Links to directories that are entries but are not entered: loops, and all of them where
    links are not followed."""
    links: set[str] = field(default_factory=set)
    """All links to directories that were met."""
    listed: list[str] = field(default_factory=list)
    """Directories that were listed, not only stat-ed."""
    listing_seconds: list[float] = field(default_factory=list)
    """What some of the listings took in the worker, where most directories were only stat-ed."""
    stat_seconds: list[float] = field(default_factory=list)
    """What some of the stats took there."""
    directories: int = 0
    files: int = 0
    bytes: int = 0
    complete: bool = True
    """False where the walk was abandoned (SIGTERM)."""
