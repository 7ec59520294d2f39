"""Tell of names that are listed and cannot be looked at, under `unreachable` (rule 1). Pure."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from scanner.core.paths import join
from scanner.core.snapshot import Snapshot
from scanner.walk.absence import HIDDEN, Absence
from scanner.walk.zone_scan import Collected

MOST_NAMES = 8
"""Names of one folder that are told one by one. Of a folder with more, the folder is told."""

AWAY = "what it links to cannot be reached"

UNREAD = "it could not be looked at"
"""Its folder was listed, its stat failed, and a moment later the name can be looked at."""

GHOST = "its folder lists it, and there is no such name"


def names_to_look_for(collected: Collected) -> list[str]:
    """The names, a few of each folder, whose error has to be asked for. Links have been read."""
    return [
        join(folder, name)
        for _, walked in collected.walks
        for folder, names in walked.unread.items()
        for name in sorted(names.others)[:MOST_NAMES]
    ]


def with_unread(
    absences: Mapping[str, Absence], collected: Collected, snapshot: Snapshot
) -> Collected:
    """`collected`, with the names that cannot be looked at, and the links that are not followed
    because too many lead to the same folder, among what failed.

    A name that vanished between listing and stat is none of them, unless that happens again.
    """
    scans = dict(collected.scans)
    for scan, walked in collected.walks:
        failed: dict[str, str] = {}
        for folder, names in walked.unread.items():
            old = snapshot.get(folder)
            before: Collection[str] = old.listing.unstatted if old is not None else ()
            failed.update((join(folder, name), AWAY) for name in names.links)
            errors: defaultdict[str, list[str]] = defaultdict(list)
            for name in sorted(names.others)[:MOST_NAMES]:
                error = _error(absences[join(folder, name)], is_known=name in before)
                if error:
                    errors[error].append(name)
            count = len(names.others)
            if errors and count > MOST_NAMES:
                failed[folder] = f"{count} names in it: {next(iter(errors))}"
            else:
                failed.update((join(folder, n), e) for e, found in errors.items() for n in found)
        failed |= walked.surplus
        new = {path: error for path, error in failed.items() if path not in walked.failed}
        scans[scan.zone] = replace(scan, walked=walked.with_failures(new))
    return replace(collected, scans=scans)


def _error(absence: Absence, *, is_known: bool) -> str:
    if absence.is_gone:
        return GHOST if is_known else ""
    return absence.error if absence.error not in ("", HIDDEN) else UNREAD


def is_away(path: str, snapshot: Snapshot) -> bool:
    """True if there is a link at `path` whose target could not be reached."""
    folder, name = os.path.split(path)
    directory = snapshot.get(folder)
    if directory is None or name not in directory.listing.unstatted:
        return False
    return name in dict(directory.listing.targets)
