"""Membership: the entries that belong to each root, now and in the last scan (rules 9 and 11)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

from scanner.core.memory import RootRecord
from scanner.core.paths import is_below
from scanner.core.roots import MAX_PATHS, Root, owner_of
from scanner.core.snapshot import Snapshot
from scanner.walk.ignore import Edges, IgnoreRules
from scanner.walk.walked import Walked
from scanner.walk.zones import Zones


def _agrees(path: str, is_directory: bool) -> bool:
    return True


def _owns(path: str) -> bool:
    return True


@dataclass(frozen=True)
class Scope:
    """The entries whose differences are changes.

    `agrees(path, is_directory)` is False for entries that came or went only by new rules for
    ignoring or for links (rule 9). `owns(path)` is False for entries of another zone.
    """

    agrees: Callable[[str, bool], bool] = _agrees
    owns: Callable[[str], bool] = _owns


class OwnFiles(Protocol):
    """The names of this program's own files."""

    @property
    def own_prefixes(self) -> frozenset[str]:
        """How every name starts that `is_own` may be true of."""
        ...

    def is_own(self, folder: str, name: str) -> bool:
        """True if `name` in `folder` is one of them."""
        ...

    def instance_files(self, names: str) -> frozenset[str]:
        """Those of `names` (joined by NUL, of one folder) that any instance of it writes; a folder
        of such files with a slash at its end."""
        ...


class NoOwnFiles:
    """A program that writes nothing."""

    own_prefixes: frozenset[str] = frozenset()

    def is_own(self, folder: str, name: str) -> bool:
        return False

    def instance_files(self, names: str) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True)
class ListingRules:
    """Roots with the rules that say what is listed below them."""

    roots: tuple[Root, ...]
    rules: Mapping[str, IgnoreRules]
    """By root id."""
    follow_links: bool
    max_paths: int = MAX_PATHS

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
        """True if an entry at `path` would be listed. Folders that are roots are no entries."""
        owner = owner_of(path, self.roots)
        if owner is None or owner.path == path:
            return False
        relative = os.path.relpath(path, owner.path).replace(os.sep, "/")
        return not self.rules[owner.id].ignores_within(relative, is_directory)

    def root_id(self, path: str) -> str:
        """Id of the root that owns `path`; empty if none does."""
        owner = owner_of(path, self.roots)
        return owner.id if owner else ""

    def of_walk(self, zone: Root, zones: Zones, own: OwnFiles) -> WalkRules:
        """The rules of a walk of `zone`."""
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
            frozenset(path for path in below if not zones.is_link(path)),
            frozenset(path for path in below if zones.is_link(path)),
            own,
            self.max_paths,
        )

    def sign(self, root: Root, record: RootRecord) -> None:
        """Keep in `record` what the next scan needs to see that rules have changed."""
        record.patterns = self.rules[root.id].patterns
        record.follow_links, record.max_paths = self.follow_links, self.max_paths
        record.inner_roots = self.inner_roots(root)

    def differs_from(self, root: Root, record: RootRecord) -> bool:
        """True if the rules of `root` are not those that `record` was walked with.

        After a rebuild from the inventory the old rules are not known and taken for unchanged.
        """
        return record.patterns is not None and (
            record.patterns != self.rules[root.id].patterns
            or record.follow_links != self.follow_links
            or record.max_paths != self.max_paths
            or record.inner_roots != self.inner_roots(root)
        )


def has_new_rules(
    zone: Root,
    root: Root,
    rules: ListingRules,
    records: Mapping[str, RootRecord],
    snapshot: Snapshot,
) -> bool:
    """True if a walk of `zone`, which lies in `root`, must match all names anew (rule 9).

    `records` are those of the last scan, by id.
    """
    record = records.get(root.id)
    if record is None or not record.walked:
        # A root that is new inside or around others takes over what they have walked.
        return root.path in snapshot
    if record.patterns is None:
        return True  # the inventory does not say by which rules it was made
    own = records.get(zone.id)
    if own is None or not own.walked:
        own = record
    return own.patterns is None or rules.differs_from(root, own)


def rules_of(records: Iterable[RootRecord]) -> ListingRules:
    """The rules of an earlier scan."""
    walked = [record for record in records if record.walked and not record.is_inner]
    return ListingRules(
        tuple(record.root for record in walked),
        {record.id: IgnoreRules(record.patterns or ()) for record in walked},
        all(record.follow_links for record in walked),
        min((record.max_paths for record in walked), default=MAX_PATHS),
    )


def scope_of(
    zone: Root, zones: Zones, walked: Walked, new: ListingRules, old: ListingRules | None
) -> Scope:
    """The entries of `zone` whose differences are changes.

    `old` is None if no rule changed: then these are all entries but those of other zones.
    """

    owns = zones.owned_by(zone)
    if old is None:
        is_alone = not zones.below(zone) and not new.inner_roots(zone)
        return Scope() if is_alone else Scope(owns=owns)
    followed = (old.follow_links, old.max_paths), (new.follow_links, new.max_paths)
    links_changed = followed[0] != followed[1]

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
    """Decides which paths below a root are left out."""

    def suspects(self, names: Iterable[str]) -> list[str]:
        """The `names` of a folder that `ignores` may be true of. The others need no question."""
        ...

    def ignores(self, relative: str, is_directory: bool) -> bool:
        """True if the entry at `relative` (forward slashes, below the root) is left out."""
        ...


class WalkRules(NamedTuple):
    """The rules of one walk: rules 9 and 11.

    `reserved` gives, for a directory, the names that are never listed there (folders that are
    roots of their own; this program's own files), directories with a trailing slash.
    """

    rules: Rules
    reserved: Callable[[str], frozenset[str]]
    follow_links: bool = True
    rules_top: str = ""
    """The folder that the rules' paths are relative to, if the walk starts further down."""
    inner: frozenset[str] = frozenset()
    """Paths below at which other mounts begin: listed, but not entered."""
    inner_links: frozenset[str] = frozenset()
    """Links below to folders on other mounts: likewise."""
    own: OwnFiles = NoOwnFiles()
    max_paths: int = MAX_PATHS
    """How many paths to one folder are entered."""
