"""Keep entries that a listing leaves out and that are still there (rule 1). Pure."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from scanner.core.paths import nearest_above
from scanner.core.snapshot import Snapshot
from scanner.diff.compare import Delta, keep_entries
from scanner.walk.absence import Absence
from scanner.walk.zone_scan import Collected


def missing_names(delta: Delta, snapshot: Snapshot, dropped: Collection[str]) -> list[str]:
    """The deleted entries whose folder is still there, sorted: one lstat of each proves the
    absence of all that lies below it.

    Left out are those that a person `dropped`, those that are ignored now, and names that only
    changed their case or their Unicode form: some file systems find the new name by the old one.
    """
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for path in delta.deleted.keys() - delta.created.keys() - set(dropped):
        folder = os.path.dirname(path)
        if folder not in delta.gone:
            by_folder[folder].append(path)
    missing: list[str] = []
    for folder, paths in by_folder.items():
        old, new = snapshot.get(folder), delta.directories.get(folder)
        before = set(old.listing.split_names()) if old is not None else set()
        now = new.listing.split_names() if new is not None else ()
        alike = {_alike(name) for name in now if name not in before}
        ignored = {name.rstrip("/") for name in new.ignored} if new is not None else ()
        for path in paths:
            name = os.path.basename(path)
            if name not in ignored and _alike(name) not in alike:
                missing.append(path)
    return sorted(missing)


def keep_present(
    absences: Mapping[str, Absence], delta: Delta, snapshot: Snapshot, collected: Collected
) -> Collected:
    """Take out of `delta` what is not proven gone. `collected`, with the folders whose listings
    cannot be believed among those that failed."""
    present = {path for path, absence in absences.items() if not absence.is_gone}
    if not present:
        return collected
    paths = {*delta.deleted, *delta.gone}
    kept = {path for path in paths if nearest_above(path, present) is not None}
    keep_entries(delta, snapshot, kept)
    errors = {os.path.dirname(p): absences[p].error for p in present if absences[p].error}
    scans = dict(collected.scans)
    for folder, error in errors.items():
        scan = collected.scan_of(folder)
        if scan is not None and scan.walked is not None:
            scan = scans[scan.zone]
            assert scan.walked is not None
            scans[scan.zone] = replace(scan, walked=scan.walked.with_failures({folder: error}))
    return replace(collected, scans=scans)


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
