"""Files that were gone and have come back. What was read of them is in doubt."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Container, Mapping

from scanner.core.memory import Gone
from scanner.core.paths import join
from scanner.core.snapshot import Directory
from scanner.store.metadata_rows import DROP_DAMAGED, KEY, SUM

_DOUBT = """
UPDATE known SET claimed = :fingerprint, identity = coalesce(identity, x''), version = :version
WHERE folder = :folder AND name = :name AND claimed IS NULL
"""


def returned(
    directories: Mapping[str, Directory],
    snapshot: Mapping[str, Directory],
    known: Container[str],
    gone: Mapping[str, Gone],
) -> dict[str, bytes]:
    """Entries that `directories` list and `snapshot` does not, in folders whose metadata is
    `known`, with the fingerprint that they had when they were `gone`."""
    found: dict[str, bytes] = {}
    for folder, new in directories.items():
        if folder not in known:
            continue
        old = snapshot.get(folder)
        names = set(new.listing.split_names())
        names.difference_update(() if old is None else old.listing.split_names())
        for name in names:
            path = join(folder, name)
            last = gone.get(path)
            found[path] = b"" if last is None else last.entry.fingerprint
    return found


def doubt_rows(database: sqlite3.Connection, files: Mapping[str, bytes]) -> set[str]:
    """Doubt the metadata of `files`, by path with their fingerprints. Call inside a transaction of
    `database`. Returns the paths that have any."""
    folders: defaultdict[bytes, dict[bytes, str]] = defaultdict(dict)
    for path in files:
        folder, name = map(os.fsencode, os.path.split(path))
        folders[folder][name] = path
    doubted: set[str] = set()
    for folder, names in folders.items():
        rows = database.execute("SELECT name, version FROM known WHERE folder = ?", (folder,))
        for name, version in rows.fetchall():
            if name in names:
                key = {
                    "folder": folder,
                    "name": name,
                    "fingerprint": files[names[name]],
                    "version": max(version + 1, time.time_ns()),
                }
                if database.execute(DROP_DAMAGED, key).rowcount:
                    continue
                database.execute(_DOUBT, key)
                database.execute(f"{SUM} {KEY}", key)
                doubted.add(names[name])
    return doubted
