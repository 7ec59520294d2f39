"""`comfy-inventory roots` before and after the first scan."""

from __future__ import annotations

import sys

import pytest

from tests.support.installation import KINDS, parsed
from tests.support.machine import Machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and modes of POSIX")


def test_comfyui_by_its_other_option_and_from_inside(machine: Machine) -> None:
    comfy = machine.work / "ComfyUI"
    (comfy / "main.py").touch()
    expected = parsed(machine.run("roots", "--json"))
    machine.work = machine.home
    assert parsed(machine.run("roots", "--workspace", comfy, "--json")) == expected
    assert "comfy_root: expected ComfyUI" in machine.run("roots", expect=2).stderr
    machine.work = comfy
    assert parsed(machine.run("roots", "--json")) == expected


def test_roots_are_told_before_and_after_the_first_scan(machine: Machine) -> None:
    before = parsed(machine.run("roots", "--downloads", "disk/Downloads", "--json"))
    assert before["base"] == str(machine.work)
    paths = [str(machine.work / "ComfyUI" / name) for name in (*KINDS, "user")]
    paths.append(str(machine.work / "disk/Downloads"))
    found = {(root["path"], root["state"]) for root in before["roots"]}
    assert found == {(path, None) for path in paths}
    machine.run("scan", "--downloads", "disk/Downloads", expect=3)
    after = parsed(machine.run("roots", "--downloads", "disk/Downloads", "--json"))
    states = {root["path"]: root["state"] for root in after["roots"]}
    assert states == dict.fromkeys(paths, "online") | {
        paths[-1]: "missing",
        paths[-2]: "absent",
    }
    text = machine.run("roots", "--downloads", "disk/Downloads").stdout
    assert all(path in text for path in paths)
