"""A folder named by mistake is refused before anything is written; one that may be away is not."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from scanner.comfyui import named_folders
from scanner.comfyui.named_folders import mistakes
from scanner.disk.mounts import Mount
from scanner.disk.read_with_timeout import FOLDER, SILENT
from scanner.settings.load import load
from tests.support.machine import Machine, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")


@pytest.fixture
def world(tmp_path: Path) -> Machine:
    """The portable's outer folder with ComfyUI in it, an empty folder, a pipe and dead links."""
    machine = Machine(tmp_path)
    work = machine.work
    for name in ("models/loras", "custom_nodes", "input", "output"):
        (work / "portable" / "ComfyUI" / name).mkdir(parents=True)
    write(work / "portable" / "ComfyUI" / "main.py", "")
    write(work / "portable" / "run_nvidia_gpu.bat", "")
    (work / "empty").mkdir()
    os.mkfifo(work / "pipe")
    (work / "to_empty").symlink_to("empty/models")
    (work / "to_nothing").symlink_to("portable/gone")
    return machine


COMFY = "portable/ComfyUI"

REFUSED = [
    ("--comfy-root", "portable", f"holds no ComfyUI .*did you mean {{}}/{COMFY}\\?"),
    ("--comfy-root", ".", f"holds no ComfyUI|did you mean {{}}/{COMFY}"),
    ("--comfy-root", f"{COMFY}/main.py", f"is a file; did you mean {{}}/{COMFY}\\?"),
    ("--comfy-root", f"{COMFY}/models", f"holds no ComfyUI .*did you mean {{}}/{COMFY}\\?"),
    ("--comfy-root", "portable/comfyui", f"there is no .*did you mean {{}}/{COMFY}\\?"),
    ("--comfy-root", "nope", "there is no {}/nope$"),
    ("--models", "nope", "there is no {}/nope$"),
    ("--models", "portabel", "there is no {}/portabel; did you mean {}/portable\\?"),
    ("--models", "to_nothing", "there is no {}/to_nothing"),
    ("--downloads", "portable/run_nvidia_gpu.bat", "expected a folder, but .*bat is a file"),
    ("--extra", "nope", "there is no {}/nope"),
    ("--base-directory", "nope", "there is no {}/nope"),
]

WAITED_FOR = [
    ("--comfy-root", "empty"),
    ("--comfy-root", "empty/ComfyUI"),
    ("--models", "empty/models"),
    ("--models", "not/there/yet"),
    ("--models", "to_empty"),
    ("--models", "/mnt/no_such_disk"),
    ("--extra", "/run/media/nobody/no_such_disk"),
]


@pytest.mark.parametrize(("option", "path", "message"), REFUSED)
def test_a_mistake_ends_with_2_and_writes_nothing(
    world: Machine, option: str, path: str, message: str
) -> None:
    before = sorted(os.listdir(world.work))
    done = world.run("scan", option, path, "--log-file", "log", expect=2)
    sentence = done.stderr.strip()
    assert re.search(message.replace("{}", re.escape(str(world.work))), sentence), sentence
    assert sentence.count("\n") == 0
    assert f"(option {option})" in sentence
    assert sorted(os.listdir(world.work)) == before


@pytest.mark.parametrize(("option", "path"), WAITED_FOR)
def test_a_folder_that_may_be_away_is_waited_for(world: Machine, option: str, path: str) -> None:
    world.run("scan", option, path, expect=3)
    assert (world.work / "comfy_inventory.json").exists()


def test_the_place_of_the_setting_is_named(world: Machine) -> None:
    done = world.run("scan", expect=2, environ={"COMFY_INVENTORY_MODELS": "nope"})
    assert "models (environment COMFY_INVENTORY_MODELS): there is no" in done.stderr
    write(world.work / "comfy_inventory.toml", '# mine\ncomfy_root = "portable"\n')
    done = world.run("scan", expect=2)
    assert f"comfy_root (file {world.work}/comfy_inventory.toml, line 2): " in done.stderr
    assert not (world.work / "comfy_inventory.json").exists()


def test_other_commands_refuse_it_too(world: Machine) -> None:
    for command in (("run",), ("service", "install", "--print"), ("roots",), ("doctor",)):
        done = world.run(*command, "--comfy-root", "portable", expect=2)
        assert "did you mean" in done.stderr


@pytest.mark.parametrize("lost", ["the inventory", "the state", "nothing"])
def test_a_known_root_is_never_a_mistake(world: Machine, lost: str) -> None:
    scan = ("scan", "--comfy-root", COMFY, "--models", "nas", "--hold-wait", "0")
    write(world.work / "nas" / "loras" / "a.safetensors", "a")
    world.run(*scan)
    if lost == "the inventory":
        (world.work / "comfy_inventory.json").unlink()
    if lost == "the state":
        (world.work / "comfy_inventory.state.sqlite").unlink()
    shutil.rmtree(world.work / "nas")
    shutil.rmtree(world.work / COMFY)
    write(world.work / COMFY / "README", "not mounted")
    world.run(*scan, expect=3)
    for command in ("roots", "doctor"):
        done = world.run(command, *scan[1:5], expect=0 if command == "roots" else 3)
        assert "did you mean" not in done.stderr


def test_comfyui_below_a_known_root_is_no_excuse_for_its_parent(world: Machine) -> None:
    world.run("scan", "--comfy-root", COMFY)
    world.run("scan", "--comfy-root", "portable", expect=2)


def _found(path: str, cwd: Path) -> list[str]:
    loaded = load({"models": [path]}, environ={}, cwd=cwd)
    return [mistake.text for mistake in mistakes(loaded.settings, str(cwd), frozenset())]


def test_a_mount_that_hangs_or_is_automounted_is_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "other", "")
    assert _found("nope", tmp_path)
    with monkeypatch.context() as automounted:
        mounts = [Mount("/", "ext4", "/dev/a"), Mount(str(tmp_path), "autofs", "auto.nas")]
        automounted.setattr(named_folders, "read_mounts", lambda: mounts)
        assert not _found("nope", tmp_path)
    monkeypatch.setattr(named_folders, "list_with_timeout", lambda path: (SILENT, []))
    assert not _found("nope", tmp_path)


def test_an_unreadable_or_special_thing_is_no_mistake(world: Machine) -> None:
    assert not _found("pipe", world.work)
    loop = world.work / "loop"
    loop.symlink_to(loop)
    assert not _found("loop", world.work)


def test_no_more_than_a_few_folders_are_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def listed(path: str) -> tuple[str, list[str]]:
        looks.append(path)
        return FOLDER, [f"comfy{number}" for number in range(500)]

    monkeypatch.setattr(named_folders, "list_with_timeout", listed)
    loaded = load({"comfy_root": "x"}, environ={}, cwd=tmp_path)
    assert list(mistakes(loaded.settings, str(tmp_path), frozenset()))
    assert len(looks) < 100
