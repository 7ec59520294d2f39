"""`comfyui install` puts the panel in place, and `uninstall` removes what was written, no more."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scanner.commands.comfyui.assemble import pack_files
from tests.support.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    for name in ("models/checkpoints", "custom_nodes", "input", "output"):
        (machine.work / "ComfyUI" / name).mkdir(parents=True)
    (machine.work / "ComfyUI/main.py").write_text("")
    return machine


def place(machine: Machine) -> Path:
    return machine.work / "ComfyUI/custom_nodes/inventory-panel"


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def settings_of(machine: Machine) -> dict[str, object]:
    found = json.loads((place(machine) / "settings.json").read_text())
    assert isinstance(found, dict)
    return found


def data(text: str) -> dict[str, object]:
    found = json.loads(text)["data"]
    assert isinstance(found, dict)
    return found


def test_install_writes_the_whole_panel(machine: Machine) -> None:
    machine.run("scan")
    told = machine.run("comfyui", "install").stdout
    files = pack_files()
    assert files_of(place(machine)) == {*files, "settings.json", ".comfy-inventory.json"}
    for name, content in files.items():
        assert (place(machine) / name).read_bytes() == content
    assert settings_of(machine) == {"inventory": str(machine.output)}
    assert str(machine.output) in told
    assert "from scanner" not in b"".join(files.values()).decode()


def test_inventory_that_nobody_named_is_left_open(machine: Machine) -> None:
    told = machine.run("comfyui", "install").stdout
    assert settings_of(machine) == {}
    assert "written last" in told
    machine.run("comfyui", "install", "-o", "other.json")
    assert settings_of(machine) == {"inventory": str(machine.work / "other.json")}


def test_settings_survive_another_installation(machine: Machine) -> None:
    machine.run("comfyui", "install", "--fast-lists", "-o", "a.json")
    machine.run("comfyui", "install")
    assert settings_of(machine) == {"inventory": str(machine.work / "a.json"), "fast_lists": True}
    machine.run("comfyui", "install", "--no-fast-lists")
    assert settings_of(machine)["fast_lists"] is False


def test_files_of_an_older_version_go(machine: Machine) -> None:
    machine.run("comfyui", "install")
    old = place(machine) / "parts/old.py"
    old.write_text("")
    list_path = place(machine) / ".comfy-inventory.json"
    known = json.loads(list_path.read_text())
    known["files"].append("parts/old.py")
    known["version"] = "0.0.1"
    list_path.write_text(json.dumps(known))
    assert "another version" in machine.run("comfyui", "status").stderr
    machine.run("comfyui", "install")
    assert not old.exists()
    assert data(machine.run("comfyui", "status", "--json").stdout)["current"] is True


def test_uninstall_leaves_nothing(machine: Machine) -> None:
    machine.run("comfyui", "install")
    compiled = place(machine) / "parts/workflows/__pycache__"
    compiled.mkdir()
    (compiled / "index.cpython-311.pyc").write_bytes(b"")
    machine.run("comfyui", "uninstall")
    assert os.listdir(machine.work / "ComfyUI/custom_nodes") == []
    assert "not installed" in machine.run("comfyui", "uninstall").stderr


def test_uninstall_leaves_files_of_others(machine: Machine) -> None:
    machine.run("comfyui", "install")
    (place(machine) / "notes.txt").write_text("mine")
    told = machine.run("comfyui", "uninstall").stderr
    assert "notes.txt" in told
    assert files_of(place(machine)) == {"notes.txt"}


@pytest.mark.parametrize("kind", ["folder", "link", "list"])
def test_folder_of_something_else_is_left_alone(
    machine: Machine, tmp_path: Path, kind: str
) -> None:
    other = place(machine)
    if kind == "link":
        (tmp_path / "target").mkdir()
        other.symlink_to(tmp_path / "target")
    else:
        other.mkdir()
        (other / "__init__.py").write_text("theirs")
    if kind == "list":
        (other / ".comfy-inventory.json").write_text('{"version": "1", "files": ["../../main.py"]}')
    for command in ("install", "uninstall"):
        assert "stays as it is" in machine.run("comfyui", command, expect=5).stderr
    assert (machine.work / "ComfyUI/main.py").exists()
    if kind != "link":
        assert (other / "__init__.py").read_text() == "theirs"


def test_status_says_whether_it_is_there(machine: Machine) -> None:
    assert "comfyui install" in machine.run("comfyui", "status", expect=1).stdout
    machine.run("comfyui", "install")
    assert "Fast lists are off" in machine.run("comfyui", "status").stdout


def test_comfyui_has_to_be_known(machine: Machine) -> None:
    (machine.work / "ComfyUI/custom_nodes").rmdir()
    assert "does not exist" in machine.run("comfyui", "install", expect=2).stderr
