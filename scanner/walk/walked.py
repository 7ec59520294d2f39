"""The result of one walk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from scanner.core.paths import is_below
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
    points: dict[str, str] = field(default_factory=dict)
    """Mount points that were met below links to folders of this mount, and where they are by
    their own words: zones of their own too."""
    closed: set[str] = field(default_factory=set)
    """Links to directories that are entries but are not entered: loops, and all of them where
    links are not followed."""
    surplus: dict[str, str] = field(default_factory=dict)
    """Those of `closed` that are told: the first surplus path to each folder that more than
    `max_paths` lead to, with a sentence."""
    is_crowded: bool = False
    """True if so many paths lead to one folder that the walk must choose in order."""
    links: set[str] = field(default_factory=set)
    """All links to directories that were met."""
    doubtful: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Folders that may have been seen through a mount that came and went: see `walk.crossings`."""
    listed: list[str] = field(default_factory=list)
    """Directories that were listed, not only stat-ed."""
    listing_seconds: list[float] = field(default_factory=list)
    """What some of the listings took in the worker, where most directories were only stat-ed."""
    stat_seconds: list[float] = field(default_factory=list)
    """What some of the stats took there."""
    helped_seconds: float = 0.0
    """Seconds that other processes have worked meanwhile."""
    directories: int = 0
    files: int = 0
    bytes: int = 0
    complete: bool = True
    """False where the walk was abandoned (SIGTERM, or it must be made anew in order)."""

    def without(self, points: Iterable[str]) -> Walked:
        """The walk without what it met at or below `points`."""
        points = tuple(points)

        def is_kept(path: str) -> bool:
            return not any(is_below(path, point) for point in points)

        return replace(
            self,
            observed={path: found for path, found in self.observed.items() if is_kept(path)},
            failed={path: failure for path, failure in self.failed.items() if is_kept(path)},
            unread={path: names for path, names in self.unread.items() if is_kept(path)},
            foreign={path: target for path, target in self.foreign.items() if is_kept(path)},
            points={path: real for path, real in self.points.items() if is_kept(path)},
            closed=set(filter(is_kept, self.closed)),
            surplus={path: text for path, text in self.surplus.items() if is_kept(path)},
            links=set(filter(is_kept, self.links)),
            doubtful={path: found for path, found in self.doubtful.items() if is_kept(path)},
            listed=list(filter(is_kept, self.listed)),
        )

    def with_failures(self, errors: Mapping[str, str]) -> Walked:
        """The same, with the paths in `errors` among those that could not be looked at."""
        failed = {path: Failed(path, 0, error) for path, error in errors.items()}
        return replace(self, failed={**self.failed, **failed})
