"""Random rounds on real disks; `make rounds` does 2,000 on each kind of mount."""

from __future__ import annotations

import pytest

from tests.support.random_disk import run

SEEDS = [("ext4", 1, 40), ("tmpfs", 2, 40), ("sshfs", 3, 20)]
"""Kind of mount, seed, rounds: 100 in all."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "seed", "rounds"), SEEDS, ids=str)
def test_change_list_inventory_and_tree_are_one_while_mounts_come_and_go(
    kind: str, seed: int, rounds: int
) -> None:
    tally = run(kind, seed, rounds)
    assert tally.rounds >= rounds
    assert tally.lines["deleted"] and tally.moves and tally.events
