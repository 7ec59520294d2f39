"""The result of one walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from scanner.core.snapshot import Directory
from scanner.workers.requests import Failed


class Unread(NamedTuple):
    """Names of one folder that were listed and could not be looked at."""

    links: frozenset[str]
    """Links whose target may be there or not."""
    others: frozenset[str]


@dataclass
class Walked:
    """The result of one walk of one zone, against the snapshot it started from."""

    top: str
    observed: dict[str, Directory] = field(default_factory=dict)
    """Directories whose listing differs from the snapshot's, and new ones."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """Directories that could not be listed: nothing below them is known to have changed. After the
    walk also names that could not be looked at."""
    unread: dict[str, Unread] = field(default_factory=dict)
    """Names that were listed and could not be looked at, by folder."""
    foreign: dict[str, str] = field(default_factory=dict)
    """Links to folders on other mounts, and their targets: entries, but zones of their own."""
    closed: set[str] = field(default_factory=set)
    """Links to directories that are entries but are not entered: loops, and all of them where
    links are not followed."""
    links: set[str] = field(default_factory=set)
    """All links to directories that were met."""
    listed: list[str] = field(default_factory=list)
    """Directories that were listed, not only stat-ed."""
    directories: int = 0
    files: int = 0
    bytes: int = 0
    complete: bool = True
    """False where the walk was abandoned (SIGTERM)."""

    def with_failures(self, errors: Mapping[str, str]) -> Walked:
        """The same, with the paths in `errors` among those that could not be looked at."""
        failed = {path: Failed(path, 0, error) for path, error in errors.items()}
        return replace(self, failed={**self.failed, **failed})
