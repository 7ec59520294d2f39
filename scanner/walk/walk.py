"""One walk over a zone: ask the worker for its directories, and keep those that differ.

`members` works out what belongs to a directory. An unchanged directory is dropped as soon as it
arrives, so a walk of a million files holds the columns of what changed and nothing else.
"""

from __future__ import annotations

import errno
import os
from collections import ChainMap
from collections.abc import Callable, Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial

from scanner.core.paths import is_below, join
from scanner.core.progress import Progress
from scanner.core.snapshot import (
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    Directory,
    Listing,
    Row,
    Snapshot,
)
from scanner.disk.filesystem import Stat
from scanner.disk.location import points_below
from scanner.disk.mounts import Mount
from scanner.walk.crossings import Crossings
from scanner.walk.linked import Identities, LinkedFolders
from scanner.walk.looks import Looks, file_points
from scanner.walk.members import (
    NOTHING,
    dead_links,
    foreign_links,
    is_own_file,
    linked_row,
    member_rules,
    members,
    mounted_file_row,
    names_by_folder,
    unread_of,
    with_links,
    with_old_columns,
)
from scanner.walk.rules import WalkRules
from scanner.walk.samples import Samples
from scanner.walk.together import Together, is_stat_enough
from scanner.walk.walked import Walked
from scanner.workers.requests import (
    Answer,
    Failed,
    ListDirectory,
    Listed,
    Stated,
    StatedBelow,
    StatPath,
    Took,
)
from scanner.workers.worker import Worker

VANISHED = frozenset((errno.ENOENT, errno.ENOTDIR))
"""Errors of a directory that has just gone, and also of some that have not."""


class Walk:
    """A walk of one zone.

    `rematch` forgets earlier decisions of the ignore rules (rule 9). `spared` are the known
    directories that are not listed while their times stay. `mounts` are those that can be seen.
    `in_order`: see `scanner.walk.linked`; `together`, folders in one request: see
    `scanner.walk.together`. `device` is that of the folder `top`.
    """

    def __init__(
        self,
        worker: Worker,
        top: str,
        device: int,
        snapshot: Snapshot,
        rules: WalkRules,
        *,
        has_inodes: bool,
        rematch: bool,
        looks: Looks,
        spared: AbstractSet[str],
        mounts: Sequence[Mount],
        in_order: bool,
        together: int = 0,
    ) -> None:
        self._worker = worker
        self._top = top
        self._snapshot = snapshot
        self._rules = rules
        self._rematch = rematch
        self._looks = looks
        self._spared = frozenset() if rematch else spared
        self._mounts = mounts
        lost_links_in = frozenset(map(os.path.dirname, looks.lost_links))
        self._asked: set[str] = set()
        self._doubtful: set[str] = set()
        self._linked = LinkedFolders(rules.max_paths, in_order=in_order)
        self._failed_in: dict[str, set[str]] = {}
        """Directories that have failed, by the one that holds them."""
        self._crossings = Crossings(top, device, snapshot, has_inodes=has_inodes)
        self._walked = Walked(top, doubtful=self._crossings.doubtful)
        self._samples = Samples(self._walked, is_wanted=bool(self._spared))
        known = ChainMap(self._walked.observed, snapshot)
        self._identities = Identities(known, self._linked.paths, looks.at)
        self._member_rules = member_rules(rules, top, has_inodes=has_inodes, rematch=rematch)
        self._mount_points = dict(names_by_folder(rules.inner))
        is_spared = partial(is_stat_enough, self._spared, snapshot, self._linked.paths)
        self._is_spared = partial(is_spared, lost_links_in, self._mount_points)
        most = 0 if in_order else together
        self._together = Together(snapshot, rules.inner, self._is_spared, most)

    def run(
        self, stopped: Callable[[], bool], progress: Callable[[Progress], None] | None = None
    ) -> Walked:
        """Walk to the end, or until `stopped`."""
        try:
            return self._run(stopped, progress)
        finally:
            self._worker.abandon()
            self._walked.helped_seconds = self._worker.helped_seconds

    def _run(
        self, stopped: Callable[[], bool], progress: Callable[[Progress], None] | None
    ) -> Walked:
        walked, linked = self._walked, self._linked
        self._ask(self._top)
        while True:
            answer = self._worker.answer()
            if answer is None:
                if self._doubtful:
                    self._ask_parents_again()
                elif waiting := linked.begin():
                    for path in waiting:
                        self._ask_listing(path)
                else:
                    walked.surplus, walked.is_crowded = linked.told(), linked.is_crowded
                    return walked
            elif stopped() or (linked.is_crowded and not linked.in_order):
                walked.complete, walked.is_crowded = False, linked.is_crowded
                return walked
            else:
                self._handle(answer)
                if progress is not None:
                    progress(Progress(walked.directories, walked.files, walked.bytes))

    def _handle(self, answer: Answer) -> None:
        if not self._linked.in_order:
            self._handle_due(answer)
            return
        for due in self._linked.due(answer):
            self._handle_due(due)

    def _handle_due(self, answer: Answer) -> None:
        if isinstance(answer, Listed):
            self._take(answer.path, answer.directory)
        elif isinstance(answer, Stated):
            self._compare_times(answer.path, answer.stat)
        elif isinstance(answer, StatedBelow):
            for stated in self._together.answers(answer):
                self._handle(stated)
        elif isinstance(answer, Took):
            self._handle(answer.answer)
            self._samples.note(answer)
        elif isinstance(answer, Failed):
            self._walked.failed[answer.path] = answer
            self._failed_in.setdefault(os.path.dirname(answer.path), set()).add(answer.path)
            if answer.errno in VANISHED and answer.path != self._top:
                self._doubtful.add(answer.path)

    def _ask(self, path: str) -> None:
        self._asked.add(path)
        if self._linked.in_order and path in self._linked.paths:
            if self._linked.wait(path):
                self._ask_listing(path)
            return
        if self._is_spared(path):
            self._worker.ask(self._samples.chosen(StatPath(path)))
        else:
            self._ask_listing(path)

    def _compare_times(self, path: str, stat: Stat) -> None:
        """Count a known directory as unchanged if its times are: the cheap half of rule 5."""
        old = self._snapshot[path]
        if stat.is_directory and old.has_same_times(
            stat.mtime, stat.ctime, stat.device, stat.inode
        ):
            if self._linked.in_order:
                self._linked.is_surplus(path, (stat.device, stat.inode))
            self._count(path, stat.device, old.listing)
            self._ask_below(path, old.listing, self._rules.inner_links)
        else:
            self._ask_listing(path)

    def _count(self, path: str, device: int, listing: Listing) -> None:
        self._crossings.pass_by(path, device)
        self._walked.directories += 1
        self._walked.files += listing.types.count(FILE)
        self._walked.bytes += listing.bytes

    def _ask_listing(self, path: str) -> None:
        reserved = self._rules.reserved(path)
        old = self._snapshot.get(path)
        skip = reserved if old is None or self._rematch else reserved | old.ignored
        points = self._mount_points.get(path, NOTHING)
        self._worker.ask(self._samples.chosen(ListDirectory(path, skip, points)))

    def _take(self, path: str, listed: Directory) -> None:
        walked = self._walked
        old = self._snapshot.get(path)
        if (path in self._linked.paths or self._linked.in_order) and (
            self._identities.is_own_ancestor(path, listed)
            or self._linked.is_surplus(path, self._identities.of(path, listed))
        ):
            walked.closed.add(path)
            walked.points = {p: at for p, at in walked.points.items() if not is_below(p, path)}
            return
        belonging = members(path, listed, old, self._member_rules)
        new = with_old_columns(self._with_looked_at(path, belonging, old), old)
        walked.failed.pop(path, None)
        walked.listed.append(path)
        walked.unread.pop(path, None)
        if new.listing.unstatted:
            walked.unread[path] = unread_of(new.listing)
        self._count(path, listed.device, new.listing)
        if new is old:
            walked.observed.pop(path, None)
        else:
            walked.observed[path] = new
            self._crossings.listed(path, listed)
        self._ask_below(path, new.listing, walked.foreign)

    def _ask_below(self, path: str, listing: Listing, foreign: Container[str]) -> None:
        if path in self._failed_in:
            self._settle_failures(path, listing)
        if not listing.has_containers:
            return
        rules, asked, is_linked = self._rules, self._asked, path in self._linked.paths
        prefix = join(path, "")
        together: list[str] | None = [] if self._together.is_used else None
        for name, letter in listing.named_containers():
            child = prefix + name
            if letter == DIRECTORY_LINK:
                self._walked.links.add(child)
            if letter == DIRECTORY_LINK or is_linked:
                self._linked.paths.add(child)
            if letter == DIRECTORY_LINK and not rules.follow_links:
                self._walked.closed.add(child)
            elif not (child in asked or child in foreign or child in rules.inner):
                if letter == DIRECTORY_LINK:
                    self._meet_points(path, child)
                if child in self._walked.points:
                    continue
                if together is not None and self._is_spared(child):
                    together.append(child)
                else:
                    self._ask(child)
        if together:
            asked.update(together)
            for request in self._together.requests(path, together):
                self._worker.ask(self._samples.chosen(request))

    def _meet_points(self, folder: str, link: str) -> None:
        """Note the mounts that begin below the target of a link in `folder`: they are not entered,
        since each is a zone of its own."""
        target = self._looks.real_path(link)
        if is_below(self._looks.real_path(folder), target):
            return  # it leads back: it will not be entered
        for path, point in points_below(link, target, self._mounts).items():
            if path not in self._rules.inner:
                self._walked.points[path] = point
                above, name = os.path.split(path)
                names = self._mount_points.get(above, NOTHING)
                self._mount_points[above] = names | {name}

    def _settle_failures(self, path: str, listing: Listing) -> None:
        """Forget failures of directories that `path` does not list any more: they are gone."""
        present = dict(listing.named_containers())
        for failed in self._failed_in[path]:
            if os.path.basename(failed) not in present:
                self._walked.failed.pop(failed, None)

    def _with_looked_at(self, path: str, new: Directory, old: Directory | None) -> Directory:
        """`new` with what other mounts say of its links to them and of its files on which they are
        mounted, as far as they answer."""
        rows: dict[str, Row | None] = {}
        for link in foreign_links(path, new.listing, old, self._looks.real_path):
            answer = self._looks.at_link(link)
            row = linked_row(link, answer)
            # Only where its mount has just answered: the question may touch it.
            if isinstance(answer, Stat) and is_own_file(link.target, self._member_rules):
                row = link.row._replace(type=FILE_LINK, size=0, mtime=0)
            rows[link.row.name] = row
            is_folder = row is not None and row.type == DIRECTORY_LINK
            if is_folder and self._rules.follow_links:
                self._walked.foreign[link.path] = link.target
        for link in dead_links(path, new.listing, old, self._looks.real_path):
            if link.path not in self._rules.inner_links:
                answer = self._looks.again(link.path, link.target)
                if isinstance(answer, Failed):
                    rows[link.row.name] = linked_row(link, answer)
        for row in file_points(self._mount_points.get(path, NOTHING), new.listing):
            child = join(path, row.name)
            # A point below a link is a file of this folder and no zone.
            answer = self._looks.at(child, self._walked.points.pop(child, child))
            rows[row.name] = mounted_file_row(row, answer, old)
        return replace(new, listing=with_links(new.listing, rows)) if rows else new

    def _ask_parents_again(self) -> None:
        """The parent has the last word on whether a directory that did not answer is gone.

        Something that vanished while we walked answers ENOENT, and so does a stale entry of some
        network mounts that is still there. Listing the parent once more tells which.
        """
        parents = {os.path.dirname(path) for path in self._doubtful}
        self._doubtful.clear()
        for parent in sorted(parents):
            self._ask_listing(parent)
