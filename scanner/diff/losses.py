"""Deletions that look like a lost mount are held back (design rule 2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scanner.core.changes import Change
from scanner.core.memory import LOSS, Hold
from scanner.core.paths import is_below
from scanner.walk.health import Moment

MOUNT = "mount"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a loss is held: more than `fraction` of at least `files` files, or all of them."""

    fraction: float
    files: int


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


def hold_back(
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
