"""Which changes of metadata readers of the inventory should see at once (rule 10)."""

from __future__ import annotations

import os
import sqlite3

_HAS_STATUS = """
SELECT max(version) FROM known INDEXED BY known_version
WHERE version > ? AND (corrupt != 0
    OR (instr(facts, '"status":"') != 0 AND instr(facts, '"status":""') = 0))
"""
"""Facts are text as orjson writes it. Those of models have a `status`, which may be empty."""

_HASHED = """
SELECT folder, name, lower(hex(sha256)), version FROM known INDEXED BY known_version
WHERE version > ? AND sha256 IS NOT NULL
"""

_DIFFERENT_CLAIM = """
SELECT 1 FROM known WHERE folder = ? AND name > ? AND name < ?
    AND instr(facts, '"companion":"sidecar"') != 0
    AND instr(facts, '"sha256":"') != 0 AND instr(facts, ?) = 0
"""


def newest_problem(database: sqlite3.Connection, since: int) -> int:
    """Number of the last change after `since` that gives a file a status; 0 if there is none.

    Only the changes after `since` are looked at, and the sidecars of files that were hashed.
    """
    (newest,) = database.execute(_HAS_STATUS, (since,)).fetchone()
    newest = newest or 0
    for folder, name, digest, version in database.execute(_HASHED, (since,)).fetchall():
        if version > newest:
            stem = os.path.splitext(name)[0]
            bounds = (folder, stem + b".", stem + b".\xff", digest)
            if database.execute(_DIFFERENT_CLAIM, bounds).fetchone():
                newest = version
    return int(newest)
