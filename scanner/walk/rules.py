"""What belongs to which root, by the rules of now and of the last scan (rules 9 and 11)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from scanner.core.memory import RootRecord
from scanner.core.paths import is_below
from scanner.core.roots import Root, owner_of
from scanner.walk.ignore import Edges, IgnoreRules
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones


def _always(path: str, is_directory: bool) -> bool:
    return True


@dataclass(frozen=True)
class Scope:
    """Where old and new membership rules agree (rule 9), so that differences are changes.

    `agrees(path, is_directory)` is False for entries that only a change of the ignore rules or of
    link following brought or took; `owns(path, is_directory)` is False for what another root owns.
    """

    agrees: Callable[[str, bool], bool] = _always
    owns: Callable[[str, bool], bool] = _always


class OwnFiles(Protocol):
    """Which files are this program's own."""

    @property
    def own_prefixes(self) -> frozenset[str]:
        """How every name starts that `is_own` may be true of."""
        ...

    def is_own(self, folder: str, name: str) -> bool:
        """Whether `name` in `folder` is one of them."""
        ...


@dataclass(frozen=True)
class ListingRules:
    """Roots with the rules that say what is listed below them."""

    roots: tuple[Root, ...]
    rules: Mapping[str, IgnoreRules]
    """By root id."""
    follow_links: bool

    def inner_roots(self, root: Root) -> tuple[str, ...]:
        """Paths of the roots that lie below `root` and own their paths, sorted."""
        return tuple(
            sorted(
                other.path
                for other in self.roots
                if other.path != root.path and is_below(other.path, root.path)
            )
        )

    def has(self, path: str, is_directory: bool) -> bool:
        """Whether an entry at `path` would be listed. Folders that are roots are no entries."""
        owner = owner_of(path, self.roots)
        if owner is None or owner.path == path:
            return False
        relative = os.path.relpath(path, owner.path).replace(os.sep, "/")
        return not self.rules[owner.id].ignores_within(relative, is_directory)

    def of_walk(self, zone: Root, zones: Zones, own: OwnFiles) -> WalkRules:
        """What a walk of `zone` leaves out."""
        root = zones.root_of(zone)
        below = zones.below(zone)
        inner: dict[str, set[str]] = {}
        for other in self.inner_roots(root):
            folder, name = os.path.split(other)
            inner.setdefault(folder, set()).update((name + "/", name))  # it may be a link
        reserved = {folder: frozenset(names) for folder, names in inner.items()}
        nothing: frozenset[str] = frozenset()
        return WalkRules(
            _RulesAndOwnFiles(root.path, self.rules[root.id], own),
            lambda path: reserved.get(path, nothing),
            self.follow_links,
            root.path,
            frozenset(path for path in below if path not in zones.targets),
            frozenset(path for path in below if path in zones.targets),
        )

    def sign(self, root: Root, record: RootRecord) -> None:
        """Keep in `record` what the next scan needs to see that rules have changed."""
        record.patterns = self.rules[root.id].patterns
        record.follow_links = self.follow_links
        record.inner_roots = self.inner_roots(root)

    def differs_from(self, root: Root, record: RootRecord) -> bool:
        """Whether the rules of `root` are not those that `record` was walked with.

        After a rebuild from the inventory the old rules are not known and taken for unchanged.
        """
        return record.patterns is not None and (
            record.patterns != self.rules[root.id].patterns
            or record.follow_links != self.follow_links
            or record.inner_roots != self.inner_roots(root)
        )


def rules_of(records: Iterable[RootRecord]) -> ListingRules:
    """The members of an earlier scan."""
    walked = [record for record in records if record.walked and not record.is_inner]
    return ListingRules(
        tuple(record.root for record in walked),
        {record.id: IgnoreRules(record.patterns or ()) for record in walked},
        all(record.follow_links for record in walked),
    )


def scope_of(
    zone: Root, zones: Zones, walked: Walked, new: ListingRules, old: ListingRules | None
) -> Scope:
    """Which differences below `zone` are changes.

    `old` is None where no rule changed: then all are, but for what belongs to other zones.
    """

    def owns(path: str, is_directory: bool) -> bool:
        return zones.owns(zone, path)

    if old is None:
        is_alone = not zones.below(zone) and not new.inner_roots(zone)
        return Scope() if is_alone else Scope(owns=owns)
    links_changed = old.follow_links != new.follow_links

    def agrees(path: str, is_directory: bool) -> bool:
        if links_changed and any(path != link and is_below(path, link) for link in walked.links):
            return False
        return old.has(path, is_directory) and new.has(path, is_directory)

    return Scope(agrees, owns)


@dataclass(frozen=True)
class _RulesAndOwnFiles:
    top: str
    rules: IgnoreRules
    own: OwnFiles

    def suspects(self, names: Iterable[str]) -> list[str]:
        return self._edges.suspects(names)

    @cached_property
    def _edges(self) -> Edges:
        edges = self.rules.edges
        return Edges(edges.prefixes | self.own.own_prefixes, edges.suffixes)

    def ignores(self, relative: str, is_directory: bool) -> bool:
        if self.rules.ignores(relative, is_directory):
            return True
        folder, name = os.path.split(os.path.join(self.top, *relative.split("/")))
        return not is_directory and self.own.is_own(folder, name)


class Rules(Protocol):
    """Which paths below a root are left out."""

    def suspects(self, names: Iterable[str]) -> list[str]:
        """Those of the `names` of a folder that `ignores` may be true of: the others need not be
        asked about one by one."""
        ...

    def ignores(self, relative: str, is_directory: bool) -> bool:
        """Whether the entry at `relative` (forward slashes, below the root) is left out."""
        ...


class WalkRules(NamedTuple):
    """What belongs to a root: design rules 9 and 11.

    `reserved` gives, for a directory, the names that are never listed there (folders that are
    roots of their own; this program's own files), directories with a trailing slash.
    """

    rules: Rules
    reserved: Callable[[str], frozenset[str]]
    follow_links: bool = True
    rules_top: str = ""
    """What the rules' paths are relative to, where the walk starts further down."""
    inner: frozenset[str] = frozenset()
    """Paths below at which other mounts begin: listed, but not entered."""
    inner_links: frozenset[str] = frozenset()
    """Links below to folders on other mounts: likewise."""
