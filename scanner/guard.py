"""Whether a root can be believed: its health before and after a walk, and deletions held back.

Design rule 2: a lost mount deletes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scanner.changes import Change
from scanner.filesystem import Stat
from scanner.mounts import UNKNOWN, Mount, mount_of
from scanner.roots import Root
from scanner.snapshot import is_below
from scanner.walker import Failed

ONLINE = "online"
PARTIAL = "partial"
OFFLINE = "offline"
STALLED = "stalled"
HELD = "held"
MISSING = "missing"

LOSS = "loss"
MOUNT = "mount"


@dataclass(frozen=True, slots=True)
class Health:
    """State of a root at one moment, with the reason in words where it is not online."""

    state: str
    reason: str = ""
    mount: Mount = UNKNOWN
    identity: tuple[int, int] = (0, 0)
    """Device and inode of the root's folder, to tell within one scan that it is the same."""


@dataclass(frozen=True, slots=True)
class KnownMount:
    """The mount that a root was last walked on: its point and `Mount.identity`."""

    point: str
    identity: str


def examine(
    root: Root, answer: Stat | Failed, mounts: Iterable[Mount], known: KnownMount | None
) -> Health:
    """Health of `root` from a stat of its folder and the mount table.

    `known` is None where the root has never been walked: it is then missing, not offline.
    """
    mounts = list(mounts)
    mount = mount_of(root.path, mounts)
    absent = MISSING if known is None else OFFLINE
    # Without an identity (accepted, or lost with the state) the present mount is taken for known.
    if known is not None and known.identity and known.identity != mount.identity:
        if not any(other.point == known.point for other in mounts):
            return Health(OFFLINE, f"{known.point} is not mounted", mount)
        if not isinstance(answer, Failed):
            return Health(HELD, f"{mount.point} now holds another file system", mount)
    if isinstance(answer, Failed):
        return Health(absent, answer.error, mount)
    if not answer.is_directory:
        return Health(absent, "not a folder", mount)
    return Health(ONLINE, "", mount, (answer.device, answer.inode))


def stayed_healthy(before: Health, after: Health) -> bool:
    """Whether a walk between the two can be believed: same folder, same mount, still there."""
    if after.state != ONLINE or before.mount.identity != after.mount.identity:
        return False
    # Elsewhere an inode number may be another one at each look.
    return before.identity == after.identity or not after.mount.has_stable_inodes


@dataclass(frozen=True, slots=True)
class Limits:
    """When a loss is held: more than `fraction` of at least `files` files, or all of them."""

    fraction: float
    files: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Deletions of one root kept back. `since` in nanoseconds of wall time.

    `started` is in seconds of this process's monotonic clock, None where another process began the
    hold. `needs_accept`: only a person lifts it.
    """

    root: str
    kind: str
    since: int
    started: float | None
    paths: frozenset[str]
    files: int
    bytes: int
    needs_accept: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """When a walk started, on both clocks, and the interval between walks in seconds."""

    wall: int
    monotonic: float
    interval: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What one walk of a root did not find any more.

    `known` is how many files the snapshot held; `lists_empty` whether the root's folder now lists
    nothing; `needs_accept` whether only a person may believe an empty one (a remote root).
    """

    root: str
    deletions: Sequence[Change]
    known: int
    lists_empty: bool
    needs_accept: bool = False
    folders: frozenset[str] = frozenset()
    """Folders that lost as much by themselves: looked at on remote mounts, where a server may lose
    a part of what it serves."""


@dataclass(frozen=True, slots=True)
class FolderLoss:
    """What one folder that is still listed held below it, and does not any more: files."""

    path: str
    known: int
    lost: int
    lists_empty: bool


def alarming_folders(losses: Iterable[FolderLoss], limits: Limits) -> frozenset[str]:
    """Folders that lost more than half of at least 20 files, or held files and list nothing."""
    return frozenset(
        loss.path
        for loss in losses
        if loss.lost and _is_alarming(loss.lost, loss.known, loss.lists_empty, limits)
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Paths whose deletion is kept back, and the hold that keeps them."""

    held: frozenset[str]
    hold: Hold | None


def judge(
    loss: Loss,
    hold: Hold | None,
    limits: Limits,
    moment: Moment,
    accepted: frozenset[str] = frozenset(),
) -> Verdict:
    """Decide which deletions of a healthy root are believed (rule 2). Pure.

    A hold is lifted by the next walk at least one interval after it began: what is still gone
    then is believed, what came back is forgotten, and what went since is judged by itself.
    """
    waiting = [change for change in loss.deletions if change.path not in accepted]
    if hold is not None and _is_due(hold, moment):
        waiting = [change for change in waiting if change.path not in hold.paths]
        hold = None
    if not waiting:
        return Verdict(frozenset(), None)
    files = [change for change in waiting if change.type == "file"]
    paths = frozenset(change.path for change in waiting)
    if hold is None or hold.paths.isdisjoint(paths):
        believed = sum(change.type == "file" for change in loss.deletions) - len(files)
        known = loss.known - believed
        if not files:
            return Verdict(frozenset(), None)
        if not _is_alarming(len(files), known, loss.lists_empty, limits):
            waiting = [change for change in waiting if _lies_in(change.path, loss.folders)]
            files = [change for change in files if _lies_in(change.path, loss.folders)]
            paths = frozenset(change.path for change in waiting)
            if not files:
                return Verdict(frozenset(), None)
        hold = Hold(
            loss.root,
            LOSS,
            moment.wall,
            moment.monotonic,
            paths,
            0,
            0,
            loss.needs_accept and loss.lists_empty,
        )
    hold = replace(
        hold,
        paths=hold.paths & paths,
        files=len(files),
        bytes=sum(change.size for change in files),
    )
    return Verdict(paths, hold)


def _lies_in(path: str, folders: frozenset[str]) -> bool:
    return any(is_below(path, folder) for folder in folders)


def _is_alarming(lost: int, known: int, lists_empty: bool, limits: Limits) -> bool:
    if lists_empty:
        return True
    return known >= limits.files and lost > limits.fraction * known


def _is_due(hold: Hold, moment: Moment) -> bool:
    if hold.needs_accept:
        return False
    if hold.started is not None:
        return moment.monotonic - hold.started >= moment.interval
    return abs(moment.wall - hold.since) >= moment.interval * 1e9
