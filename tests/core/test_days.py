"""Days of UTC, and which of years of them are kept."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from scanner.core.days import DAILY, EARLIEST, day_of, is_day, kept_days


@pytest.fixture
def in_zone(zone: str) -> Iterator[None]:
    """That zone is the local one, and is no longer afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e9)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no tzset")
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
@pytest.mark.usefixtures("in_zone")
def test_a_day_is_one_of_utc() -> None:
    assert day_of(_ns("2026-11-28T00:00:00")) == "2026-11-28"
    assert day_of(_ns("2026-11-28T23:59:59")) == "2026-11-28"


@pytest.mark.parametrize("ns", [0, -1, _ns("2023-12-31T23:59:59"), 10**30, -(10**30)])
def test_a_clock_that_was_never_set_names_no_day(ns: int) -> None:
    assert day_of(ns) == ""


def test_the_first_day_counts() -> None:
    assert day_of(_ns(f"{EARLIEST}T00:00:00")) == EARLIEST


@pytest.mark.parametrize(
    "text", ["2026-11-31", "2026-1-1", "20261128", "2026-W01-1", "", "2026-11-28T00", "heute"]
)
def test_other_texts_are_no_day(text: str) -> None:
    assert not is_day(text)


def _days(count: int, first: str = "2026-01-01") -> list[str]:
    start = date.fromisoformat(first)
    return [(start + timedelta(number)).isoformat() for number in range(count)]


def test_two_years_of_days_are_kept_and_before_them_the_last_of_each_week() -> None:
    days = _days(DAILY[0] + 21)
    kept = kept_days(dict.fromkeys(days, 1), 10**6)
    assert kept >= set(days[21:])
    older = sorted(kept - set(days[21:]))
    # 2026-01-01 is a Thursday: Sundays end weeks, and the last of these days ends the fourth.
    assert older == ["2026-01-04", "2026-01-11", "2026-01-18", "2026-01-21"]


def test_ten_years_stay_in_the_size_that_they_may_have() -> None:
    days = _days(3650)
    for size in (2_000, 8_000, 30_000):
        kept = kept_days(dict.fromkeys(days, size), 8_000_000)
        assert len(kept) * size <= 8_000_000
        assert max(kept) == days[-1]
        assert set(days[-DAILY[-1] :]) <= kept


def test_days_that_are_too_large_by_themselves_leave_the_newest() -> None:
    assert kept_days({"2026-01-01": 10, "2026-01-02": 10}, 5) == {"2026-01-02"}
    assert kept_days({}, 5) == frozenset()


def test_a_clock_that_ran_ahead_costs_no_day() -> None:
    """Days are counted: one of the year 2090 does not make those of today old."""
    days = [*_days(100), "2090-01-01"]
    assert kept_days(dict.fromkeys(days, 1), 10**6) == set(days)
