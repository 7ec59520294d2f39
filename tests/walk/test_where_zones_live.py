"""The mount that counts is the one where a zone really lives, whatever the words of its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.core.memory import OFFLINE, ONLINE, PARTIAL, STALLED
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.service.lanes import LOCAL, lane_name
from scanner.store.projection import root_states
from tests.support.fakes import FakeFileSystem, Node
from tests.support.world import DOWNLOADS, MODELS, World, at, content

NAS = Mount("/mnt/nas", "fuse.sshfs", "nas:/models")
NAMES = [f"f{number}" for number in range(30)]


class Disk(FakeFileSystem):
    """A fake disk on which folders are mounted and unmounted."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: dict[str, dict[str, Node]] = {}

    def mount(self, mount: Mount) -> None:
        folder = self.makedirs(mount.point)
        folder.children = self.shares.pop(mount.point, folder.children)
        self.mount_table.append(mount)

    def unmount(self, mount: Mount) -> None:
        folder = self.makedirs(mount.point)
        self.shares[mount.point], folder.children = folder.children, {}
        self.mount_table.remove(mount)


@pytest.fixture
def disk() -> Disk:
    """A share with 30 models at /mnt/nas."""
    disk = Disk()
    for name in NAMES:
        disk.write(f"/mnt/nas/loras/{name}.safetensors", content(name))
    disk.mount(NAS)
    disk.makedirs(DOWNLOADS.path)
    return disk


def states(world: World) -> dict[str, str]:
    return {root.id: state.state for root, state in root_states(world.store, world.roots)}


def scan_for_a_while(world: World) -> None:
    """Long enough for a hold to be lifted; nothing may be told as a change."""
    for _ in range(4):
        assert world.scan() == []


def linked_root(disk: Disk) -> Root:
    disk.symlink("/mnt/nas", MODELS.path)
    return MODELS


def root_below_a_link(disk: Disk) -> Root:
    disk.symlink("/mnt", at("Comfy"))
    return Root("models", at("Comfy/nas/loras"))


def mount_below_a_linked_root(disk: Disk) -> Root:
    disk.write("/mnt/vae/v.safetensors", content("v"))
    disk.symlink("/mnt", MODELS.path)
    return MODELS


def link_above_a_mount(disk: Disk) -> Root:
    disk.write("/mnt/vae/v.safetensors", content("v"))
    disk.makedirs(MODELS.path)
    disk.symlink("../../../../mnt", f"{MODELS.path}/all")
    return MODELS


def mount_below_a_link_to_another_mount(disk: Disk) -> Root:
    disk.mount(Mount("/mnt", "xfs", "/dev/b1"))
    disk.mount_table.remove(NAS)
    disk.mount_table.append(NAS)
    disk.makedirs(MODELS.path)
    disk.symlink("/mnt", f"{MODELS.path}/all")
    return MODELS


LAYOUTS = [
    linked_root,
    root_below_a_link,
    mount_below_a_linked_root,
    link_above_a_mount,
    mount_below_a_link_to_another_mount,
]


def files_of(world: World) -> list[str]:
    return [path for path in world.project() if path.endswith(".safetensors")]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unmounted_share_deletes_nothing(tmp_path: Path, disk: Disk, layout) -> None:
    world = World(tmp_path, disk, (layout(disk), DOWNLOADS))
    for _ in range(4):
        world.scan()
    known = world.project()
    assert len([path for path in known if "/f" in path]) == len(NAMES)
    disk.unmount(NAS)
    scan_for_a_while(world)
    assert world.project() == known
    assert states(world)[world.roots[0].id] in (OFFLINE, PARTIAL)
    disk.mount(NAS)
    disk.write("/mnt/nas/loras/new.safetensors", content("new"))
    (change,) = world.scan()
    assert (change[0], change[1].endswith("/loras/new.safetensors")) == ("created", True)
    assert states(world)[world.roots[0].id] == ONLINE


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_share_that_hangs_stops_nothing_else(tmp_path: Path, disk: Disk, layout) -> None:
    world = World(tmp_path, disk, (layout(disk), DOWNLOADS))
    for _ in range(4):
        world.scan()
    zones, mounts = world.scanner.zones(), disk.mounts()
    lanes = {lane_name(zones.location(zone, mounts)) for zone in zones.all}
    assert lanes == {LOCAL, "fuse.sshfs /mnt/nas"}
    known = world.project()
    world.workers.hanging.add("/mnt/nas")
    disk.write(f"{DOWNLOADS.path}/d.bin", b"d")
    asked = len(disk.asked)
    assert world.scan() == [("created", "Downloads/d.bin")]
    assert not [path for _, path in disk.asked[asked:] if "/loras" in path]
    assert world.project().items() > known.items()
    record = world.store.memory.roots
    assert STALLED in {record[zone.id].state for zone in zones.all}


def test_changes_below_a_linked_root_are_its_own(tmp_path: Path, disk: Disk) -> None:
    """Links inside it stay on its mount, by their own words or relative to it."""
    disk.symlink("loras", "/mnt/nas/relative")
    disk.symlink("/mnt/nas/loras", "/mnt/nas/absolute")
    world = World(tmp_path, disk, (linked_root(disk),))
    world.scan()
    assert len(world.scanner.zones().all) == 1
    assert at(f"ComfyUI/models/relative/{NAMES[0]}.safetensors") in world.project()
    disk.write("/mnt/nas/loras/new.safetensors", content("new"))
    assert world.scan() == [
        ("created", f"ComfyUI/models/{folder}/new.safetensors")
        for folder in ("absolute", "loras", "relative")
    ]


def test_a_link_that_goes_takes_the_mounts_below_it_along(tmp_path: Path, disk: Disk) -> None:
    world = World(tmp_path, disk, (link_above_a_mount(disk),))
    for _ in range(3):
        world.scan()
    disk.remove(f"{MODELS.path}/all")
    scanned = [world.scan() for _ in range(3)]
    assert {line[0] for lines in scanned for line in lines} == {"deleted"}
    assert not files_of(world)
    assert [zone.path for zone in world.scanner.zones().all] == [MODELS.path]
    assert set(world.store.memory.roots) == {MODELS.id}


def test_a_mount_made_later_below_a_known_link(tmp_path: Path, disk: Disk) -> None:
    disk.unmount(NAS)
    world = World(tmp_path, disk, (link_above_a_mount(disk),))
    world.settle()
    disk.mount(NAS)
    for _ in range(3):
        world.scan()
    known = world.project()
    assert len([path for path in known if "/f" in path]) == len(NAMES)
    disk.unmount(NAS)
    scan_for_a_while(world)
    assert world.project() == known


def test_a_state_of_earlier_versions_knows_the_wrong_mount_of_a_linked_root(
    tmp_path: Path, disk: Disk
) -> None:
    world = World(tmp_path, disk, (linked_root(disk),)).settle()
    record = world.store.memory.roots[MODELS.id]
    record.target, record.mount_point, record.mount_identity = "", "/", disk.mounts()[0].identity
    assert world.scan() == []
    assert states(world) == {MODELS.id: ONLINE}
    disk.unmount(NAS)
    scan_for_a_while(world)
    assert states(world) == {MODELS.id: OFFLINE}
    assert len(files_of(world)) == len(NAMES)
