"""`comfy-inventory status` for programs."""

from __future__ import annotations

import json
import sys

import pytest
from rich.console import Console

from scanner.commands.status.page import print_status
from tests.support.installation import parsed
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_status_tells_programs_how_it_stands(untouched: Machine) -> None:
    status = parsed(untouched.run("status", "--json"))
    on_disk = json.loads(untouched.status_file.read_bytes())
    assert status == on_disk | {"alive": False}
    assert status["state"] == "stopped"
    assert {root["state"] for root in status["roots"]} == {"online"}
    assert status["inventory"]["path"] == str(untouched.output)
    assert status["journal"]["path"] == str(untouched.journal)


def test_status_counts_what_is_wrong_with_files(
    untouched: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    status = parsed(untouched.run("status", "--json"))
    broken = parsed(untouched.run("find", "--status", "broken", "--json"))
    assert status["broken"] == broken["count"] > 0
    print_status(Console(width=200), {**status, "broken": 3, "misplaced": 1, "unfinished": 2})
    lines = capsys.readouterr().out.splitlines()
    assert "broken: 3 files (comfy-inventory find --status broken)" in lines
    assert "misplaced: 1 file (comfy-inventory find --status misplaced)" in lines
    found = "comfy-inventory find --status partial --status unsettled"
    assert f"not whole yet: 2 files ({found})" in lines
    older = {key: status[key] for key in status if key not in ("broken", "misplaced")}
    print_status(Console(width=200), older)
    assert "broken" not in capsys.readouterr().out
