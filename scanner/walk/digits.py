"""Digits of mtimes below a second count only where the mount holds them still (rule 4).

Some servers make them up at each stat, or hand on those of one replica or another. Then every file
looks modified in every scan.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from scanner.core.paths import join
from scanner.core.serialize import printable
from scanner.core.snapshot import FILE, Directory, Row, Snapshot
from scanner.disk.filesystem import Stat
from scanner.settings.values import ALL_DIGITS, SECONDS, MtimeDigits
from scanner.walk.members import with_old_columns
from scanner.walk.walked import Walked

log = logging.getLogger(__name__)

SECOND = 10**9
"""Nanoseconds."""

PROBES = 3
"""Files that are stat-ed twice before the digits of a mount are believed or not."""

StatFiles = Callable[[Sequence[str]], Mapping[str, Stat]]
"""Stats files, as far as they answer."""


def settle_digits(
    walked: Walked, snapshot: Snapshot, digits: MtimeDigits, stat: StatFiles
) -> Walked:
    """`walked`; where the mount does not hold digits below a second still, files whose mtime
    differs in nothing else have the last known one.

    `stat` is called only if there are such files.
    """
    if digits == ALL_DIGITS:
        return walked
    suspects: dict[str, dict[str, Row]] = {}
    for folder, new in walked.observed.items():
        old = snapshot.get(folder)
        found = dict(_suspects(old, new)) if old is not None else {}
        if found:
            suspects[folder] = found
    if not suspects or (digits != SECONDS and _are_steady(walked, suspects, stat)):
        return walked
    observed = dict(walked.observed)
    for folder, rows in suspects.items():
        kept = _with_rows(observed[folder], snapshot[folder], rows)
        if kept is snapshot[folder]:
            del observed[folder]
        else:
            observed[folder] = kept
    return replace(walked, observed=observed)


def _suspects(old: Directory, new: Directory) -> Iterator[tuple[str, Row]]:
    """The last known rows of the files of a folder that differ in nothing but digits of the mtime
    below a second, by name."""
    if old.listing.mtimes == new.listing.mtimes:
        return
    known = {row.name: row for row in old.listing.rows()}
    for row in new.listing.rows():
        last = known.get(row.name)
        if last is None or row.type != FILE or row.mtime == last.mtime:
            continue
        if row.mtime // SECOND == last.mtime // SECOND and row == last._replace(mtime=row.mtime):
            yield row.name, last


def _are_steady(walked: Walked, suspects: Mapping[str, Mapping[str, Row]], stat: StatFiles) -> bool:
    """True if two stats of some of the files show the same mtime."""
    paths = sorted(join(folder, name) for folder, rows in suspects.items() for name in rows)
    probes = paths[:: max(1, len(paths) // PROBES)][:PROBES]
    first, second = stat(probes), stat(probes)
    for path in probes:
        if path not in first or path not in second:
            continue
        one, other = first[path], second[path]
        is_same_second = one.mtime // SECOND == other.mtime // SECOND
        if one.mtime != other.mtime and is_same_second and one.size == other.size:
            log.debug(
                "%s: digits of mtimes below a second do not hold still here",
                printable(os.path.dirname(path)),
            )
            return False
    return True


def _with_rows(new: Directory, old: Directory, rows: Mapping[str, Row]) -> Directory:
    listing = new.listing.with_rows(rows.get(row.name, row) for row in new.listing.rows())
    return with_old_columns(replace(new, listing=listing), old)
