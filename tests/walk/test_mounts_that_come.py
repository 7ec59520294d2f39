"""Mounts that are there only after the first scans: one baseline, and nothing else (rule 9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem, Node
from tests.support.world import World

NAS = Mount("/m/loras", "nfs4", "nas:/models")
ROOT = Root("models", "/m")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A root with a folder `loras` of four files."""
    files = FakeFileSystem()
    for name in ("loras/l0", "loras/l1", "loras/l2", "loras/l3", "a/keep", "z/keep", "keep"):
        files.write(f"/m/{name}", name.encode())
    return World(tmp_path, files, (ROOT,)).settle()


def mount(world: World, mount: Mount = NAS) -> Node:
    """Mount a share of three files; the folder that it hides."""
    above, _, name = mount.point.rpartition("/")
    parent = world.files._resolve(above)
    hidden, share = parent.children[name], world.files._node("directory")
    for number in range(3):
        share.children[f"nas{number}"] = world.files._node("file", content=b"n%d" % number)
    parent.children[name] = share
    world.files.mount_table.append(mount)
    return hidden


def names(world: World) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in world.project() if "/loras/" in path)


@pytest.mark.parametrize("files", [0, 4])
def test_mount_over_a_known_folder_is_one_baseline(world: World, files: int) -> None:
    for number in range(files, 4):
        world.files.remove(f"/m/loras/l{number}")
    world.interval = 1
    world.settle()
    mount(world)
    assert world.scan() == []
    assert world.baselines() == [("/m/loras", "mounted")]
    assert names(world) == ["nas0", "nas1", "nas2"]
    assert world.scan() == []
    assert world.baselines() == []


def test_mount_over_a_folder_with_folders_hides_them_without_a_line(world: World) -> None:
    world.files.write("/m/loras/sub/deep/x", b"1")
    world.scan()
    mount(world)
    assert world.scan() == []
    assert [path for path in world.store.snapshot if "/loras" in path] == ["/m/loras"]


def test_files_that_a_mount_hid_come_back_when_a_person_drops_it(world: World) -> None:
    hidden = mount(world)
    world.scan()
    world.files.mount_table.pop()
    world.files._resolve("/m").children["loras"] = hidden
    assert world.scan() == []
    assert names(world) == ["nas0", "nas1", "nas2"]
    world.store.state.ask(0, "", "/m/loras", frozenset())
    world.scan()
    world.scan()
    assert names(world) == ["l0", "l1", "l2", "l3"]


def test_mount_that_comes_during_a_walk_is_left_to_the_next_scan(world: World) -> None:
    def come(path: str) -> None:
        world.files.on_list = None
        mount(world)

    world.files.on_list = come
    world.files.write("/m/a/new", b"1")
    assert world.scan() == [("created", "/m/a/new")]
    assert world.baselines() == []
    assert names(world) == ["l0", "l1", "l2", "l3"]
    assert world.scan() == []
    assert world.baselines() == [("/m/loras", "mounted")]
    assert names(world) == ["nas0", "nas1", "nas2"]


def test_mount_that_comes_over_an_empty_root_is_taken(tmp_path: Path) -> None:
    """The scanner started before the share was mounted."""
    files = FakeFileSystem()
    files.makedirs("/m/loras")
    root = Root("models", NAS.point)
    world = World(tmp_path, files, (root,)).settle()
    mount(world)
    assert world.scan() == []
    assert world.baselines() == [("/m/loras", "mounted")]
    assert (world.state(root), len(names(world))) == ("online", 3)
    world.files.mount_table.pop()
    assert world.scan() == []
    assert world.state(root) == "offline"


def test_empty_share_that_is_unmounted_is_offline(tmp_path: Path) -> None:
    files = FakeFileSystem()
    files.makedirs("/m/loras")
    files.mount_table.append(NAS)
    root = Root("models", NAS.point)
    world = World(tmp_path, files, (root,)).settle()
    world.files.mount_table.pop()
    world.scan()
    assert world.state(root) == "offline"


def test_packs_of_a_mount_that_comes_are_no_news_of_those_that_it_hides(tmp_path: Path) -> None:
    files = FakeFileSystem()
    files.write("/c/a/__init__.py", b"x")
    files.write("/c/a/pyproject.toml", b'[project]\nname = "a"\nversion = "1.0"\n')
    world = World(tmp_path, files, (Root("custom_nodes", "/c"),)).settle()
    assert world.store.memory.packs["/c/a"].version
    share = files._node("directory")
    share.children["__init__.py"] = files._node("file", content=b"y")
    files._resolve("/c").children["a"] = share
    files.mount_table.append(Mount("/c/a", "nfs4", "nas:/a"))
    for _ in range(3):
        assert world.scan() == []
    assert not world.store.memory.packs["/c/a"].version


# Mounts that come and go within one walk


def passing(world: World, opener: str, device: int) -> None:
    """A mount that comes when the walk opens the folder `opener`, and goes once all folders are
    listed: no mount table that is read before or after the walk has it."""
    files = world.files

    def come() -> None:
        files.faults.clear()
        hidden = mount(world)
        share = files._resolve(NAS.point)
        for node in (share, *share.children.values()):
            node.device = device

        def go() -> None:
            files.faults.clear()
            files.mount_table.pop()
            files._resolve("/m").children["loras"] = hidden

        files.faults["stat", "/m"] = files.faults["stat", NAS.point] = go

    files.faults["list", opener] = come


@pytest.mark.parametrize(
    ("device", "has_inodes"),
    [(1, True), (2, True), (2, False)],
    ids=["bind mount", "another disk", "without inode numbers"],
)
@pytest.mark.parametrize("opener", [NAS.point, "/m"])
def test_mount_that_comes_and_goes_within_a_walk_changes_nothing(
    world: World, device: int, has_inodes: bool, opener: str
) -> None:
    """It comes because the walk opens its folder, as an automounter does it, or just before."""
    if not has_inodes:
        world.files.shuffles_inodes = True
        world.files.mount_table[0] = Mount("/", "fuse.sshfs", "host:/")
        world.scan()
        world.store.state.ask(0, ROOT.id, "", frozenset())
        world.settle()
    before = world.project()
    world.files.asked.clear()
    passing(world, opener, device)
    assert world.scan() == []
    assert ("list", NAS.point) in world.files.asked
    assert NAS not in world.files.mount_table
    assert world.baselines() == []
    assert world.project() == before
    world.files.write("/m/loras/l4", b"new")
    assert world.scan() == [("created", "/m/loras/l4")]


def test_folders_of_another_device_without_a_mount_are_scanned(world: World) -> None:
    """As subvolumes of btrfs are. An unchanged one is not looked at twice."""
    share = world.files.makedirs("/m/sub/volume")
    share.device = 2
    world.files.write("/m/sub/volume/deep/file", b"x")
    world.files._resolve("/m/sub/volume/deep").device = 2
    created = ["/m/sub", "/m/sub/volume", "/m/sub/volume/deep", "/m/sub/volume/deep/file"]
    assert world.scan() == [("created", path) for path in created]
    assert world.files.asked.count(("stat", "/m/sub/volume")) == 1
    assert world.files.asked.count(("stat", "/m/sub/volume/deep")) == 0
    world.scan()
    world.files.asked.clear()
    world.scan()
    assert ("stat", "/m/sub/volume") not in world.files.asked
