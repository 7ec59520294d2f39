"""How often a lane is scanned, from what its scans take."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from scanner.service.pace import Pace
from scanner.walk.cost import INTERVALS, verification_duty

DUTY = 0.02
FIRST = 30.0


def paced(*seconds: float) -> Pace:
    """A pace after a first scan, which does not count, and scans that took so long."""
    pace = Pace(DUTY, FIRST)
    assert not pace.measured(1000.0)
    for each in seconds:
        pace.measured(each)
    return pace


def intervals(pace: Pace, scans: Iterable[float]) -> list[float]:
    """The intervals after each of further scans."""
    told = []
    for seconds in scans:
        before = pace.every
        assert pace.measured(seconds) == (pace.every != before)
        told.append(pace.every)
    return told


@pytest.mark.parametrize(
    ("seconds", "every"),
    [
        (0.0, 5),  # never more often
        (0.05, 5),
        (0.09, 10),  # 5 s would be at its limit
        (0.9, 45),
        (0.91, 60),
        (20.0, 1200),
        (72.0, 3600),
        (500.0, 3600),  # never less often
    ],
)
def test_interval_follows_from_what_a_scan_takes(seconds: float, every: float) -> None:
    assert paced(seconds, seconds).every == every


def test_nothing_is_concluded_from_one_scan() -> None:
    assert paced().every == FIRST
    assert paced(60.0).every == FIRST
    assert paced(0.01).every == FIRST


def test_single_slow_scan_changes_nothing() -> None:
    pace = paced(0.5, 0.5)
    assert pace.every == FIRST
    assert intervals(pace, [50.0, 0.5, 0.5, 50.0, 0.5]) == [FIRST] * 5


def test_scans_that_stay_slow_come_less_often_and_again_when_they_are_fast() -> None:
    pace = paced(0.5, 0.5)
    assert intervals(pace, [5.0, 5.0, 5.0]) == [30, 300, 300]
    assert intervals(pace, [0.5, 0.5, 0.5]) == [300, 45, 45]


def test_interval_at_its_limit_does_not_come_and_go() -> None:
    """0.6 s are the limit of 30 s."""
    pace = paced(0.59, 0.59)
    assert pace.every == 30
    assert intervals(pace, [0.61] * 3 + [0.59] * 3 + [0.61] * 3)[2:] == [45] * 7
    # Well below it, it comes back.
    assert intervals(pace, [0.44] * 3)[-1] == 30


@pytest.mark.parametrize("quiet", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("pressing", [0.001, 0.5])
def test_share_is_kept_where_verification_grows_with_the_interval(
    quiet: float, pressing: float
) -> None:
    """A scan verifies `pressing` of the interval that came before it, up to its own duty."""
    duty = verification_duty(0.05, DUTY)
    pace = paced()
    for _ in range(50):
        pace.measured(quiet + min(pressing, duty) * pace.every)
    assert pace.typical <= DUTY * pace.every
    # And it is no longer than need be: steps, and the spare, are worth a factor of three.
    assert pace.every <= max(INTERVALS[0], 3 * quiet / (DUTY * 0.75 - min(pressing, duty)))
