"""Zones: roots, and the mounts that begin below them, each walked, guarded and held by itself.

A `models` folder may have a NAS mounted at `loras`. What is below belongs to the root for every
reader, but health, mount identity, holds and the worker are the mount's own (design rule 2): an
unmounted NAS must neither empty the folder nor stall the local disk around it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property

from scanner.core.memory import RootRecord
from scanner.core.paths import is_below, nearest_above, tail
from scanner.core.roots import Root, owner_of
from scanner.disk.filesystem import FileSystem
from scanner.disk.location import Location, locate, located, points_below
from scanner.disk.mounts import Mount

LOCATIONS_FRESH = 1.0
"""Seconds for which the real paths of roots serve."""


@dataclass(frozen=True)
class Zones:
    """Every zone that is walked by itself. A zone is a `Root`; an inner one bears the kind of
    the root it lies in."""

    roots: tuple[Root, ...]
    """The roots of the settings."""
    inner: tuple[Root, ...] = ()
    """Mounts below them, mounted now or known from before."""

    targets: Mapping[str, str] = field(default_factory=dict)
    """Where the inner zones that a link below a root leads to really live, by path: they go with
    the link."""
    points: frozenset[str] = frozenset()
    """Those of `targets` that are mount points below such a link, and no links themselves."""
    files: frozenset[str] = frozenset()
    """Mount points that are files: rows of the folders that hold them, and no zones."""
    stale: frozenset[str] = frozenset()
    """Mount points that were zones below a link, and that no link leads to any more."""
    real: Mapping[str, str] = field(default_factory=dict)
    """Where zones really live, by path, if not where their words say."""

    @cached_property
    def all(self) -> tuple[Root, ...]:
        """Roots first."""
        return (*self.roots, *self.inner)

    def root_of(self, zone: Root) -> Root:
        """The root of the settings that `zone` is or lies in."""
        return owner_of(zone.path, self.roots) or zone

    def owner(self, path: str) -> Root | None:
        """The zone that `path` belongs to; None if it lies in no root."""
        return owner_of(path, self.all)

    def is_link(self, path: str) -> bool:
        """True if the inner zone at `path` is a link to a folder on another mount."""
        return path in self.targets and path not in self.points

    def location(self, zone: Root, mounts: Sequence[Mount]) -> Location:
        """Where `zone` really lives; a link, where it leads to."""
        return located(self.real.get(zone.path, zone.path), mounts)

    def mount_of(self, zone: Root, mounts: Sequence[Mount]) -> Mount:
        """The mount that `zone` really lives on."""
        return self.location(zone, mounts).mount

    def mount_at(self, path: str, mounts: Sequence[Mount]) -> Mount:
        """The mount that `path` lives on, in a zone or not."""
        if path in self.files:
            return located(self.real.get(path, path), mounts).mount
        zone = self.owner(path)
        return located(path, mounts).mount if zone is None else self.mount_of(zone, mounts)

    def below(self, zone: Root) -> frozenset[str]:
        """Paths of the inner zones below `zone`, and of files that are mount points: what a walk of
        it meets and does not enter."""
        return frozenset(
            path
            for path in (*(other.path for other in self.inner), *self.files)
            if path != zone.path
            and is_below(path, zone.path)
            and self.owner(os.path.dirname(path)) == zone
        )

    def with_files(self, points: AbstractSet[str]) -> Zones:
        """These zones, if the mount points at `points` are files."""
        if not points:
            return self
        inner = tuple(zone for zone in self.inner if zone.path not in points)
        return replace(self, inner=inner, files=self.files | points)

    def without_stale(
        self, walked: Collection[Root], real_path: Callable[[str], str | None]
    ) -> Zones:
        """These zones without mounts that were reached through a link which is gone, or leads
        elsewhere now: they would keep the folders above them.

        Only the zones in `walked` can say so of their links. `real_path(path)` follows all links;
        it returns None where one of them cannot be read.
        """
        stale: set[str] = set()
        for point in sorted(self.points):
            if nearest_above(point, stale) is None:
                above = self.owner(os.path.dirname(point))
                real = real_path(point) if above in walked else None
                stale.update([point] if real not in (None, self.targets[point]) else ())
            else:
                stale.add(point)
        if not stale:
            return self
        return replace(
            self,
            inner=tuple(zone for zone in self.inner if zone.path not in stale),
            targets={path: real for path, real in self.targets.items() if path not in stale},
            points=self.points - stale,
            stale=self.stale | stale,
        )

    def is_loop(self, path: str, target: str) -> bool:
        """True if a link at `path` leads to a folder that it was reached through (rule 11).

        This follows the words of the paths: the folder that holds the link, and the one that holds
        each link on the way to it, as they really are, must not lie at or below the target.
        """
        above = os.path.dirname(path)
        while True:
            zone = self.owner(above)
            real = above
            if zone is not None and zone.path in self.real:
                real = self.real[zone.path] + above[len(zone.path) :]
            if is_below(real, target) or is_below(above, target):
                return True
            if zone is None or zone not in self.inner:
                return False
            above = os.path.dirname(zone.path)

    def owned_by(self, zone: Root) -> Callable[[str], bool]:
        """A test for paths: True if what `zone` lacks there is its own loss.

        A mount point's folder belongs to the zone around it, what is below does not. A link takes
        with it everything that was reached through it.
        """
        points = {other.path for other in self.inner if other.path != zone.path}
        owners = [other for other in self.all if other == zone or other.path not in self.targets]

        def is_own(path: str) -> bool:
            owner = owner_of(os.path.dirname(path) if path in points else path, owners)
            return owner is None or owner.path == zone.path

        return is_own


class RootLocations:
    """Where roots really live. Links are followed again once a second, and whenever a mount has
    come or gone: readers of files ask for zones again and again."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._last: tuple[float, list[Mount], tuple[Root, ...], dict[str, str]]
        self._last = (-math.inf, [], (), {})

    def of(self, roots: tuple[Root, ...]) -> tuple[list[Mount], dict[str, str]]:
        """The mounts, and the real path of each root by its path."""
        mounts, now = self._files.mounts(), self._files.monotonic()
        since, mounts_before, roots_before, real = self._last
        if now - since > LOCATIONS_FRESH or mounts != mounts_before or roots != roots_before:
            read_link = self._files.read_link
            real = {root.path: locate(root.path, mounts, read_link).path for root in roots}
            self._last = (now, mounts, roots, real)
        return mounts, real


def find_zones(
    roots: tuple[Root, ...],
    locations: RootLocations,
    records: Iterable[RootRecord],
    is_member: Callable[[str, bool], bool],
) -> Zones:
    """All zones now. `records` tell of mounts that were there before: one that is gone is offline
    and not forgotten. `is_member(path, is_directory)` says whether the ignore rules let an entry
    in: a link is no directory to them."""
    mounts, real = locations.of(roots)
    found: dict[str, str] = {}
    for path, target in real.items():
        found |= points_below(path, target, mounts)
    targets: dict[str, str] = {}
    links: set[str] = set()
    present = {mount.point for mount in mounts}
    for record in records:
        if not record.is_inner:
            continue
        if record.target and not record.is_point:
            links.add(record.path)
        if record.target and (record.walked or not record.is_point or record.target in present):
            targets[record.path] = record.target
        elif record.walked and not record.target:
            above = nearest_above(record.path, real) or record.path
            found[record.path] = os.path.join(real.get(above, above), tail(record.path, above))
    for link in links:
        below = points_below(link, targets[link], mounts)
        targets = below | targets
    found |= targets
    inner: dict[str, Root] = {}
    for point in sorted(found):
        owner = owner_of(point, roots)
        if owner is not None and point not in real and is_member(point, point not in links):
            inner[point] = Root(owner.kind, point, owner.category)
    return Zones(
        roots,
        tuple(inner.values()),
        targets,
        frozenset(targets.keys() - links),
        real={path: target for path, target in (real | found).items() if path != target},
    )
