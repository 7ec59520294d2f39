"""Random rounds on real disks; `make rounds` does 2,000 on each kind of mount."""

from __future__ import annotations

import pytest

from scanner.walk import verification
from tests.support.random_disk import run
from tests.support.witness import Seen, Witness

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


@pytest.fixture
def is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing everything is never cheap, as on a machine under load."""
    monkeypatch.setattr(verification, "CHEAP", 0.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("is_spread")
def test_files_written_in_place_are_read_again_within_the_period() -> None:
    assert run("ext4", 1, 40).lines["modified"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("is_spread")
def test_files_that_are_never_read_again_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification.Verification, "_due", never_due)
    with pytest.raises(AssertionError, match="not read again in time"):
        run("ext4", 1, 40)


def never_due(self: verification.Verification, *_: object) -> frozenset[str]:
    self.period = 600.0
    return frozenset()


OLD, LINKED, NEW = "/nas/c", "/link/c", "/new"
SHOWN = ("file", 1, 5)


@pytest.mark.parametrize(("content", "is_true"), [(b"6", True), (b"1", True), (b"7", False)])
def test_unseen_content_counts_by_every_path_to_the_file(content: bytes, is_true: bool) -> None:
    """The share gives no inodes and whole seconds: 6 became 1 there, and nobody could see it. The
    link came later; the fingerprint of the file it leads to counts for it."""
    witness = Witness()
    witness.look({OLD: SHOWN}, {OLD: Seen(b"6", real=OLD)})
    both = {OLD: SHOWN, LINKED: SHOWN}
    now = Seen(b"1", real=OLD)
    witness.look(both, {OLD: now, LINKED: now})
    line = {"kind": "moved", "type": "file", "from": LINKED, "path": NEW}
    after = {NEW: ("file", 1, 9)}
    files = {NEW: Seen(content, real=NEW)}
    if is_true:
        assert witness.check([line], "/", both, after, files) == 1
    else:
        with pytest.raises(AssertionError, match="not the same content"):
            witness.check([line], "/", both, after, files)
