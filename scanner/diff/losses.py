"""Deletions that look like a lost mount are held back (rule 2). Pure.

A hold lives through three questions. `is_due`: may the hold be lifted now? `suspicious`: which of
the deletions that no hold covers look like a lost mount? `covering`: which hold keeps them?
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from scanner.core.changes import Change
from scanner.core.memory import LOSS, Hold
from scanner.core.paths import is_below
from scanner.core.snapshot import FILE, TYPE_NAMES
from scanner.walk.health import Moment


@dataclass(frozen=True, slots=True)
class Limits:
    """A loss is held if it takes more than `fraction` (0 to 1) of at least `files` files, or all
    of them."""

    fraction: float
    files: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Deletions that one walk of a zone found.

    `root` is the zone's id. `known` counts the files that the snapshot held there. `lists_empty` is
    True if the zone's folder now lists nothing. `needs_accept` is True if only a person may confirm
    that the zone is empty (a remote root).
    """

    root: str
    deletions: Sequence[Change]
    known: int
    lists_empty: bool
    needs_accept: bool = False
    folders: frozenset[str] = frozenset()
    """Folders that lost as much by themselves. They count on remote mounts only, where a server may
    lose a part of its files."""


@dataclass(frozen=True, slots=True)
class FolderLoss:
    """Files below one folder that is still listed: how many were `known`, how many are `lost`."""

    path: str
    known: int
    lost: int
    lists_empty: bool


def alarming_folders(losses: Iterable[FolderLoss], limits: Limits) -> frozenset[str]:
    """Folders that lost more than the limits allow, or held files and now list nothing."""
    return frozenset(
        loss.path
        for loss in losses
        if loss.lost and _is_alarming(loss.lost, loss.known, loss.lists_empty, limits)
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Paths whose deletion is kept back, and the hold that keeps them."""

    held: frozenset[str] = frozenset()
    hold: Hold | None = None


def hold_back(
    loss: Loss,
    hold: Hold | None,
    limits: Limits,
    moment: Moment,
    accepted: frozenset[str] = frozenset(),
) -> Verdict:
    """Decide which deletions of a healthy zone are confirmed, and which are kept back.

    A hold is lifted by the next walk at least one interval after it began. That walk confirms what
    is still gone, forgets what came back, and judges by itself what went since. `accepted` are
    paths whose deletion a person confirmed.
    """
    confirmed = accepted
    if hold is not None:
        hold = in_this_boot(hold, moment)
    if hold is not None and is_due(hold, moment):
        confirmed, hold = accepted | hold.paths, None
    if hold is not None and hold.paths.isdisjoint(paths_of(loss.deletions) - confirmed):
        hold = None  # all that it held came back, or was accepted
    waiting = {change.path: change for change in loss.deletions if change.path not in confirmed}
    paths = frozenset(waiting) if hold is not None else suspicious(loss, limits, confirmed)
    if not paths:
        return Verdict()
    held = [waiting[path] for path in paths]
    return Verdict(paths, covering(held, hold or _new_hold(loss, paths, moment)))


def is_due(hold: Hold, moment: Moment) -> bool:
    """True if a walk at `moment` lifts `hold`: one interval has passed, and no person is needed.

    The wall clock has no say: it may be set.
    """
    if hold.needs_accept or hold.started is None:
        return False
    return moment.monotonic - hold.started >= moment.interval


def in_this_boot(hold: Hold, moment: Moment) -> Hold:
    """`hold`, counted anew from `moment` if it was begun in another boot.

    Where boots have no names, a clock that has gone back shows another boot. One that has risen
    never shows too much: since that boot at least as much time has passed.
    """
    if hold.started is None or hold.boot != moment.boot or moment.monotonic < hold.started:
        return replace(hold, started=moment.monotonic, boot=moment.boot)
    return hold


def suspicious(
    loss: Loss, limits: Limits, confirmed: Collection[str] = frozenset()
) -> frozenset[str]:
    """Paths of the deletions that look like a lost mount; empty if no file is among them.

    These are all of them if the zone lost too much, else those in folders that did. Deletions in
    `confirmed` do not count, neither as lost nor as known before.
    """
    waiting = [change for change in loss.deletions if change.path not in confirmed]
    lost = _count_files(waiting)
    if not lost:
        return frozenset()
    known = loss.known - (_count_files(loss.deletions) - lost)
    if not _is_alarming(lost, known, loss.lists_empty, limits):
        waiting = [change for change in waiting if _lies_in(change.path, loss.folders)]
    return paths_of(waiting) if _count_files(waiting) else frozenset()


def covering(deletions: Collection[Change], hold: Hold) -> Hold:
    """`hold` as it is while it keeps back `deletions`.

    It counts their files and bytes. Its paths are those that are still gone: a deletion that came
    later is kept back too, but is not part of what the end of the hold confirms.
    """
    files = [change for change in deletions if _is_file(change)]
    return replace(
        hold,
        paths=hold.paths & paths_of(deletions),
        files=len(files),
        bytes=sum(change.size for change in files),
    )


def paths_of(deletions: Iterable[Change]) -> frozenset[str]:
    """Their paths."""
    return frozenset(change.path for change in deletions)


def _new_hold(loss: Loss, paths: frozenset[str], moment: Moment) -> Hold:
    needs_accept = loss.needs_accept and loss.lists_empty
    return Hold(
        loss.root, LOSS, moment.wall, moment.monotonic, paths, 0, 0, needs_accept, moment.boot
    )


def _is_file(change: Change) -> bool:
    return change.type == TYPE_NAMES[FILE]


def _count_files(deletions: Iterable[Change]) -> int:
    return sum(_is_file(change) for change in deletions)


def _lies_in(path: str, folders: frozenset[str]) -> bool:
    return any(is_below(path, folder) for folder in folders)


def _is_alarming(lost: int, known: int, lists_empty: bool, limits: Limits) -> bool:
    if lists_empty:
        return True
    return known >= limits.files and lost > limits.fraction * known
