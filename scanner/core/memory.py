"""The values that one scan leaves to the next besides the snapshot: roots, holds, recent changes.

`scanner.store.state` saves and loads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from scanner.core.mount_identity import MountIdentity
from scanner.core.packs import Pack
from scanner.core.roots import MAX_PATHS, Root, SearchedFolder
from scanner.core.snapshot import Entry

ONLINE = "online"

PARTIAL = "partial"

OFFLINE = "offline"

STALLED = "stalled"

HELD = "held"

MISSING = "missing"

ABSENT = "absent"
"""A file names the root, or ComfyUI makes it in time. Its disk is there, the folder never was."""

NOT_MADE_YET = "ComfyUI has not made it yet"
"""The reason of an absent root that no file names."""

LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Hold:
    """Deletions of one root kept back. `since` in nanoseconds of wall time.

    `started` is in seconds of the monotonic clock in the boot named `boot`, None if that is not
    known. `needs_accept` is True if only a person lifts it.
    """

    root: str
    kind: str
    since: int
    started: float | None
    paths: frozenset[str]
    files: int
    bytes: int
    needs_accept: bool = False
    boot: str = ""


class Gone(NamedTuple):
    """A file that was reported deleted at `time` (nanoseconds), without a partner yet."""

    time: int
    entry: Entry


class Unsettled(NamedTuple):
    """A file that changed in the last scan: size and mtime seen then, and when last reported."""

    size: int
    mtime: int
    reported: int


class UnreachableFolder(NamedTuple):
    """A directory that answers with an error, and since when (nanoseconds)."""

    error: str
    since: int


class AcceptRequest(NamedTuple):
    """A request of `accept`: the paths that a root held at that moment, or a path to drop."""

    id: int
    root: str
    path: str
    paths: frozenset[str]


@dataclass
class RootRecord:
    """State of a zone between scans, and the rules of its last walk.

    `since` in nanoseconds: when its state began.
    """

    id: str
    kind: str
    path: str
    category: str = ""
    state: str = "missing"
    reason: str = ""
    since: int = 0
    walked: bool = False
    is_inner: bool = False
    """True if it is a mount below a root of the settings, and no root itself."""
    target: str = ""
    """Where a root really lived in its last walk; the target, for an inner zone that is a link or
    lies below one; empty for another inner zone, and where it is not known."""
    is_point: bool = False
    """True for a mount point below a link: `target` is the point by its own words."""
    mount_point: str = ""
    mount_identity: MountIdentity | None = None
    """None if it is not known, or if a person accepted another one."""
    filesystem: str = ""
    patterns: tuple[str, ...] | None = None
    """Ignore patterns of the last walk; None if they are not known."""
    follow_links: bool = True
    max_paths: int = MAX_PATHS
    inner_roots: tuple[str, ...] = ()
    named_by: str | None = None
    """As `Root.named_by`."""
    searched: tuple[SearchedFolder, ...] = ()
    """As `Root.searched`."""

    @property
    def root(self) -> Root:
        """The root, or the mount below one, that this record is of."""
        return Root(self.kind, self.path, self.category, self.named_by, self.searched)


def roots_of(records: Iterable[RootRecord]) -> list[Root]:
    """The roots among `records`, without the mounts below them."""
    return [record.root for record in records if not record.is_inner]


@dataclass
class Memory:
    """Everything but the snapshot that a scan knows from earlier scans."""

    roots: dict[str, RootRecord] = field(default_factory=dict)
    gone: dict[str, Gone] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    unsettled: dict[str, Unsettled] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    unreachable: dict[str, UnreachableFolder] = field(default_factory=dict)
    packs: dict[str, Pack] = field(default_factory=dict)
    """Node packs by the path of their folder or file."""

    def could_read(self, id_: str) -> bool:
        """True if the last scan of a zone could read it, or parts of it. A loss hold keeps back
        deletions and nothing else."""
        record = self.roots.get(id_)
        if record is None:
            return False
        return record.state in (ONLINE, PARTIAL) or (record.state == HELD and id_ in self.holds)
