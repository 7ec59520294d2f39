"""What a listing says of itself: sums and containers, however it came to be."""

from __future__ import annotations

import pickle
from array import array
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scanner.core.snapshot import CONTAINERS, TYPE_NAMES, Listing, Row, listing_of
from tests.support.names import names

ROWS = st.lists(
    st.builds(
        Row,
        names,
        st.sampled_from(sorted(TYPE_NAMES)),
        st.integers(0, 2**40),
        st.integers(0, 2**62),
        st.just(0),
    ),
    max_size=8,
    unique_by=lambda row: row.name,
)


@given(ROWS)
def test_containers_and_bytes_are_those_of_the_rows(rows: list[Row]) -> None:
    listing = listing_of(rows)
    expected = [(row.name, row.type) for row in sorted(rows) if row.type in CONTAINERS]
    assert list(listing.named_containers()) == expected
    assert listing.has_containers is bool(expected)
    assert listing.bytes == listing.bytes == sum(row.size for row in rows)


def test_bytes_belong_to_one_listing_and_are_no_part_of_what_is_compared() -> None:
    asked, fresh = (Listing("a", "f", array("q", [3]), array("q", [1])) for _ in range(2))
    assert asked.bytes == 3
    assert asked == fresh
    assert replace(asked, sizes=array("q", [4])).bytes == 4
    assert pickle.loads(pickle.dumps(asked)) == fresh
