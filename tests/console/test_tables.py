"""Tables on a terminal and in a file: paths can be copied whole, empty columns are left out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from scanner.console.tables import STRETCH, _Cell, _Column, _Note, _print_table

COLUMNS = (
    _Column("size", is_number=True, is_wrapped=False),
    _Column("category"),
    _Column("status"),
    _Column("path"),
)
PATH = "/volume1/ComfyUI/models/checkpoints/a folder/sd_xl_base_1.0 (copy).safetensors"


def printed(rows: Iterable[Sequence[str]], width: int, *, is_terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=is_terminal,
                      color_system=None, legacy_windows=False)  # fmt: skip
    _print_table(console, COLUMNS, ([_Cell(text) for text in row] for row in rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 140])
def test_a_path_is_never_folded_or_cut(width: int) -> None:
    rows = [("1 B", "checkpoints", "broken: its header is cut off after 12 bytes", PATH)]
    lines = printed(rows, width)
    assert sum(PATH in line for line in lines) == 1
    assert all(cell_len(line) <= width for line in lines if PATH not in line)


def test_a_path_without_room_goes_on_a_line_of_its_own() -> None:
    lines = printed([("1 B", "vae", "", PATH), ("22 B", "vae", "", "/short")], 80)
    assert lines == [
        "size  category  path",
        " 1 B  vae",
        f"    {PATH}",
        "22 B  vae       /short",
    ]


def test_other_texts_fold_within_their_column_where_that_makes_room_for_the_path() -> None:
    lines = printed([("1 B", "checkpoints and more", "broken", "/models/vae/short")], 50)
    assert lines == [
        "size  category           status  path",
        " 1 B  checkpoints and    broken  /models/vae/short",
        "      more",
    ]


NOTES = (_Note("broken: its header is cut off"), _Note("shadowed by " + PATH, is_whole=True))


@pytest.mark.parametrize(
    ("is_terminal", "expected"),
    [
        (
            True,
            [
                "status  path",
                "bad     /a",
                "    broken: its header is cut",
                "    off",
                f"    shadowed by {PATH}",
            ],
        ),
        (
            False,
            [
                f"{'status':{len(PATH) + 43}}  path",
                f"broken: its header is cut off, shadowed by {PATH}  /a",
            ],
        ),
    ],
)
def test_notes_follow_their_row_on_a_terminal_and_stand_in_it_elsewhere(
    is_terminal: bool, expected: list[str]
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=30, force_terminal=is_terminal, color_system=None)
    _print_table(
        console, (_Column("status"), _Column("path")), [[_Cell("bad", "", NOTES), _Cell("/a")]]
    )
    assert out.getvalue().splitlines() == expected


def test_a_last_column_of_numbers_is_aligned_to_the_right() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    columns = (_Column("scan"), _Column("calls", is_number=True))
    _print_table(console, columns, [[_Cell("a"), _Cell("7")], [_Cell("b"), _Cell("1,234,567")]])
    assert out.getvalue().splitlines() == [
        "scan      calls",
        "a             7",
        "b     1,234,567",
    ]


def test_a_column_without_texts_is_left_out() -> None:
    assert printed([("1 B", "", "", "/a"), ("2 B", "", "ok", "/b")], 80) == [
        "size  status  path",
        " 1 B          /a",
        " 2 B  ok      /b",
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_column_begins_with_its_first_text(is_terminal: bool) -> None:
    rows = [("1 B", "", "", "/a")] * STRETCH + [("1 B", "", "broken", "/b")]
    lines = printed(rows, 80, is_terminal=is_terminal)
    assert lines[:2] == ["size  path", " 1 B  /a"]
    assert lines[-2:] == ["size  status  path", " 1 B  broken  /b"]


def test_nothing_is_printed_without_rows() -> None:
    assert printed([], 80) == []
    assert printed([("", "", "", "")], 80) == ["path", ""]


def test_a_file_gets_a_line_for_each_row() -> None:
    rows = [("1 B", "checkpoints", "broken: " + "long " * 40, PATH)] * 3
    lines = printed(rows, 100_000, is_terminal=False)
    assert len(lines) == 4
    assert all(line.endswith(f"  {PATH}") for line in lines[1:])


@given(
    st.lists(st.tuples(*[st.text(max_size=60)] * 3, st.text("ab /", min_size=1)), min_size=1),
    st.integers(20, 160),
)
def test_every_path_stands_whole_on_one_line(
    rows: list[tuple[str, str, str, str]], width: int
) -> None:
    rows = [(*row[:3], f"<{row[3]}>") for row in rows]
    lines = printed(rows, width)
    found = [line for line in lines if line.endswith(">") and "<" in line]
    assert len(found) >= len(rows)
    assert all(any(line.endswith(row[3]) for line in found) for row in rows)


def test_numbers_in_the_last_column_stand_below_each_other() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    columns = (_Column("name"), _Column("size", is_number=True))
    _print_table(console, columns, [[_Cell("a"), _Cell("20.4 MB")], [_Cell("b"), _Cell("7.2 MB")]])
    assert out.getvalue().splitlines() == [
        "name     size",
        "a     20.4 MB",
        "b      7.2 MB",
    ]
