"""Sizes and counts in words."""

from __future__ import annotations

import shlex
import sys

import pytest

from scanner.core.wording import accept_command, accept_hint, count_text, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_449, "1.4 kB"),
        (6_938_041_144, "6.9 GB"),
        (1_500_000_000_000, "1.5 TB"),
        (12_345_678_000_000_000, "12345.7 TB"),
    ],
)
def test_sizes_in_powers_of_1000(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(("size", "text"), [(999_999, "1.0 MB"), (999_950_000_000, "1.0 TB")])
def test_size_is_never_a_thousand_of_a_unit(size: int, text: str) -> None:
    assert size_text(size) == text


def test_counts_agree_with_their_nouns() -> None:
    assert [count_text(n, "file") for n in (0, 1, 2, 1204)] == [
        "0 files",
        "1 file",
        "2 files",
        "1,204 files",
    ]


def test_command_of_accept_is_quoted_for_the_shell() -> None:
    words = ["comfy-inventory", "accept", "/my models/é'$x", "--output", "/o ut/i.json"]
    if sys.platform != "win32":
        assert shlex.split(accept_command(words[2], words[4])) == words


@pytest.mark.parametrize(
    ("state", "start"),
    [
        ("held", "To accept what is there now: "),
        ("offline", "If it will not come back: "),
        ("stalled", None),
        ("online", None),
    ],
)
def test_hint_names_the_command_where_a_person_may_act(state: str, start: str | None) -> None:
    assert accept_hint(state, "the command") == (f"{start}the command" if start else "")
