"""Names that are listed and cannot be looked at are told under `unreachable`."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scanner.diff.unread import AWAY, GHOST, MOST_NAMES, UNREAD
from scanner.disk.mounts import Mount
from scanner.output.inventory_reader import read_header
from tests.support.world import MODELS, World, at, content

FOLDER = at("ComfyUI/models/loras")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    for name in "abc":
        world.files.write(f"{FOLDER}/{name}", content(name))
    world.files.makedirs(at("Downloads"))
    return world.settle()


def fails(world: World, path: str, number: int = errno.EIO) -> None:
    world.files.faults["stat", path] = number
    world.files.faults["lstat", path] = number


def told(world: World) -> dict[str, str]:
    """What the inventory names as unreachable, by the last name."""
    header = read_header(world.outputs.inventory)
    assert header is not None
    return {os.path.basename(each["path"]): each["error"] for each in header["unreachable"]}


def test_a_new_and_a_known_file_that_cannot_be_looked_at_are_told(world: World) -> None:
    world.files.write(f"{FOLDER}/new", b"1")
    for name in ("a", "new"):
        fails(world, f"{FOLDER}/{name}")
    before = world.project()
    for _ in range(2):
        assert world.scan() == []
        assert world.project() == before
        assert world.state(MODELS) == "partial"
        assert told(world) == dict.fromkeys(("a", "new"), os.strerror(errno.EIO))
    world.files.faults.clear()
    assert world.scan() == [("created", "ComfyUI/models/loras/new")]
    assert told(world) == {}
    assert world.state(MODELS) == "online"


def test_a_name_that_vanished_while_its_folder_was_listed_is_not_told(world: World) -> None:
    fails(world, f"{FOLDER}/a", errno.ENOENT)
    assert world.scan() == []
    assert told(world) == {}
    assert world.scan() == []
    assert told(world) == {"a": GHOST}


def test_an_error_that_is_over_a_moment_later_is_told_in_that_scan(world: World) -> None:
    world.files.write(f"{FOLDER}/new", b"1")
    world.files.faults["stat", f"{FOLDER}/new"] = errno.EIO
    assert world.scan() == []
    assert told(world) == {"new": UNREAD}
    world.files.faults.clear()
    assert world.scan() == [("created", "ComfyUI/models/loras/new")]
    assert told(world) == {}


def test_of_a_folder_with_many_such_names_the_folder_is_told(world: World) -> None:
    for number in range(MOST_NAMES + 1):
        world.files.write(f"{FOLDER}/n{number}", b"1")
        fails(world, f"{FOLDER}/n{number}", errno.EACCES)
    world.files.calls.clear()
    assert world.scan() == []
    assert told(world) == {"loras": f"{MOST_NAMES + 1} names in it: Permission denied"}
    assert world.files.calls["lstat"] == MOST_NAMES


def test_a_link_into_a_folder_that_is_missing_is_an_entry_and_told(world: World) -> None:
    world.files.symlink("/mnt/share/model", f"{FOLDER}/link")
    assert world.scan() == [("created", "ComfyUI/models/loras/link")]
    assert world.scan() == []
    assert told(world) == {"link": AWAY}
    assert world.state(MODELS) == "partial"
    entry = world.entry("link")
    assert (entry["type"], entry["target"], entry["status"]) == (
        "symlink",
        "/mnt/share/model",
        "away",
    )
    world.files.write("/mnt/share/model", b"12345")
    assert world.scan() == [("modified", "ComfyUI/models/loras/link")]
    assert told(world) == {}
    assert world.entry("link").get("status") is None
    world.files.remove("/mnt/share/model")
    world.files.remove("/mnt/share")
    assert world.scan() == []
    assert world.entry("link")["size"] == 5


def test_a_mount_that_could_never_be_entered_is_told(world: World) -> None:
    world.files.mount_table.append(Mount(f"{FOLDER}/nas", "fuse.sshfs", "x:"))
    world.files.makedirs(f"{FOLDER}/nas")
    fails(world, f"{FOLDER}/nas", errno.EACCES)
    world.files.faults["list", f"{FOLDER}/nas"] = errno.EACCES
    world.scan()
    assert "nas" in told(world)


def test_a_file_that_cannot_be_looked_at_is_no_link_that_is_away(world: World) -> None:
    fails(world, f"{FOLDER}/a")
    assert world.scan() == []
    assert told(world) == {"a": os.strerror(errno.EIO)}
    assert "status" not in world.entry("a")


def test_of_a_folder_that_was_listed_twice_the_last_listing_counts(world: World) -> None:
    """A folder below it vanished meanwhile, so that it is listed again."""
    world.files.write(f"{FOLDER}/sub/x", b"1")
    world.scan()
    world.files.faults["stat", f"{FOLDER}/a"] = errno.EIO

    def vanish() -> None:
        world.files.faults.clear()
        world.files.remove(f"{FOLDER}/sub/x")
        world.files.remove(f"{FOLDER}/sub")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{FOLDER}/sub")

    world.files.faults["list", f"{FOLDER}/sub"] = vanish
    world.scan()
    assert told(world) == {}


def test_what_a_mount_hides_that_came_meanwhile_is_not_told(world: World) -> None:
    world.files.write(f"{FOLDER}/sub/x", b"1")
    world.scan()
    fails(world, f"{FOLDER}/sub/x")

    def come(path: str) -> None:
        if path == f"{FOLDER}/sub":
            world.files.on_list = None
            world.files.mount_table.append(Mount(path, "nfs4", "nas:/x"))

    world.files.on_list = come
    assert world.scan() == []
    assert "x" not in told(world)
