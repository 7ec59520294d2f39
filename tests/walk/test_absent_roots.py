"""Folders that a file names and that are not there: a note, unless their disk is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from tests.support.world import MODELS, World, at

FILE = at("ComfyUI/extra_model_paths.yaml")


def named(path: str) -> Root:
    return Root("models", path, "loras", FILE)


@pytest.mark.parametrize(
    ("path", "held", "state"),
    [
        ("/home/u/ComfyUI/path/to/webui/models/Lora", "", "absent"),
        ("/data/sd/loras", "/data/other/file", "absent"),
        ("/data/sd/loras", "", "missing"),  # the point of a mount that is away
        ("/mnt/nas/loras", "/mnt/other/file", "missing"),
        ("/media/u/disk/loras", "/media/u/other/file", "missing"),
        ("/disk/loras", "", "missing"),
    ],
)
def test_named_folder_is_absent_where_its_disk_is_there(
    tmp_path: Path, path: str, held: str, state: str
) -> None:
    root = named(path)
    world = World(tmp_path, roots=(MODELS, root))
    world.files.remove(path)
    for made in ("/data", "/mnt/nas", "/media/u"):
        world.files.makedirs(made)
    for above in Path(path).parents:
        if above.is_relative_to("/home/u/ComfyUI/path") or str(above) == "/data/sd":
            world.files.remove(str(above))
    if path.startswith("/disk"):
        world.files.remove("/disk")
    if held:
        world.files.write(held, b"1")
    world.settle()
    assert world.state(root) == state
    assert world.state(MODELS) == "online"


def test_folder_of_the_settings_is_missing(tmp_path: Path) -> None:
    root = Root("models", at("assets/loras"))
    world = World(tmp_path, roots=(MODELS, root))
    world.files.remove(root.path)
    world.settle()
    assert world.state(root) == "missing"


def test_disk_that_is_mounted_is_there_though_it_is_empty(tmp_path: Path) -> None:
    root = named("/mnt/disk/loras")
    world = World(tmp_path, roots=(MODELS, root))
    world.files.remove(root.path)
    world.scan()
    assert world.state(root) == "missing"
    world.files.mount_table.append(Mount("/mnt/disk", "ext4", "/dev/fake2"))
    world.scan()
    assert world.state(root) == "absent"


def test_absent_folder_that_comes_is_scanned_and_then_offline_when_it_goes(tmp_path: Path) -> None:
    root = named(at("webui/loras"))
    world = World(tmp_path, roots=(MODELS, root))
    world.files.remove(root.path)
    world.files.remove(at("webui"))
    world.settle()
    assert world.state(root) == "absent"
    world.files.write(f"{root.path}/a.safetensors", b"1")
    assert world.scan() == []
    assert (world.state(root), world.baselines()) == ("online", [("webui/loras", "added")])
    world.files.remove(f"{root.path}/a.safetensors")
    world.files.remove(root.path)
    world.scan()
    assert world.state(root) == "offline"


def test_link_to_a_disk_that_is_away_is_missing(tmp_path: Path) -> None:
    root = named(at("loras"))
    world = World(tmp_path, roots=(MODELS, root))
    world.files.remove(root.path)
    world.files.symlink("/mnt/nas/loras", root.path)
    world.files.makedirs("/mnt/nas")
    world.settle()
    assert world.state(root) == "missing"


def test_absent_folder_costs_one_stat_once_it_is_known(tmp_path: Path) -> None:
    root = named(at("webui/models/loras"))
    world = World(tmp_path, roots=(MODELS, root))
    for path in (root.path, at("webui/models"), at("webui")):
        world.files.remove(path)
    world.settle()
    listed: list[str] = []
    world.files.on_list = listed.append
    world.scan()
    assert at("") not in listed and "/home/u" not in listed
    assert world.state(root) == "absent"
