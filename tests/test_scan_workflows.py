"""The user folder of ComfyUI as a root: saved workflows come and go as other files do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scanner.comfyui.installation import find_roots
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.settings.schema import Settings
from tests.support.world import MODELS, World, at


def user_root() -> Root:
    found = find_roots(Settings(comfy_root=Path(at("ComfyUI"))), cwd="/", home="/", environ={})
    return next(root for root in found.roots if root.kind == "workflows")


def without_user_folder(tmp_path: Path) -> World:
    user = user_root()
    world = World(tmp_path, roots=(MODELS, user))
    world.files.remove(user.path)
    world.files.write(at("ComfyUI/models/loras/a.safetensors"), b"1")
    return world.settle()


def test_user_folder_appears_as_one_baseline_and_then_changes_are_told(tmp_path: Path) -> None:
    world, user = without_user_folder(tmp_path), user_root()
    assert world.state(user) == "absent"
    world.files.write(f"{user.path}/default/workflows/a.json", b"{}")
    world.files.write(f"{user.path}/default/comfy.settings.json", b"{}")
    world.files.write(f"{user.path}/comfyui.log", b"text")
    assert world.scan() == []
    assert world.baselines() == [("ComfyUI/user", "added")]
    assert world.state(user) == "online"
    assert {path for path in world.inventory() if "/user/" in path} == {
        f"{user.path}/default",
        f"{user.path}/default/workflows",
        f"{user.path}/default/workflows/a.json",
    }
    world.files.write(f"{user.path}/comfyui.log", b"more text")
    world.files.write(f"{user.path}/bob_1/workflows/b.json", b"{}")
    assert world.scan() == [
        ("created", "ComfyUI/user/bob_1"),
        ("created", "ComfyUI/user/bob_1/workflows"),
        ("created", "ComfyUI/user/bob_1/workflows/b.json"),
    ]


def test_user_folder_that_was_named_is_missing(tmp_path: Path) -> None:
    user = replace(user_root(), is_optional=False)
    world = World(tmp_path, roots=(MODELS, user))
    world.files.remove(user.path)
    world.files.write(at("ComfyUI/models/loras/a.safetensors"), b"1")
    world.settle()
    assert world.state(user) == "missing"


def test_user_folder_that_went_is_offline_and_keeps_its_workflows(tmp_path: Path) -> None:
    world, user = without_user_folder(tmp_path), user_root()
    world.files.write(f"{user.path}/default/workflows/a.json", b"{}")
    world.settle()
    world.files.remove(user.path)
    assert world.scan() == []
    assert world.state(user) == "offline"
    assert f"{user.path}/default/workflows/a.json" in world.inventory()


def test_only_a_person_believes_that_a_remote_user_folder_is_empty(tmp_path: Path) -> None:
    """Rule 2: an empty folder on a server is a mount that is away far more often."""
    user = user_root()
    world = World(tmp_path, roots=(user,))
    world.files.mount_table = [Mount("/", "cifs", "//nas/share")]
    for number in range(30):
        world.files.write(f"{user.path}/default/workflows/{number}.json", b"{}")
    world.settle()
    world.files.remove(f"{user.path}/default")
    world.files.makedirs(user.path)
    for _ in range(4):
        assert world.scan() == []
        assert world.state(user) == "held"
    assert world.store.memory.holds[user.id].needs_accept
