"""The cost of scans, and the interval that fits it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from scanner.walk.cost import INTERVALS, Budget, Choice, ScanCost, choose, verification_duty
from scanner.walk.verification import Terms

BUDGET = Budget(0.02, verify_within=600.0, duty=0.05)
LISTING = ScanCost(1000, 10.0, None)
SPARING = ScanCost(1000, 10.0, 1.0)


def test_scan_that_lists_everything_verifies_everything() -> None:
    terms = Terms(60.0, 600.0, 0.05)
    assert LISTING.unchanged == LISTING.scan(terms) == 10
    assert LISTING.period(terms) == 60
    assert SPARING.listing_everything() == LISTING


def test_scan_that_trusts_mtimes_lists_its_turn() -> None:
    # A tenth of the directories every minute.
    terms = Terms(60.0, 600.0, 0.05)
    assert SPARING.scan(terms) == pytest.approx(1 + 0.1 * 9)
    assert SPARING.period(terms) == pytest.approx(600)
    # A duty of 1 % allows 0.6 s of listing: 60 directories.
    terms = Terms(60.0, 600.0, 0.01)
    assert SPARING.scan(terms) == pytest.approx(1 + 0.06 * 9)
    assert SPARING.period(terms) == pytest.approx(1000 / 60 * 60)


def test_empty_tree_costs_nothing() -> None:
    terms = Terms(5.0, 600.0, 0.05)
    assert ScanCost(0, 1e-9, 0.0).scan(terms) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("cost", "budget", "choice"),
    [
        (ScanCost(10, 0.0, None), BUDGET, Choice(5, 0.05)),
        (ScanCost(10, 0.1, None), BUDGET, Choice(5, 0.05)),
        (ScanCost(10, 0.11, None), BUDGET, Choice(10, 0.05)),
        (ScanCost(10, 0.9, None), BUDGET, Choice(45, 0.05)),
        (ScanCost(10, 0.91, None), BUDGET, Choice(60, 0.05)),
        (LISTING, BUDGET, Choice(600, 0.05)),  # 10 s are 2 % of 500 s
        (LISTING, replace(BUDGET, auto_duty=0.05), Choice(300, 0.05)),
        (LISTING, replace(BUDGET, auto_duty=0.5), Choice(20, 0.05)),
        (ScanCost(1000, 72.0, None), BUDGET, Choice(3600, 0.05)),
        (ScanCost(1000, 72.1, None), BUDGET, Choice(None, 0.05)),
        # Verifying within ten minutes takes 1.5 % of the time (9 s more than a quiet scan).
        (SPARING, BUDGET, Choice(120, 0.01)),
        (SPARING, replace(BUDGET, duty=0.01), Choice(120, 0.01)),
        # With hours to verify in, that is little, and `duty` can stay.
        (SPARING, replace(BUDGET, verify_within=36_000.0), Choice(60, 0.05)),
    ],
)
def test_shortest_interval_that_fits_is_chosen(
    cost: ScanCost, budget: Budget, choice: Choice
) -> None:
    assert choose(cost, budget) == choice


def test_intervals_are_round_and_grow_by_at_most_two() -> None:
    assert (INTERVALS[0], INTERVALS[-1]) == (5, 3600)
    for shorter, longer in pairwise(INTERVALS):
        assert 1.3 <= longer / shorter <= 2
        assert longer % 5 == 0


def test_verification_leaves_half_of_the_time_to_looking_for_changes() -> None:
    assert verification_duty(0.05, auto_duty=0.02) == 0.01
    assert verification_duty(0.001, auto_duty=0.02) == 0.001
