"""The place in the verification goes from one process to the next, whatever the clocks do."""

from __future__ import annotations

import pytest

from scanner.core.turns import Clocks, Turns, turns_from, turns_text

TURNS = {"models:/m\udcff": Turns(990.0, 0.5, {"/m/\udce9": 400.0, "/m/a": 400.0, "/m/b": 990.0})}
SAVED = Clocks(wall=5_000.0, monotonic=1_000.0)


@pytest.mark.parametrize(
    ("now", "passed"),
    [
        (Clocks(5_300.0, 1_300.0), 300.0),
        (Clocks(5_300.0, 20.0), 300.0),  # the system has started anew
        (Clocks(100.0, 1_300.0), 300.0),  # the wall clock was set back
        (Clocks(5_900.0, 1_300.0), 900.0),  # asleep, or set ahead
    ],
)
def test_ages_are_kept(now: Clocks, passed: float) -> None:
    (turns,) = turns_from(turns_text(TURNS, SAVED), now).values()
    assert now.monotonic - turns.planned == pytest.approx(10.0 + passed)
    ages = {path: now.monotonic - at for path, at in turns.listed.items()}
    assert ages == pytest.approx(
        {"/m/\udce9": 600.0 + passed, "/m/a": 600.0 + passed, "/m/b": 10.0 + passed}
    )
    assert list(turns.listed) == ["/m/\udce9", "/m/a", "/m/b"]


def test_turns_are_not_believed_after_both_clocks_went_back() -> None:
    """Nothing is known of the time between: it may be days."""
    assert turns_from(turns_text(TURNS, SAVED), Clocks(100.0, 20.0)) == {}


@pytest.mark.parametrize("text", [None, "", "x", "eJw=", "é", turns_text({}, SAVED)[:-4]])
def test_damaged_turns_are_none(text: str | None) -> None:
    assert turns_from(text, SAVED) == {}
