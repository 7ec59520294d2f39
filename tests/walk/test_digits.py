"""Digits of mtimes below a second count where two stats show the same ones (rule 4)."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scanner.core.snapshot import FILE, Directory, Row, listing_of
from scanner.disk.mounts import Mount
from scanner.walk.digits import settle_digits
from scanner.walk.walked import Walked
from tests.support.fakes import Node
from tests.support.world import MODELS, World, at

SECOND = 10**9
NAMES = [f"{MODELS.path}/d{number % 3}/m{number}" for number in range(12)]


def world_with_files(folder: Path, **settings: Any) -> World:
    world = World(folder, roots=(MODELS,), **settings)
    world.files.mount_table.append(Mount(MODELS.path, "9p", "share"))
    for name in NAMES:
        world.files.write(name, name.encode() * 9)
    world.settle()
    assert world.scan() == []
    return world


def jitter(world: World) -> None:
    """Each listing and each stat of a file shows other digits below the second."""
    chance, list_directory, stat = random.Random(3), world.files.list_directory, world.files.stat

    def shake(nodes: list[Node]) -> None:
        for node in nodes:
            if node.kind == "file":
                node.mtime = node.mtime // SECOND * SECOND + chance.randrange(SECOND)

    def listed(path: str, *args: frozenset[str]) -> object:
        shake(list(world.files._resolve(path).children.values()))
        return list_directory(path, *args)

    def stated(path: str) -> object:
        shake([world.files._resolve(path)])
        return stat(path)

    world.files.list_directory = listed  # type: ignore[method-assign, assignment]
    world.files.stat = stated  # type: ignore[method-assign, assignment]


def later(world: World, name: str, nanoseconds: int) -> None:
    """The file is written again within the same second."""
    node = world.files._resolve(name)
    node.mtime = node.mtime // SECOND * SECOND + nanoseconds


def test_digits_that_change_at_each_stat_are_no_change(tmp_path: Path) -> None:
    world = world_with_files(tmp_path)
    known = world.project()
    jitter(world)
    for _ in range(3):
        assert world.scan() == []
        assert world.project() == known
    world.files.write(NAMES[4], b"other" * 90)
    world.files._resolve(NAMES[5]).mtime += 2 * SECOND  # of equal size
    assert world.scan(reads=False) == [
        ("modified", "ComfyUI/models/d1/m4"),
        ("modified", "ComfyUI/models/d2/m5"),
    ]


def test_file_whose_digits_never_hold_still_is_told_as_unread(tmp_path: Path) -> None:
    """Nobody can say that it did not change while it was read."""
    world = world_with_files(tmp_path)
    jitter(world)
    world.files.write(NAMES[4], b"other" * 90)
    for _ in range(3):
        world.scan()
    assert world.backlog.unread() == (NAMES[4],)
    assert "fingerprint" not in world.entry("m4")


def test_digits_that_hold_still_are_a_change_each(tmp_path: Path) -> None:
    world = world_with_files(tmp_path)
    later(world, NAMES[0], 5)
    assert world.scan() == [("modified", "ComfyUI/models/d0/m0")]
    later(world, NAMES[1], 500)
    later(world, NAMES[2], 700)
    assert world.scan() == [
        ("modified", "ComfyUI/models/d1/m1"),
        ("modified", "ComfyUI/models/d2/m2"),
    ]


@pytest.mark.parametrize(("digits", "lines"), [("all", 12), ("seconds", 0), ("auto", 0)])
def test_the_setting_overrides_what_two_stats_show(tmp_path: Path, digits: str, lines: int) -> None:
    world = world_with_files(tmp_path, mtime_digits=digits)
    jitter(world)
    assert len(world.scan(reads=False)) == lines


def test_with_whole_seconds_no_digit_below_counts(tmp_path: Path) -> None:
    world = world_with_files(tmp_path, mtime_digits="seconds")
    later(world, NAMES[0], 5)
    world.files.calls.clear()
    assert world.scan() == []
    later(world, NAMES[0], 5 + SECOND)
    assert world.scan() == [("modified", "ComfyUI/models/d0/m0")]


def test_nothing_is_stat_ed_twice_where_no_digit_moved(tmp_path: Path) -> None:
    world = world_with_files(tmp_path)
    world.files.calls.clear()
    world.scan(reads=False)
    unchanged = world.files.calls["stat"]
    world.files.write(NAMES[0], b"longer" * 100)
    world.files.calls.clear()
    world.scan(reads=False)
    assert world.files.calls["stat"] == unchanged


def test_a_folder_that_is_empty_now_is_compared(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.write(at("ComfyUI/models/a/x"), b"1")
    world.files.write(at("ComfyUI/models/b"), b"1")
    world.settle()
    world.files.remove(at("ComfyUI/models/a/x"))
    assert world.scan() == [("deleted", "ComfyUI/models/a/x")]


def test_digits_that_do_not_count_leave_hard_links_known() -> None:
    rows = [Row("model", FILE, 9, 7 * SECOND + 1, 5)]
    listing = replace(listing_of(rows), hard_links=("model",))
    old = Directory(listing, 3)
    moved = listing.with_rows([rows[0]._replace(mtime=7 * SECOND + 2)])
    walked = Walked("/models", observed={"/models": replace(old, listing=moved, mtime=4)})
    settled = settle_digits(walked, {"/models": old}, "seconds", lambda paths: {})
    assert settled.observed["/models"].listing == listing
