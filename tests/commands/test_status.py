"""`comfy-inventory status` for programs."""

from __future__ import annotations

import json
import sys

import pytest

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
