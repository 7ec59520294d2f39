"""Sizes and counts in words."""

import pytest

from scanner.core.wording import count_text, size_text


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
