"""A mount that is reached through a link keeps nothing once the link is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.core.memory import ONLINE
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem
from tests.support.world import DOWNLOADS, MODELS, World

NAS = Mount("/mnt/nas", "ext4", "/dev/b")
FOLDER = DOWNLOADS.path + "/c"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A folder that holds a link to the folder above a mount; both are known."""
    files = FakeFileSystem()
    for root in (MODELS, DOWNLOADS):
        files.write(root.path + "/keep", b"keep")
    files.write("/mnt/nas/x", b"1")
    files.mount_table.append(NAS)
    files.write(FOLDER + "/f", b"1")
    world = World(tmp_path, files)
    world.settle()
    files.symlink("/mnt", FOLDER + "/all")
    return world


def away(files: FakeFileSystem) -> None:
    files.mount_table.remove(NAS)
    files._resolve("/mnt/nas").children.clear()


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("scans", [1, 3], ids=["a mount that was met", "a mount that was walked"])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_folder_with_a_link_above_a_mount_can_be_removed(
    world: World, scans: int, one_by_one: bool, is_away: bool
) -> None:
    for _ in range(scans):
        world.scan()
    if is_away:
        away(world.files)
    if one_by_one:
        world.files.remove(FOLDER + "/all")
        world.scan()
    world.files.remove(FOLDER)
    world.scan()
    assert [path for path in world.project() if path.startswith(DOWNLOADS.path)] == [
        DOWNLOADS.path + "/keep"
    ]
    assert world.state(DOWNLOADS) == ONLINE
    assert world.scan() == []


@pytest.mark.parametrize("names", [["own"], ["nas", "nas/own"]])
def test_a_folder_in_place_of_a_link_above_a_mount_is_listed(
    world: World, names: list[str]
) -> None:
    for _ in range(3):
        world.scan()
    assert FOLDER + "/all/nas/x" in world.project()
    world.files.remove(FOLDER + "/all")
    world.files.write(f"{FOLDER}/all/{names[-1]}", b"own")
    world.scan()
    below = [path for path in world.project() if path.startswith(FOLDER + "/all/")]
    assert below == [f"{FOLDER}/all/{name}" for name in names]
    assert set(world.states().values()) == {ONLINE}
    assert world.scan() == []


def test_a_mount_below_a_link_that_cannot_be_read_is_kept(world: World) -> None:
    for _ in range(3):
        world.scan()
    known = world.project()
    files = world.files
    read_link = files.read_link

    def refused(path: str) -> str:
        if path == FOLDER + "/all":
            raise PermissionError(13, "Permission denied", path)
        return read_link(path)

    files.read_link = refused  # type: ignore[method-assign]
    world.scan()
    files.read_link = read_link  # type: ignore[method-assign]
    world.scan()
    assert world.project() == known


def test_a_file_in_place_of_a_link_to_another_mount_is_a_file(world: World) -> None:
    link = DOWNLOADS.path + "/nas"
    world.files.symlink("/mnt/nas", link)
    for _ in range(3):
        world.scan()
    assert link + "/x" in world.project()
    world.files.remove(link)
    world.files.write(link, b"file")
    world.scan()
    assert world.project()[link][0] == "file"
    world.scan()
    assert set(world.states().values()) == {ONLINE}
    assert world.scan() == []


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_link_to_a_mount_that_was_never_walked_leaves_nothing(
    world: World, is_renamed: bool, is_away: bool
) -> None:
    world.files.symlink("/mnt/nas", FOLDER + "/nas")
    world.scan()
    if is_away:
        away(world.files)
        world.scan()
    link = FOLDER + "/nas"
    assert link in records(world)
    if is_renamed:
        world.files.rename(FOLDER, DOWNLOADS.path + "/d")
    else:
        world.files.remove(FOLDER)
    for _ in range(2):
        world.scan()
    assert link not in records(world)


def records(world: World) -> set[str]:
    return {record.path for record in world.store.memory.roots.values()}
