"""On FAT a shift of all times at once by one hour is no change (rule 4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.store.metadata import MetadataUpdate
from tests.support.fakes import Node
from tests.support.world import World

STICK = "/mnt/stick"
ROOT = Root("models", STICK + "/models")
OTHER = Root("downloads", STICK + "/downloads")
HOUR = 3600 * 10**9
BIG, SMALL = ROOT.path + "/loras/big", ROOT.path + "/small"


def stick(folder: Path, type_: str = "vfat") -> World:
    world = World(folder, roots=(ROOT, OTHER))
    world.files.mount_table.append(Mount(STICK, type_, "/dev/sdb1"))
    for path in (BIG, SMALL, ROOT.path + "/c", OTHER.path + "/d"):
        world.files.write(path, path.encode() * 20)
    world.settle()
    assert world.scan() == []
    return world


def nodes(world: World, top: str = STICK) -> list[Node]:
    found = [world.files._resolve(top)]
    for node in found:
        found += node.children.values()
    return [node for node in found if node.kind == "file"]


def shift(world: World, by: int, top: str = STICK) -> None:
    for node in nodes(world, top):
        node.mtime += by


@pytest.mark.parametrize("type_", ["vfat", "exfat", "fuse.exfat"])
@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_an_hour_of_all_files_is_a_baseline_and_no_change(
    tmp_path: Path, type_: str, by: int
) -> None:
    world = stick(tmp_path, type_)
    fingerprints = {path: each.fingerprints for path, each in world.store.snapshot.items()}
    assert fingerprints[ROOT.path]
    before = world.project()
    world.store.metadata.save(
        [MetadataUpdate(BIG, before[BIG][1], before[BIG][2], digests={"xxh3": b"x" * 16})], 1
    )
    shift(world, by)
    read = world.files.bytes_read
    assert world.scan() == []
    assert sorted(world.baselines()) == [
        (OTHER.path, "clock shifted"),
        (ROOT.path, "clock shifted"),
    ]
    now = world.project()
    assert now[BIG][2] == before[BIG][2] + by
    assert world.files.bytes_read == read
    assert {path: each.fingerprints for path, each in world.store.snapshot.items()} == fingerprints
    assert world.store.metadata.digests_of(BIG, *now[BIG][1:]) == {"xxh3": b"x" * 16}
    assert world.scan() == []
    assert world.baselines() == []


def test_what_changed_besides_has_its_lines(tmp_path: Path) -> None:
    world = stick(tmp_path)
    shift(world, HOUR)
    world.files.write(BIG, b"other and longer" * 100)
    world.files._resolve(SMALL).mtime += 7 * 10**9  # of equal size, and touched
    world.files.write(ROOT.path + "/new", b"1")
    assert world.scan() == [("created", ROOT.path + "/new"), ("modified", BIG), ("modified", SMALL)]


def on_ext4(world: World) -> None:
    world.files.mount_table[-1] = Mount(STICK, "ext4", "/dev/sdb1")


def one_stays(world: World) -> None:
    world.files._resolve(OTHER.path + "/d").mtime -= HOUR


def half_an_hour(world: World) -> None:
    shift(world, -HOUR // 2)


def two_hours(world: World) -> None:
    shift(world, HOUR)


def a_second_more(world: World) -> None:
    shift(world, 10**9)


@pytest.mark.parametrize("differs", [one_stays, half_an_hour, two_hours, a_second_more])
def test_every_other_difference_is_a_change(
    tmp_path: Path, differs: Callable[[World], None]
) -> None:
    world = stick(tmp_path)
    shift(world, HOUR)
    differs(world)
    lines = {line[1] for line in world.scan() if line[0] == "modified"}
    assert {BIG, SMALL, ROOT.path + "/c"} <= lines
    assert world.baselines() == []


@pytest.mark.parametrize("type_", ["ext4", "ntfs3", "cifs", "9p"])
def test_an_hour_on_other_types_is_a_change(tmp_path: Path, type_: str) -> None:
    world = stick(tmp_path, type_)
    shift(world, HOUR)
    assert len(world.scan()) == 4
