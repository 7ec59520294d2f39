"""Drop names that are listed and cannot be looked at, because a person asked (rule 1). Pure."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from scanner.core.paths import is_below, join, nearest_above
from scanner.core.snapshot import (
    BROKEN_LINK,
    FILE_LINK,
    Entry,
    Snapshot,
    directories_below,
    entries_of,
)
from scanner.diff.unread import MOST_NAMES
from scanner.walk.walked import Walked


class DroppedNames(NamedTuple):
    """The effect of a request to drop a name, or all such names of one folder."""

    walked: Walked
    """The walk, without what was last known of them. They stay among its `unread`."""
    deleted: dict[str, Entry]
    """Their entries and all below them, by path."""
    answer: str


def drop_names(
    path: str, walked: Walked, snapshot: Snapshot, points: Collection[str] = ()
) -> DroppedNames | None:
    """Drop the name at `path`, or those in the folder at `path` if they are told as one.

    A link is an entry as long as its folder lists it (rule 11): it loses size and mtime of its
    target. Names on the way to the mounts at `points` stay as they are. None if the walk could
    look at everything there.
    """
    folder, names = _unread_at(path, walked)
    if not names:
        return None
    known = snapshot.get(folder)
    entries = [] if known is None else list(entries_of(folder, known))
    links = {join(folder, name) for name in walked.unread[folder].links & names}
    paths = {join(folder, name) for name in names} - links
    paths = {each for each in paths if not any(is_below(point, each) for point in points)}
    deleted = {entry.path: entry for entry in entries if entry.path in paths}
    for top in list(deleted):
        for below, directory in directories_below(snapshot, top):
            deleted.update((entry.path, entry) for entry in entries_of(below, directory))
    facts = {entry.path for entry in entries if entry.path in links and entry.type == FILE_LINK}
    if deleted or facts:
        walked = _without(walked, folder, snapshot, deleted.keys(), facts)
    if points and not deleted:
        answer = f"{path}: nothing was deleted, for what is on {', '.join(sorted(points))} stays"
    else:
        answer = _answer(path, len(deleted), len(facts), bool(links))
    return DroppedNames(walked, deleted, answer)


def _unread_at(path: str, walked: Walked) -> tuple[str, frozenset[str]]:
    """The folder of the names that are told as `path`, and these."""
    own = walked.unread.get(path)
    if own is not None and len(own.others) > MOST_NAMES:
        return path, own.others
    folder, name = os.path.split(path)
    unread = walked.unread.get(folder)
    if unread is None or name not in unread.links | unread.others:
        return folder, frozenset()
    return folder, frozenset((name,))


def _without(
    walked: Walked,
    folder: str,
    snapshot: Snapshot,
    deleted: Collection[str],
    facts: Collection[str],
) -> Walked:
    """`walked` without the rows of `deleted`, and without size and mtime of the links `facts`."""
    seen = walked.observed.get(folder) or snapshot[folder]
    rows = (
        row._replace(type=BROKEN_LINK, size=0, mtime=0) if join(folder, row.name) in facts else row
        for row in seen.listing.rows()
        if join(folder, row.name) not in deleted
    )
    observed = {
        path: found
        for path, found in walked.observed.items()
        if nearest_above(path, deleted) is None
    }
    observed[folder] = replace(seen, listing=seen.listing.with_rows(rows), fingerprints=b"")
    return replace(walked, observed=observed)


def _answer(path: str, deleted: int, facts: int, is_link: bool) -> str:
    stays = "it stays among what is unreachable until it can be looked at"
    if facts:
        return f"{path}: size and time of what this link leads to dropped; {stays}"
    if is_link:
        return f"{path}: nothing is known of what this link leads to; {stays}"
    if not deleted:
        return f"{path}: nothing is known of it, so nothing was deleted; {stays}"
    entries = "1 entry" if deleted == 1 else f"{deleted} entries"
    return f"{path}: {entries} deleted; {stays}"
