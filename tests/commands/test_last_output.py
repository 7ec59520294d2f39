"""Commands that read use the last output where nothing else says which one."""

from __future__ import annotations

import sys

import pytest

from tests.support.installation import sentence
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")

READING = (("status",), ("changes",), ("find", "00"), ("packs",), ("duplicates",))


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_last_output_is_read_where_there_is_none(scanned: Machine, command: tuple[str]) -> None:
    here = scanned.run(*command)
    assert "written last" not in here.stderr
    inventory, scanned.work = scanned.output, scanned.home
    elsewhere = scanned.run(*command)
    (line,) = elsewhere.stderr.splitlines()
    assert line == (
        f"No inventory here; reading {inventory}, which was written last (-o names another)."
    )
    if command != ("status",):  # which says how long ago
        assert elsewhere.stdout == here.stdout


def test_option_setting_or_file_here_counts_before_the_last_output(scanned: Machine) -> None:
    other = scanned.home / "elsewhere"
    other.mkdir()
    scanned.work = other
    assert "No inventory here" in scanned.run("find", "00").stderr
    done = scanned.run("find", "-o", "typo.json", expect=2)
    assert "typo.json" in sentence(done)
    scanned.run("find", expect=2, environ={"COMFY_INVENTORY_OUTPUT": "typo.json"})
    (other / "comfy_inventory.json").write_text("damaged")
    assert "comfy_inventory.json" in sentence(scanned.run("find", expect=2))


def test_last_output_that_is_gone_or_unknown_is_not_read(scanned: Machine) -> None:
    scanned.output.unlink()
    scanned.work = scanned.home
    assert str(scanned.home) in sentence(scanned.run("find", expect=2))
    noted = scanned.home / ".local" / "state" / "comfy-inventory" / "last_output"
    assert noted.read_text() == str(scanned.output)
    noted.write_bytes(b"\0\xff")
    assert str(scanned.home) in sentence(scanned.run("find", expect=2))


def test_state_folder_that_cannot_be_written_stops_no_scan(machine: Machine) -> None:
    (machine.home / ".local").write_text("a file")
    machine.run("scan")
