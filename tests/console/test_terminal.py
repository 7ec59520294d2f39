"""Sentences on a terminal: broken between words, and never within a command."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scanner.commands.doctor.facts import NOTE, Fact
from scanner.commands.doctor.page import _print_fact
from scanner.console.log import _terminal_handler
from scanner.console.terminal import folded, print_folded

COMMAND = "comfy-inventory accept '/mnt/my nas/models' --output /home/me/comfy_inventory.json"
HINT = f"/mnt/my nas/models is offline. If it will not come back: {COMMAND}"
QUOTED = "2 files are only likely to be the same: `comfy-inventory hash` reads them and proves it."


def test_a_command_is_never_folded() -> None:
    assert folded(HINT, 40) == (
        f"/mnt/my nas/models is offline. If it\nwill not come back:\n{COMMAND}"
    )
    assert folded(QUOTED, 50) == (
        "2 files are only likely to be the same:\n`comfy-inventory hash` reads them and proves it."
    )
    assert folded(HINT, len(HINT)) == HINT


@given(st.lists(st.text("ab-/", min_size=1, max_size=12)), st.integers(12, 30))
def test_lines_fit_and_hold_the_same_words(words: list[str], width: int) -> None:
    lines = folded(" ".join(words), width).split("\n")
    assert all(len(line) <= width for line in lines)
    assert " ".join(lines).split() == words


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_terminal_gets_lines(is_terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=is_terminal, color_system=None)
    print_folded(console, f"\x1b{HINT}")
    lines = out.getvalue().splitlines()
    assert lines[-1] == COMMAND if is_terminal else len(lines) == 1
    assert "\x1b" not in out.getvalue()


def test_log_on_a_terminal_gives_a_command_a_line_of_its_own() -> None:
    out = io.StringIO()
    handler = _terminal_handler(None)
    handler.console = Console(file=out, width=60, force_terminal=True, color_system=None)  # type: ignore[attr-defined]
    for text, arguments in ((HINT, ()), ("%s\x1b", (HINT,)), ("plain %d", (7,))):
        handler.emit(logging.LogRecord("x", logging.WARNING, "", 1, text, arguments, None))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines.count(f"    {COMMAND}") == 1
    assert lines.count(f"    {COMMAND}\\x1b") == 1
    assert " ".join(out.getvalue().split()).count("If it will not come back:") == 2
    assert "plain 7" in lines[-1]


def test_a_fact_of_doctor_breaks_no_word_and_no_path() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, color_system=None)
    _print_fact(console, Fact(NOTE, "A change right after a scan may be seen late here."))
    _print_fact(console, Fact(NOTE, "3 files in 1 folder, 2 ms a scan: /mnt/my nas/models"))
    assert out.getvalue().splitlines() == [
        "  !  A change right after a scan may be",
        "     seen late here.",
        "  !  3 files in 1 folder, 2 ms a scan: /mnt/my nas/models",
    ]
