"""Racy until settled (rule 4)."""

from __future__ import annotations

import pytest

from scanner.core.racy import Racy


@pytest.mark.parametrize(
    ("changed", "looked", "at_rest"),
    [
        ((), 0.0, True),  # never seen to change
        ((10.0,), 10.0, False),  # the scan that saw the change proves nothing
        ((10.0,), 12.9, False),
        ((10.0,), 13.0, True),
        ((10.0, 12.0), 13.0, False),  # it changed again
        ((10.0, 12.0), 15.0, True),
    ],
)
def test_racy_until_a_scan_starts_the_settle_time_later(
    changed: tuple[float, ...], looked: float, at_rest: bool
) -> None:
    racy = Racy()
    for started in changed:
        racy.changed(["/a"], started)
    assert racy.settle("/a", looked, 3.0) is at_rest
    assert ("/a" in racy) is not at_rest
    assert racy.paths == (set() if at_rest else {"/a"})


def test_what_is_gone_is_forgotten() -> None:
    racy = Racy()
    racy.changed(["/a", "/b", "/c"], 0.0)
    racy.forget("/a")
    racy.forget("/never")
    racy.keep_only(["/c", "/other"])
    assert racy.paths == {"/c"}
