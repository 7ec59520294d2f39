"""A name that a listing leaves out is gone only if one lstat says so too (rule 1)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.disk.mounts import Mount
from tests.support.fakes import Node
from tests.support.world import MODELS, World, at, content

LORAS = at("ComfyUI/models/loras")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for name in "abc":
        world.files.write(f"{LORAS}/{name}", content(name))
    world.files.write(f"{LORAS}/more/d", content("d"))
    world.files.write(at("ComfyUI/models/keep"), b"1")
    return world.settle()


def ends_early(world: World, folder: str, *, after: int = 0) -> Callable[[], None]:
    """Have the listing of `folder` end without an error; the function ends that."""
    node: Node = world.files.makedirs(folder)
    whole = dict(node.children)

    def list_part(path: str) -> None:
        node.children = dict(list(whole.items())[:after]) if path == folder else whole

    def mend() -> None:
        node.children = whole
        world.files.on_list = None

    # The folder is whole again as soon as something else is asked.
    for name in ("lstat", "stat"):
        for child in whole:
            path = f"{folder}/{child}"
            world.files.faults[name, path] = lambda: setattr(node, "children", whole)
    world.files.on_list = list_part
    return mend


@pytest.mark.parametrize("mount", ["ext4", "cifs"])
@pytest.mark.parametrize("after", [0, 2])
def test_names_that_a_listing_leaves_out_are_kept(tmp_path: Path, mount: str, after: int) -> None:
    world = World(tmp_path)
    world.files.mount_table = [Mount("/", mount, "//nas/x")]
    for name in "abc":
        world.files.write(f"{LORAS}/{name}", content(name))
    world.files.write(at("ComfyUI/models/keep"), b"1")
    world.settle()
    before = world.project()
    mend = ends_early(world, LORAS, after=after)
    world.files._change(world.files.makedirs(LORAS))  # else its times prove its names
    for _ in range(3):
        assert world.scan() == []
        assert world.project() == before
        assert world.state(MODELS) == "partial"
        assert world.store.memory.unreachable[LORAS].error == (
            "its listing leaves out names that are there"
        )
    mend()
    assert world.scan() == []
    assert world.state(MODELS) == "online"
    assert world.store.memory.unreachable == {}
    world.files.faults.clear()
    world.files.remove(f"{LORAS}/b")
    assert world.scan() == [("deleted", "ComfyUI/models/loras/b")]


def test_a_folder_that_is_left_out_keeps_all_below_it(world: World) -> None:
    before = world.project()
    ends_early(world, LORAS, after=3)
    assert world.scan() == []
    assert world.project() == before


def test_what_really_went_is_deleted_beside_what_was_left_out(world: World) -> None:
    world.files.remove(f"{LORAS}/a")
    ends_early(world, LORAS, after=1)
    assert world.scan() == [("deleted", "ComfyUI/models/loras/a")]


def test_an_error_is_no_proof_of_absence(world: World) -> None:
    world.files.remove(f"{LORAS}/a")
    world.files.faults["lstat", f"{LORAS}/a"] = errno.EIO
    assert world.scan() == []
    assert world.state(MODELS) == "partial"
    world.files.faults.clear()
    assert world.scan() == [("deleted", "ComfyUI/models/loras/a")]


def test_a_name_made_again_after_the_listing_is_no_fault(world: World) -> None:
    node = world.files.remove(f"{LORAS}/a")
    parent = world.files.makedirs(LORAS)
    world.files.faults["lstat", f"{LORAS}/a"] = lambda: parent.children.update(a=node)
    assert world.scan() == []
    assert world.state(MODELS) == "online"
    assert world.scan() == []


def test_a_new_case_of_a_name_is_a_rename_where_the_old_one_still_finds_it(world: World) -> None:
    node = world.files.makedirs(LORAS).children["a"]
    world.files.rename(f"{LORAS}/a", f"{LORAS}/A")
    parent = world.files.makedirs(LORAS)
    world.files.faults["lstat", f"{LORAS}/a"] = lambda: parent.children.update(a=node)
    assert world.scan() == [("moved", "ComfyUI/models/loras/a", "ComfyUI/models/loras/A")]


def test_a_name_that_is_ignored_since_it_changed_its_type_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/pack/.git"), b"gitdir: elsewhere")
    world.files.write(at("ComfyUI/models/pack/x"), b"1")
    world.settle()
    world.files.remove(at("ComfyUI/models/pack/.git"))
    world.files.write(at("ComfyUI/models/pack/.git/HEAD"), b"ref")
    assert world.scan() == [("deleted", "ComfyUI/models/pack/.git")]
    assert world.state(MODELS) == "online"
    assert world.scan() == []


def test_one_lstat_stands_for_a_whole_folder(world: World) -> None:
    world.files.remove(LORAS)
    world.files.calls.clear()
    assert len(world.scan()) == 6
    assert world.files.calls["lstat"] == 1


def test_a_scan_without_deletions_asks_for_no_name(world: World) -> None:
    world.files.write(f"{LORAS}/new", b"1")
    world.files.calls.clear()
    world.scan()
    assert world.files.calls["lstat"] == 0
