"""What a listing says of itself: sums and containers, however it came to be."""

from __future__ import annotations

import pickle
from array import array
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scanner.core.snapshot import (
    CONTAINERS,
    NO_NAMES,
    TYPE_NAMES,
    Directory,
    Listing,
    Row,
    listing_of,
    narrow,
    narrow_from,
)
from scanner.disk.filesystem import DiskFileSystem
from scanner.store.rows import directory_from, directory_row
from scanner.workers.helper import directory_of, plain_of
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


@given(st.lists(st.one_of(st.integers(0, 2**33), st.integers(-(2**40), 2**63 - 1)), max_size=6))
def test_columns_hold_the_same_numbers_in_either_width(numbers: list[int]) -> None:
    column = narrow(numbers, "q")
    assert column.itemsize == (4 if all(0 <= number < 2**32 for number in numbers) else 8)
    assert column.tolist() == numbers
    assert column == array("q", numbers)
    assert narrow_from(column.tobytes(), len(numbers), "q") == column
    assert narrow_from(array("q", numbers).tobytes(), len(numbers), "q") == column


def test_directories_share_what_nearly_all_of_them_have(tmp_path: Path) -> None:
    """An empty set of its own is 216 bytes, and a text of as many letters as files."""
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        for number in range(40):
            (tmp_path / folder / f"{folder}{number}").touch()
    disk = DiskFileSystem()
    one, other = (disk.list_directory(str(tmp_path / name)) for name in ("one", "other"))
    loaded = directory_from((*directory_row("/one", one),))
    sent = directory_of(plain_of("/one", one))
    assert one == loaded == sent
    for directory in (one, other, loaded, sent, Directory(Listing())):
        assert directory.ignored is NO_NAMES
    for directory in (one, other, loaded, sent):
        assert directory.listing.types is one.listing.types
        assert directory.listing.sizes.itemsize == 4
