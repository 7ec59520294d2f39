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


# Names that a person drops


def accept(world: World, name: str) -> tuple[list[tuple[str, ...]], str]:
    """The lines of the next scan, and its answer to a request to drop `name`."""
    number = world.store.state.ask(0, "", f"{FOLDER}/{name}".rstrip("/"), frozenset())
    lines = world.scan()
    return lines, world.store.state.answer_of(number) or ""


def test_a_file_that_cannot_be_looked_at_is_dropped_by_hand(world: World) -> None:
    fails(world, f"{FOLDER}/a")
    world.scan()
    lines, answer = accept(world, "a")
    assert lines == [("deleted", "ComfyUI/models/loras/a")]
    assert answer.startswith(f"{FOLDER}/a: 1 entry deleted; it stays among what is unreachable")
    for _ in range(3):
        assert told(world) == {"a": os.strerror(errno.EIO)}
        assert world.scan() == []
    lines, answer = accept(world, "a")
    assert lines == []
    assert answer.startswith(f"{FOLDER}/a: nothing is known of it")
    world.restart()
    assert world.scan() == []
    world.files.faults.clear()
    assert world.scan() == [("created", "ComfyUI/models/loras/a")]
    assert told(world) == {}
    assert accept(world, "a") == ([], f"{FOLDER}/a is neither offline nor unreachable")


def test_a_folder_that_cannot_be_looked_at_is_dropped_with_all_below_it(world: World) -> None:
    """It can still be listed: names whose stat fails are no proof that what is below is gone."""
    world.files.write(f"{FOLDER}/sub/deep/x", content("x"))
    world.files.write(f"{FOLDER}/sub/y", content("y"))
    world.settle()
    fails(world, f"{FOLDER}/sub")
    world.files.write(f"{FOLDER}/sub/new", content("new"))
    world.scan()
    lines, answer = accept(world, "sub")
    below = ["", "/deep", "/deep/x", "/new", "/y"]
    assert lines == [("deleted", f"ComfyUI/models/loras/sub{name}") for name in below]
    assert answer.startswith(f"{FOLDER}/sub: 5 entries deleted")
    assert world.scan() == []
    assert told(world) == {"sub": os.strerror(errno.EIO)}
    world.files.faults.clear()
    assert world.scan() == [("created", f"ComfyUI/models/loras/sub{name}") for name in below]


def test_a_folder_that_answers_with_an_error_stays_and_all_below_it_is_dropped(
    world: World,
) -> None:
    world.files.write(f"{FOLDER}/sub/x", content("x"))
    world.settle()
    world.files.faults["list", f"{FOLDER}/sub"] = errno.EACCES
    world.scan()
    lines, answer = accept(world, "sub")
    assert lines == [("deleted", "ComfyUI/models/loras/sub/x")]
    assert answer == f"1 entries below {FOLDER}/sub deleted"
    for _ in range(2):
        assert world.scan() == []
        assert told(world) == {"sub": os.strerror(errno.EACCES)}
    world.files.faults.clear()
    assert world.scan() == [("created", "ComfyUI/models/loras/sub/x")]


def test_a_link_that_is_away_stays_and_loses_what_was_known_of_its_target(world: World) -> None:
    world.files.write("/mnt/share/model", b"12345")
    world.files.symlink("/mnt/share/model", f"{FOLDER}/known")
    world.files.symlink("/mnt/share/other", f"{FOLDER}/unknown")
    world.settle()
    world.files.remove("/mnt/share/model")
    world.files.remove("/mnt/share")
    world.scan()
    assert told(world) == {"known": AWAY, "unknown": AWAY}
    lines, answer = accept(world, "known")
    assert lines == [("modified", "ComfyUI/models/loras/known")]
    assert "what this link leads to dropped" in answer
    assert "size" not in world.entry("/known")
    lines, answer = accept(world, "unknown")
    assert lines == []
    assert answer.startswith(f"{FOLDER}/unknown: nothing is known of what this link leads to")
    assert told(world) == {"known": AWAY, "unknown": AWAY}
    world.files.write("/mnt/share/model", b"12345")
    assert world.scan() == [("modified", "ComfyUI/models/loras/known")]


def test_names_that_are_told_as_one_folder_are_dropped_together(world: World) -> None:
    names = sorted(f"n{number}" for number in range(MOST_NAMES + 1))
    for name in names:
        world.files.write(f"{FOLDER}/{name}", content(name))
    world.settle()
    for name in names:
        fails(world, f"{FOLDER}/{name}")
    world.scan()
    lines, answer = accept(world, "")
    assert lines == [("deleted", f"ComfyUI/models/loras/{name}") for name in names]
    assert answer.startswith(f"{FOLDER}: {MOST_NAMES + 1} entries deleted")
    assert world.scan() == []
    assert list(told(world)) == ["loras"]
