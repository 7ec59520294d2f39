"""What the program holds does not grow with the number of scans."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.many_scans import LASTING, ManyScans

WARM = 2 * LASTING + 44
"""Scans after which as much is removed as is made, and `move_window` has passed for that."""

PERIOD = 7 * 48
"""Scans after which all that varies here from scan to scan is as it was."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_scans_leave_nothing_behind(tmp_path: Path) -> None:
    """Each scan has some thirty names of its own: one that stayed would be 336 objects or keys."""
    program = ManyScans(tmp_path)
    program.scan(WARM)
    before, names = program.held(), program.world.store.metadata.versions
    program.scan(PERIOD)
    after = program.held()
    assert after.objects - before.objects < PERIOD / 2
    assert after.blocks - before.blocks < 4 * PERIOD, (
        "a name is one block, and each scan has thirty"
    )
    now = program.world.store.metadata.versions.keys()
    assert abs(len(now) - len(names)) < 5
    known = program.world.store.snapshot.keys()
    awaited = set(map(os.path.dirname, program.world.store.memory.gone))
    assert now <= known | awaited
