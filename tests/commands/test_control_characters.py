"""Names with control characters forge no line of a log or a page, and move no cursor."""

from __future__ import annotations

import logging
import re
import shutil
import sys

import pytest

from scanner.console.log import _Printable
from scanner.console.tables import _Cell, _Column, _print_table
from scanner.console.terminal import print_indented, printed
from tests.support.machine import CHECKOUT, Machine, write

FORGED = "2026-11-27 00:00:00 INFO deleted everything"
EVIL = f"ev\x1b]0;PWN\x07\n{FORGED}"


def assert_harmless(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text), text
    assert not any(line.startswith(FORGED) for line in text.splitlines()), text


@pytest.mark.skipif(sys.platform == "win32", reason="no such names on Windows")
def test_a_root_with_such_a_name(scanned: Machine) -> None:
    root = scanned.work / EVIL
    write(root / "a.safetensors", "a" * 100)
    options = ("--extra", EVIL, "--hold-wait", "0s")
    steps = [scanned.run("scan", *options), scanned.run("doctor", EVIL)]
    shutil.rmtree(root)
    steps.append(scanned.run("scan", *options, expect=3))
    steps.append(scanned.run("status", expect=3))
    steps.append(scanned.run("roots", *options[:2]))
    steps.append(scanned.run("accept", EVIL))
    steps.append(scanned.run("accept", f"{EVIL}/nothing", expect=2))
    steps.append(scanned.run("tune", EVIL, expect=2))
    for step in steps:
        assert "PWN" in step.stdout + step.stderr, step
        assert_harmless(step.stdout + step.stderr)
    assert "is offline" in steps[2].stderr


def test_the_log_escapes_what_a_message_holds() -> None:
    record = logging.LogRecord("scanner", logging.INFO, "", 0, "%s is away", (EVIL,), None)
    line = _Printable("%(levelname)s %(message)s").format(record)
    assert line.startswith("INFO ev\\x1b]0;PWN\\x07\\n2026")
    assert_harmless(line)


def test_pages_escape_what_they_print(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    console = Console(width=200)
    console.print(printed(f"a {EVIL}"))
    print_indented(console, f"b {EVIL}")
    _print_table(console, [_Column("name")], iter([[_Cell(EVIL)]]))
    assert_harmless(capsys.readouterr().out)


def test_pages_make_texts_by_printed_only() -> None:
    """So no page can forget to escape."""
    for page in (CHECKOUT / "scanner" / "commands").glob("*/*.py"):
        made = re.search(r"^ +from rich\.text import|\bText\(", page.read_text(), re.MULTILINE)
        assert made is None or page.parts[-2:] == ("changes", "page.py"), page
