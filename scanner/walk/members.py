"""Work out which of the entries that a worker listed belong to their directory. Pure.

A link to another mount can only be looked at by that mount's worker. `foreign_links` names those
that need it, `linked_row` reads the answer, and `with_links` puts it in.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from scanner.core.paths import folders_above, join
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    NO_NAMES,
    Directory,
    Listing,
    Row,
)
from scanner.disk.filesystem import Stat
from scanner.walk.rules import OwnFiles, Rules, WalkRules
from scanner.walk.walked import Unread
from scanner.workers.requests import Failed

Names = Mapping[str, frozenset[str]]
"""Names by the path of the directory that holds them."""

NOTHING: frozenset[str] = frozenset()

NO_LISTING = Listing()


@dataclass(frozen=True, slots=True)
class MemberRules:
    """Everything that decides which entries belong to the directories of one walk."""

    rules: Rules
    top: str
    """The folder that the paths of `rules` are relative to."""
    reserved: Callable[[str], frozenset[str]]
    """As in `WalkRules`."""
    on_the_way: Names
    """Names that lead to other mounts: known ones stay, listed or not."""
    zone_links: Names
    """Links to folders on other mounts."""
    has_inodes: bool
    """False if inode numbers of this mount are not stable."""
    own: OwnFiles
    rematch: bool
    """True if earlier decisions of the ignore rules do not count any more (rule 9)."""


def member_rules(rules: WalkRules, top: str, *, has_inodes: bool, rematch: bool) -> MemberRules:
    """The rules of a walk that starts at `top`."""
    return MemberRules(
        rules.rules,
        rules.rules_top or top,
        rules.reserved,
        _names_on_the_way(rules.inner, top),
        names_by_folder(rules.inner_links),
        has_inodes,
        rules.own,
        rematch,
    )


def names_by_folder(paths: Collection[str]) -> Names:
    """The names of `paths`, by directory."""
    names: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        names.setdefault(folder, set()).add(name)
    return {folder: frozenset(found) for folder, found in names.items()}


def _names_on_the_way(points: Collection[str], top: str) -> Names:
    """The names of `points`, and of the directories between them and `top`."""
    paths: set[str] = set()
    for point in points:
        folders = list(folders_above(point, top))
        paths.update((point, *folders[:-1]) if folders else ())
    return names_by_folder(paths)


def members(
    path: str, listed: Directory, previous: Directory | None, rules: MemberRules
) -> Directory:
    """`listed` without entries that do not belong, and with known ones that could not be read.

    `previous` is the directory at `path` in the snapshot; None if it is new. Links to other mounts
    are still of type `FOREIGN_LINK`.
    """
    left_out = newly_ignored(path, listed.listing, previous, rules)
    unread = unread_names(path, listed.listing, rules)
    if unread and previous is not None:
        unread -= _links_that_are_gone(listed.listing, previous.listing)
    others = _files_of_instances(listed, rules.own)
    if others:
        seen = _seen_names(previous, rules)
        left_out |= {name: type_ for name, type_ in others.items() if name not in seen}
        # One that is known stays as it is: it is not gone, and its changes are no news.
        unread |= others.keys() & seen
    listing = _without(listed.listing, others.keys() | left_out.keys() if others else left_out)
    listing = _with_known(listing, unread, previous, rules.on_the_way.get(path, NOTHING))
    listing = _without_facts_of_own_files(path, listing, rules)
    listing = _with_zone_links(path, listing, previous, rules)
    ignored = (listed.ignored and listed.ignored - rules.reserved(path)) or NO_NAMES
    if left_out:
        ignored |= {name + "/" if type_ == DIRECTORY else name for name, type_ in left_out.items()}
    if not rules.has_inodes:
        # Numbers that are made up anew would make every directory look changed every time.
        if len(listing.inodes):
            listing = replace(listing, inodes=Listing().inodes, hard_links=())
        return replace(listed, listing=listing, ignored=ignored, device=0, inode=0)
    if listing is listed.listing and ignored == listed.ignored:
        return listed
    return replace(listed, listing=listing, ignored=ignored)


def _files_of_instances(listed: Directory, own: OwnFiles) -> dict[str, str]:
    """The files in a directory that an instance of this program writes, this one or another one,
    and the folders that hold only such files; each with its type.

    Two instances that list each other's files would give each other changes for ever.
    """
    names = listed.listing.names
    if listed.ignored:  # most of them are left out already, and identify those that are new
        names = "\0".join((names, *listed.ignored))
    others = own.instance_files(names)
    if not others:
        return {}
    return {
        row.name: row.type
        for row in listed.listing.rows()
        if (row.type == FILE and row.name in others)
        or (row.type == DIRECTORY and f"{row.name}/" in others)
    }


def _seen_names(previous: Directory | None, rules: MemberRules) -> frozenset[str]:
    if previous is None or rules.rematch:
        return NOTHING
    return frozenset(previous.listing.split_names())


def _without_facts_of_own_files(path: str, listing: Listing, rules: MemberRules) -> Listing:
    """`listing` without size and mtime of links to this program's own files (rule 11): each scan
    may write those, and the next scan would report them as modified, for ever."""
    if not listing.targets:
        return listing
    own = {name for name, text in listing.targets if is_own_file(os.path.join(path, text), rules)}
    if not own:
        return listing
    rows = (
        row._replace(size=0, mtime=0) if row.name in own and row.type == FILE_LINK else row
        for row in listing.rows()
    )
    return listing.with_rows(rows)


def is_own_file(path: str, rules: MemberRules) -> bool:
    """True if this program writes the file at `path`."""
    return rules.own.is_own(*os.path.split(path))


def newly_ignored(
    path: str, listing: Listing, previous: Directory | None, rules: MemberRules
) -> dict[str, str]:
    """Types by name of the entries not seen before that the ignore rules leave out."""
    seen = NO_LISTING if previous is None or rules.rematch else previous.listing
    if (listing.names, listing.types) == (seen.names, seen.types):
        return {}
    names = listing.split_names()
    suspects = set(rules.rules.suspects(names))
    if suspects and seen.names:
        # A name that changed its type is another entry to the rules: only folders match `name/`.
        is_folder = dict(zip(names, map(_is_directory, listing.types), strict=True))
        suspects.difference_update(
            name
            for name, letter in zip(seen.split_names(), seen.types, strict=True)
            if is_folder.get(name) == _is_directory(letter)
        )
    if not suspects:
        return {}
    prefix = os.path.relpath(path, rules.top).replace(os.sep, "/") + "/"
    if prefix == "./":
        prefix = ""
    return {
        name: type_
        for name, type_ in zip(names, listing.types, strict=True)
        if name in suspects and rules.rules.ignores(prefix + name, type_ == DIRECTORY)
    }


def _is_directory(letter: str) -> bool:
    return letter == DIRECTORY


def _without(listing: Listing, names: Collection[str]) -> Listing:
    if not names:
        return listing
    rows = (row for row in listing.rows() if row.name not in names)
    targets = (pair for pair in listing.targets if pair[0] not in names)
    return listing.with_rows(rows, targets)


def unread_names(path: str, listing: Listing, rules: MemberRules) -> frozenset[str]:
    """Names that `listing` says nothing of, and that are not proven gone (rule 1).

    These could not be stat-ed, or they lead to other mounts. Some systems remove the folder of a
    mount with it, or something else stands there now: the mount is then offline.
    """
    names = rules.on_the_way.get(path, NOTHING)
    if names:
        names = names.difference(name for name, _ in listing.named_containers())
    return names.union(listing.unstatted) if listing.unstatted else names


def _links_that_are_gone(listing: Listing, previous: Listing) -> set[str]:
    """Links of `previous` that are not listed any more: a mount below the target of one does not
    keep it."""
    if DIRECTORY_LINK not in previous.types:
        return set()
    links = {row.name for row in previous.rows() if row.type == DIRECTORY_LINK}
    return links.difference(listing.split_names(), listing.unstatted)


def _with_known(
    listing: Listing,
    names: Collection[str],
    previous: Directory | None,
    on_the_way: Collection[str],
) -> Listing:
    """`listing` with the last known rows of `names`."""
    if previous is None or not names:
        return listing
    # A link that leads elsewhere now is another link, and stands as it is.
    texts, old_texts = dict(listing.targets), dict(previous.listing.targets)
    kept = [
        row
        for row in previous.listing.rows()
        if row.name in names
        if row.name in on_the_way or texts.get(row.name) in (None, old_texts.get(row.name))
    ]
    if not kept:
        return listing
    kept_names = {row.name for row in kept}
    targets = [pair for pair in previous.listing.targets if pair[0] in kept_names]
    fresh = (row for row in listing.rows() if row.name not in kept_names)
    fresh_targets = (pair for pair in listing.targets if pair[0] not in kept_names)
    merged = listing.with_rows((*fresh, *kept), (*fresh_targets, *targets))
    known_links = kept_names.intersection(previous.listing.hard_links)
    if not known_links:
        return merged
    return replace(merged, hard_links=tuple(sorted(known_links.union(merged.hard_links))))


def unread_of(listing: Listing) -> Unread:
    """The names of `listing` that could not be looked at."""
    names = frozenset(listing.unstatted)
    links = names.intersection(name for name, _ in listing.targets)
    return Unread(links, names - links)


def _with_zone_links(
    path: str, listing: Listing, previous: Directory | None, rules: MemberRules
) -> Listing:
    """`listing` with known links to other mounts, as long as their text is the same.

    Unmounted, such a link leads to an empty folder of this disk, or nowhere.
    """
    names = rules.zone_links.get(path, NOTHING)
    if previous is None or not names:
        return listing
    targets, old_targets = dict(listing.targets), dict(previous.listing.targets)
    same = {name for name in names & targets.keys() if targets[name] == old_targets.get(name)}
    rows = (row._replace(type=FOREIGN_LINK) if row.name in same else row for row in listing.rows())
    return listing.with_rows(rows)


class ForeignLink(NamedTuple):
    """A link to another mount. Paths are absolute."""

    path: str
    target: str
    row: Row
    before: Row | None
    """The row of the same link in the snapshot; None if its text was another one."""

    @property
    def is_known_folder(self) -> bool:
        """True if it led to a folder, which is a zone of its own."""
        return self.before is not None and self.before.type == DIRECTORY_LINK


def foreign_links(
    path: str, listing: Listing, previous: Directory | None, real_path: Callable[[str], str]
) -> list[ForeignLink]:
    """The links of a directory that lead to other mounts. `real_path` follows links on local
    disks."""
    if FOREIGN_LINK not in listing.types:
        return []
    targets = dict(listing.targets)
    old_rows = {} if previous is None else {row.name: row for row in previous.listing.rows()}
    old_targets = {} if previous is None else dict(previous.listing.targets)
    links = []
    for row in listing.rows():
        if row.type == FOREIGN_LINK:
            child, text = join(path, row.name), targets[row.name]
            before = old_rows.get(row.name) if old_targets.get(row.name) == text else None
            links.append(ForeignLink(child, real_path(os.path.join(path, text)), row, before))
    return links


def dead_links(
    path: str, listing: Listing, previous: Directory | None, real_path: Callable[[str], str]
) -> list[ForeignLink]:
    """The links of a directory that led to folders of its own mount, or to nothing, and whose
    targets cannot be reached now. Nobody has said where: an empty folder that should hold the
    target may be that of an unmounted mount."""
    if previous is None or not listing.unstatted:
        return []
    doubted = set(previous.listing.unstatted)
    targets, old_targets = dict(listing.targets), dict(previous.listing.targets)
    return [
        ForeignLink(join(path, row.name), real_path(os.path.join(path, text)), row, row)
        for row in listing.rows()
        if row.name in listing.unstatted
        if row.type == DIRECTORY_LINK or (row.type == BROKEN_LINK and row.name not in doubted)
        if (text := targets.get(row.name)) is not None and text == old_targets.get(row.name)
    ]


def linked_row(link: ForeignLink, answer: Stat | Failed | None) -> Row | None:
    """The row of a link by what its mount answered (None: nothing); as before if that does not
    tell, and None if nothing is known."""
    if link.is_known_folder and answer is None:
        return link.row._replace(type=DIRECTORY_LINK)
    if isinstance(answer, Stat):
        if answer.is_directory:
            return link.row._replace(type=DIRECTORY_LINK)
        return link.row._replace(type=FILE_LINK, size=answer.size, mtime=answer.mtime)
    if isinstance(answer, Failed) and answer.errno == errno.ENOENT:
        return link.row._replace(type=BROKEN_LINK)
    return link.before


def mounted_file_row(
    row: Row, answer: Stat | Failed | None, previous: Directory | None
) -> Row | None:
    """The row of a file that is a mount point, by what its mount answered (None: nothing): as in
    `previous` if that does not tell, and None if nothing is known."""
    if isinstance(answer, Stat):
        return row._replace(size=answer.size, mtime=answer.mtime)
    known = () if previous is None else previous.listing.rows()
    return next((old for old in known if (old.name, old.type) == (row.name, row.type)), None)


def with_links(listing: Listing, rows: Mapping[str, Row | None]) -> Listing:
    """`listing` with `rows`, by name, for what other mounts know of. Links without a row could not
    be looked at, and stand as links to nothing until they can; other entries are left out."""
    unread = [name for name, row in rows.items() if row is None]
    seen = (
        rows.get(row.name, row)
        or (row._replace(type=BROKEN_LINK, size=0) if row.type == FOREIGN_LINK else None)
        for row in listing.rows()
    )
    known = listing.with_rows(row for row in seen if row is not None)
    unstatted = (*(name for name in listing.unstatted if name not in rows), *unread)
    return replace(known, unstatted=tuple(sorted(unstatted)))


def as_known(listed: Directory, previous: Directory | None, rules: MemberRules) -> Directory | None:
    """`previous` if `listed` says the same, and no link and no name that could not be read leaves
    anything to look at; None if not. This is so for nearly every folder that is listed."""
    if rules.rematch or previous is None:
        return None
    if previous.listing.targets or previous.listing.unstatted:
        return None
    return previous if with_old_columns(listed, previous) is previous else None


def with_old_columns(new: Directory, previous: Directory | None) -> Directory:
    """`new`; with the columns of `previous` if it lists the same, and `previous` itself if nothing
    at all differs. This is so for nearly every folder of nearly every walk."""
    if previous is None or new.listing != previous.listing:
        return new
    if (new.mtime, new.ctime, new.inode, new.device, new.ignored) == (
        previous.mtime,
        previous.ctime,
        previous.inode,
        previous.device,
        previous.ignored,
    ):
        return previous
    return replace(new, listing=previous.listing, fingerprints=previous.fingerprints)
