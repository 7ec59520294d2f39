"""The place in the verification goes from one process to the next, whatever the clocks do."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode

import pytest

from scanner.core.turns import Clocks, Learned, Turns, learned_from, learned_text, seconds_between

LEARNED = Learned(
    {"models:/m\udcff": Turns(990.0, 0.5, {"/m/\udce9": 400.0, "/m/a": 400.0, "/m/b": 990.0})},
    {"custom_nodes:/n": {"/n/pack": 700.0}},
    {"/m/\udcfe": 980.0},
    frozenset({"models:/m\udcff"}),
)
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
    learned = learned_from(learned_text(LEARNED, SAVED), now)
    (turns,) = learned.turns.values()
    assert now.monotonic - turns.planned == pytest.approx(10.0 + passed)
    ages = {path: now.monotonic - at for path, at in turns.listed.items()}
    assert ages == pytest.approx(
        {"/m/\udce9": 600.0 + passed, "/m/a": 600.0 + passed, "/m/b": 10.0 + passed}
    )
    assert list(turns.listed) == ["/m/\udce9", "/m/a", "/m/b"]
    assert now.monotonic - learned.packs["custom_nodes:/n"]["/n/pack"] == pytest.approx(
        300.0 + passed
    )
    assert now.monotonic - learned.doubts["/m/\udcfe"] == pytest.approx(20.0 + passed)
    assert learned.crowded == LEARNED.crowded


def test_turns_are_not_believed_after_both_clocks_went_back() -> None:
    """Nothing is known of the time between: it may be days."""
    assert learned_from(learned_text(LEARNED, SAVED), Clocks(100.0, 20.0)) == Learned()


@pytest.mark.parametrize("text", [None, "", "x", "eJw=", "é", learned_text(LEARNED, SAVED)[:-4]])
def test_damaged_turns_are_none(text: str | None) -> None:
    assert learned_from(text, SAVED) == Learned()


def test_nothing_learned_is_no_text() -> None:
    assert learned_text(Learned(), SAVED) == ""


def test_text_of_an_older_version_is_none() -> None:
    """It did not say what was racy, and not of which scan it was."""
    plain = {"now": [5_000.0, 1_000.0], "zones": {"models:/m": [990.0, 0.5, [[400.0, ["/m/a"]]]]}}
    text = b64encode(zlib.compress(json.dumps(plain).encode())).decode()
    assert learned_from(text, SAVED) == Learned()


@pytest.mark.parametrize(
    ("now", "passed"),
    [
        (Clocks(5_300.0, 1_300.0, "one"), 300.0),
        (Clocks(5_300.0, 20.0, "two"), 300.0),
        # Both the wall clock was set back, and the system started anew and ran for longer.
        (Clocks(100.0, 1_300.0, "two"), 1_300.0),
        (Clocks(100.0, 20.0, "two"), 20.0),
        (Clocks(100.0, 20.0, ""), -980.0),
    ],
)
def test_time_since_the_system_started_has_passed_at_least(now: Clocks, passed: float) -> None:
    assert seconds_between(SAVED._replace(boot="one"), now) == passed
