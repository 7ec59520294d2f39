"""Roots, and the mounts that begin below them: each is walked, guarded and held by itself.

A `models` folder may have a NAS mounted at `loras`. What is below belongs to the root for every
reader, but health, mount identity, holds and the worker are the mount's own (design rule 2): an
unmounted NAS must neither empty the folder nor stall the local disk around it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scanner.core.memory import RootRecord
from scanner.core.paths import is_below
from scanner.core.roots import Root, owner_of
from scanner.disk.mounts import Mount, mount_of


@dataclass(frozen=True)
class Places:
    """Every place that is walked by itself. A place is a `Root`; an inner one bears the kind of
    the root it lies in."""

    roots: tuple[Root, ...]
    """Those of the settings."""
    inner: tuple[Root, ...] = ()
    """Mounts below them, mounted now or known from before."""

    targets: Mapping[str, str] = field(default_factory=dict)
    """Where those inner places that are links lead, by path."""

    @property
    def all(self) -> tuple[Root, ...]:
        """Roots first."""
        return (*self.roots, *self.inner)

    def root_of(self, place: Root) -> Root:
        """The root of the settings that `place` is or lies in."""
        return owner_of(place.path, self.roots) or place

    def is_inner(self, place: Root) -> bool:
        """Whether `place` lies in a root, and is none."""
        return place in self.inner

    def mount_of(self, place: Root, mounts: Sequence[Mount]) -> Mount:
        """The mount that `place` lives on; of a link the one it leads to."""
        return mount_of(self.targets.get(place.path, place.path), mounts)

    def below(self, place: Root) -> frozenset[str]:
        """Paths of the inner places below `place` that a walk of it meets and does not enter."""
        return frozenset(
            other.path
            for other in self.inner
            if other.path != place.path
            and is_below(other.path, place.path)
            and owner_of(os.path.dirname(other.path), self.all) == place
        )

    def without(self, paths: Collection[str]) -> Places:
        """The places but for the inner ones at `paths`."""
        return replace(self, inner=tuple(place for place in self.inner if place.path not in paths))

    def is_loop(self, path: str, target: str) -> bool:
        """Whether a link at `path` leads to a folder that it was reached through (rule 11).

        By the words of the paths: the folder that holds the link, and the one that holds each
        link on the way to it, as they really are, must not lie at or below the target.
        """
        above = os.path.dirname(path)
        while True:
            place = owner_of(above, self.inner)
            real = above
            if place is not None and place.path in self.targets:
                real = self.targets[place.path] + above[len(place.path) :]
            if is_below(real, target) or is_below(above, target):
                return True
            if place is None:
                return False
            above = os.path.dirname(place.path)

    def owns(self, place: Root, path: str) -> bool:
        """Whether what `place` lacks at `path` is its own loss.

        A mount point's folder belongs to what is around it, what is below does not. A link takes
        with it all that was reached through it.
        """
        if path != place.path and any(path == other.path for other in self.inner):
            path = os.path.dirname(path)
        owner = owner_of(path, [p for p in self.all if p == place or p.path not in self.targets])
        return owner is None or owner.path == place.path


def find_places(
    roots: tuple[Root, ...],
    mounts: Iterable[Mount],
    records: Iterable[RootRecord],
    is_member: Callable[[str, bool], bool],
) -> Places:
    """All places now. `records` tell of mounts that were there before: one that is gone is offline
    and not forgotten. `is_member(path, is_directory)` says whether the ignore rules let an entry
    in: a link is no directory to them."""
    paths = {root.path for root in roots}
    points = [mount.point for mount in mounts]
    targets: dict[str, str] = {}
    for record in records:
        if record.is_inner and record.target:
            targets[record.path] = record.target
        if record.is_inner and (record.walked or record.target):
            points.append(record.path)
    inner: dict[str, Root] = {}
    for point in sorted(set(points)):
        owner = owner_of(point, roots)
        if owner is not None and point not in paths and is_member(point, point not in targets):
            inner[point] = Root(owner.kind, point, owner.category)
    return Places(roots, tuple(inner.values()), targets)
