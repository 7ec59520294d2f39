"""One walk over a root: which directories to ask for, what belongs to it, and what differed.

The worker lists; this room decides. An unchanged directory is dropped as soon as it arrives, so a
walk of a million files holds the columns of what changed and nothing else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from scanner.core.paths import is_below, join
from scanner.core.progress import Progress
from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    Directory,
    Listing,
    Row,
    Snapshot,
    listing_of,
)
from scanner.disk.filesystem import Stat
from scanner.disk.links import link_target
from scanner.walk.rules import WalkRules
from scanner.walk.walked import Walked
from scanner.workers.requests import Answer, Failed, ListDirectory, Listed, Stated, StatPath
from scanner.workers.worker import Worker

VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR))
"""What a directory that has just gone answers, and also some that have not."""

LookAt = Callable[[str, str], Stat | Failed | None]
"""Stats the first path, which lives on the mount of the second; None where that mount does not
answer."""


class Walk:
    """A walk of one root. `rematch` forgets earlier decisions of the ignore rules (rule 9);
    `spared` are the known directories that are not listed while their mtime stays;
    `look_at` stats a path on whatever mount; `leads_to` follows links on local disks."""

    def __init__(
        self,
        worker: Worker,
        top: str,
        snapshot: Snapshot,
        rules: WalkRules,
        *,
        has_inodes: bool,
        rematch: bool,
        look_at: LookAt,
        spared: AbstractSet[str] = frozenset(),
        leads_to: Callable[[str], str] = lambda path: path,
    ) -> None:
        self._worker = worker
        self._top = top
        self._snapshot = snapshot
        self._rules = rules
        self._has_inodes = has_inodes
        self._rematch = rematch
        self._look_at = look_at
        self._spared = frozenset() if rematch else spared
        self._leads_to = leads_to
        self._identities: dict[str, tuple[int, int] | None] = {}
        self._asked: set[str] = set()
        self._doubtful: set[str] = set()
        self._linked: set[str] = set()
        self._walked = Walked(top)
        self._mount_points: dict[str, set[str]] = {}
        """Names at which other mounts begin, by directory."""
        self._on_the_way: dict[str, set[str]] = {}
        """Names that lead to other mounts, by directory: known ones stay whatever is listed."""
        for point in rules.inner:
            folder, name = os.path.split(point)
            self._mount_points.setdefault(folder, set()).add(name)
            while is_below(folder, top):
                self._on_the_way.setdefault(folder, set()).add(name)
                folder, name = os.path.split(folder)

    def run(
        self, stopped: Callable[[], bool], progress: Callable[[Progress], None] | None = None
    ) -> Walked:
        """Walk to the end, or until `stopped`."""
        walked = self._walked
        self._ask(self._top)
        while True:
            answer = self._worker.answer()
            if answer is None:
                if not self._doubtful:
                    return walked
                self._ask_parents_again()
            elif stopped():
                # The worker still has to be emptied of what was asked.
                walked.complete = False
                self._doubtful.clear()
            else:
                self._handle(answer)
                if progress is not None:
                    progress(Progress(walked.directories, walked.files, walked.bytes))

    def _handle(self, answer: Answer) -> None:
        if isinstance(answer, Listed):
            self._take(answer.path, answer.directory)
        elif isinstance(answer, Stated):
            self._compare_mtime(answer.path, answer.stat)
        elif isinstance(answer, Failed):
            self._walked.failed[answer.path] = answer
            if answer.errno in VANISHED and answer.path != self._top:
                self._doubtful.add(answer.path)

    def _ask(self, path: str) -> None:
        self._asked.add(path)
        known = self._snapshot.get(path) if path in self._spared else None
        # What could not be read in it may be readable now, and no mtime tells.
        if known is not None and not known.listing.unstatted and path not in self._linked:
            self._worker.ask(StatPath(path))
        else:
            self._ask_listing(path)

    def _compare_mtime(self, path: str, found: Stat) -> None:
        """Take a known directory for unchanged if its mtime is: the cheap half of rule 5."""
        old = self._snapshot[path]
        if found.is_directory and found.mtime == old.mtime:
            self._count(old.listing)
            self._ask_below(path, old.listing, self._rules.inner_links)
        else:
            self._ask_listing(path)

    def _count(self, listing: Listing) -> None:
        self._walked.directories += 1
        self._walked.files += listing.types.count(FILE)
        self._walked.bytes += listing.bytes

    def _ask_listing(self, path: str) -> None:
        reserved = self._rules.reserved(path)
        old = self._snapshot.get(path)
        skip = reserved if old is None or self._rematch else reserved | old.ignored
        points = frozenset(self._mount_points.get(path, ()))
        self._worker.ask(ListDirectory(path, skip, points))

    def _take(self, path: str, found: Directory) -> None:
        walked = self._walked
        old = self._snapshot.get(path)
        if path in self._linked and self._is_own_ancestor(path, found):
            walked.closed.add(path)
            return
        new = _with_old_columns(self._members_of(path, found, old), old)
        walked.failed.pop(path, None)
        walked.listed.append(path)
        self._count(new.listing)
        if new is old:
            walked.observed.pop(path, None)
        else:
            walked.observed[path] = new
        self._ask_below(path, new.listing, walked.foreign)

    def _ask_below(self, path: str, listing: Listing, foreign: Container[str]) -> None:
        if self._walked.failed:
            self._settle_failures(path, listing)
        if not listing.has_containers:
            return
        rules, asked, is_linked = self._rules, self._asked, path in self._linked
        prefix = join(path, "")
        for name, letter in listing.named_containers():
            child = prefix + name
            if letter == DIRECTORY_LINK:
                self._walked.links.add(child)
            if letter == DIRECTORY_LINK or is_linked:
                self._linked.add(child)
            if letter == DIRECTORY_LINK and not rules.follow_links:
                self._walked.closed.add(child)
            elif not (child in asked or child in foreign or child in rules.inner):
                self._ask(child)

    def _settle_failures(self, path: str, listing: Listing) -> None:
        """What did not answer and is not listed in `path` any more is simply gone."""
        present = dict(listing.named_containers())
        for failed in [p for p in self._walked.failed if os.path.dirname(p) == path]:
            if os.path.basename(failed) not in present:
                del self._walked.failed[failed]

    def _members_of(self, path: str, found: Directory, old: Directory | None) -> Directory:
        """`found` with what does not belong taken out and what could not be read kept."""
        listing = found.listing
        ignored = found.ignored - self._rules.reserved(path)
        known = "" if old is None or self._rematch else old.listing.names
        left_out = self._newly_ignored(path, listing, known)
        kept = _rows_kept((*listing.unstatted, *self._missing_on_the_way(path, listing)), old)
        if left_out or kept:
            rows = [row for row in listing.rows() if row.name not in left_out]
            targets = [pair for pair in listing.targets if pair[0] not in left_out]
            if old is not None:
                targets += [pair for pair in old.listing.targets if pair[0] in kept]
            unstatted = [name for name in listing.unstatted if name not in left_out]
            listing = listing_of([*rows, *kept.values()], targets=targets, unstatted=unstatted)
            ignored |= {
                name + "/" if letter == DIRECTORY else name for name, letter in left_out.items()
            }
        if not self._has_inodes and len(listing.inodes):
            listing = replace(listing, inodes=Listing().inodes)
        if self._rules.inner_links and old is not None:
            listing = self._with_known_zones(path, listing, old)
        if FOREIGN_LINK in listing.types:
            listing = self._with_foreign_links(path, listing, old)
        if not self._has_inodes:
            # Numbers that are made up anew would make every directory look changed every time.
            return replace(found, listing=listing, ignored=ignored, device=0, inode=0)
        if listing is found.listing and ignored == found.ignored:
            return found
        return replace(found, listing=listing, ignored=ignored)

    def _with_known_zones(self, path: str, listing: Listing, old: Directory) -> Listing:
        """A link to another mount stays one as long as it says the same, wherever that mount is:
        unmounted, it leads to an empty folder of this disk, or nowhere."""
        targets, old_targets = dict(listing.targets), dict(old.listing.targets)
        rows = [
            row._replace(type=FOREIGN_LINK)
            if join(path, row.name) in self._rules.inner_links
            and targets.get(row.name) == old_targets.get(row.name)
            else row
            for row in listing.rows()
        ]
        return listing_of(rows, targets=listing.targets, unstatted=listing.unstatted)

    def _with_foreign_links(self, path: str, listing: Listing, old: Directory | None) -> Listing:
        """Say of links to other mounts what they lead to, as far as those mounts answer."""
        targets = dict(listing.targets)
        known = {} if old is None else {row.name: row for row in old.listing.rows()}
        old_targets = {} if old is None else dict(old.listing.targets)
        rows, unstatted = [], list(listing.unstatted)
        for row in listing.rows():
            if row.type != FOREIGN_LINK:
                rows.append(row)
                continue
            child = join(path, row.name)
            target = self._leads_to(link_target(child, targets[row.name]))
            same = old_targets.get(row.name) == targets[row.name]
            seen = self._foreign_row(child, target, row, known.get(row.name) if same else None)
            if seen is None:
                unstatted.append(row.name)
                continue
            rows.append(seen)
            if seen.type == DIRECTORY_LINK and self._rules.follow_links:
                self._walked.foreign[child] = target
        return listing_of(rows, targets=targets.items(), unstatted=unstatted)

    def _foreign_row(self, path: str, target: str, row: Row, before: Row | None) -> Row | None:
        """A link to another mount; as it was before where that does not answer."""
        if before is not None and before.type == DIRECTORY_LINK:
            return row._replace(type=DIRECTORY_LINK)
        found = self._look_at(path, target)
        if isinstance(found, Stat):
            if found.is_directory:
                return row._replace(type=DIRECTORY_LINK)
            return row._replace(type=FILE_LINK, size=found.size, mtime=found.mtime)
        if isinstance(found, Failed) and found.errno == errno.ENOENT:
            return row._replace(type=BROKEN_LINK)
        return before

    def _missing_on_the_way(self, path: str, listing: Listing) -> frozenset[str]:
        """Names that lead to other mounts and are not listed: some systems remove the folder of a
        mount with it. The mount is then offline, which is no proof that anything is gone."""
        if path not in self._on_the_way:
            return frozenset()
        return frozenset(self._on_the_way[path].difference(listing.split_names()))

    def _newly_ignored(self, path: str, listing: Listing, known: str) -> dict[str, str]:
        """Names not seen before that the rules leave out, with their types."""
        if listing.names == known:
            return {}
        names, rules = listing.split_names(), self._rules.rules
        suspects = set(rules.suspects(names))
        if suspects and known:
            suspects.difference_update(known.split("\0"))
        if not suspects:
            return {}
        top = self._rules.rules_top or self._top
        prefix = os.path.relpath(path, top).replace(os.sep, "/") + "/"
        if prefix == "./":
            prefix = ""
        return {
            name: letter
            for name, letter in zip(names, listing.types, strict=True)
            if name in suspects and rules.ignores(prefix + name, letter == DIRECTORY)
        }

    def _ask_parents_again(self) -> None:
        """The parent has the last word on whether a directory that did not answer is gone.

        Something that vanished while we walked answers ENOENT, and so does a stale entry of some
        network mounts that is still there. Listing the parent once more tells which.
        """
        parents = {os.path.dirname(path) for path in self._doubtful}
        self._doubtful.clear()
        for parent in sorted(parents):
            self._ask_listing(parent)

    def _is_own_ancestor(self, path: str, found: Directory) -> bool:
        """Whether `found` is one of the directories that `path` was reached through (rule 11)."""
        if not found.inode:
            return False
        identity = (found.device, found.inode)
        above = os.path.dirname(path)
        while True:
            if self._identity(above) == identity:
                return True
            parent = os.path.dirname(above)
            if parent == above:
                return False
            above = parent

    def _identity(self, path: str) -> tuple[int, int] | None:
        if path not in self._identities:
            known = self._walked.observed.get(path) or self._snapshot.get(path)
            if known and known.inode:
                self._identities[path] = (known.device, known.inode)
            else:
                found = self._look_at(path, path)
                self._identities[path] = (
                    (found.device, found.inode) if isinstance(found, Stat) else None
                )
        return self._identities[path]


def _with_old_columns(new: Directory, old: Directory | None) -> Directory:
    """`new`; with the columns of `old` where it lists the same, and `old` itself where nothing at
    all differs: that goes for nearly every folder of nearly every walk."""
    if old is None or new.listing != old.listing:
        return new
    if (new.mtime, new.inode, new.device, new.ignored) == (
        old.mtime,
        old.inode,
        old.device,
        old.ignored,
    ):
        return old
    return replace(new, listing=old.listing, fingerprints=old.fingerprints)


def _rows_kept(unstatted: Sequence[str], old: Directory | None) -> dict[str, Row]:
    """Last known rows of names that are listed but could not be read (rule 1)."""
    if not unstatted or old is None:
        return {}
    names = frozenset(unstatted)
    return {row.name: row for row in old.listing.rows() if row.name in names}
