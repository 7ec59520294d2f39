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


# Automounters


class Automounting(Disk):
    """A disk on which /net/nas is mounted once a folder in it is opened; a stat mounts nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.share = Mount("/net/nas", "fuse.bindfs", "/srv/nas")
        for name in NAMES:
            self.write(f"/net/nas/models/loras/{name}.safetensors", content(name))
        self.mount(self.share)
        point = {"direct": "/net/nas", "indirect": "/net"}[kind]
        map_ = Mount(point, "autofs", f"auto.{kind}", options=f"rw,fd=7,{kind}")
        self.mount_table.insert(1, map_)
        self.server_answers = True

    def list_directory(self, path, skip=frozenset(), mount_points=frozenset()):
        opens = path.startswith(("/net/nas", MODELS.path))
        if opens and self.server_answers and self.share not in self.mount_table:
            self.mount(self.share)
        return super().list_directory(path, skip, mount_points)

    def expire(self) -> None:
        if self.share in self.mount_table:
            self.unmount(self.share)


@pytest.mark.parametrize("kind", ["direct", "indirect"])
@pytest.mark.parametrize("where", ["point", "below", "link"])
def test_an_automounter_is_looked_through(tmp_path: Path, kind: str, where: str) -> None:
    disk = Automounting(kind)
    root = Root("models", {"point": "/net/nas", "below": "/net/nas/models"}.get(where, MODELS.path))
    if where == "link":
        disk.symlink("/net/nas/models", MODELS.path)
    disk.makedirs(DOWNLOADS.path)
    disk.expire()
    world = World(tmp_path, disk, (root, DOWNLOADS))
    lanes = set()
    expected: list[tuple[str, ...]] = []
    for number in range(5):
        zones = world.scanner.zones()
        lanes.add(tuple(lane_name(zones.location(zone, disk.mounts())) for zone in zones.all))
        assert world.scan() == expected
        assert states(world)[root.id] == ONLINE
        assert len(files_of(world)) == len(NAMES) + max(0, number - 1)
        assert world.store.memory.roots[root.id].mount_identity == disk.share.identity
        expected = []
        if number:
            name = f"loras/new{number}.safetensors"
            disk.write(f"/net/nas/models/{name}", content(name))
            top = "/net/nas/models" if where != "link" else MODELS.path
            expected = [("created", f"{top}/{name}".removeprefix("/home/u/"))]
        disk.expire()
    assert lanes == {("autofs /net/nas", LOCAL)}
    disk.server_answers = False
    for _ in range(3):
        assert world.scan() == []
        assert states(world)[root.id] == OFFLINE


def test_a_mount_inside_another_that_appears_when_it_is_opened(tmp_path: Path) -> None:
    """As exports inside exports of NFSv4."""
    disk = Automounting("indirect")
    disk.mount_table[1] = Mount("/net", "nfs4", "nas:/")
    disk.expire()
    world = World(tmp_path, disk, (Root("models", "/net/nas"),))
    disk.mount(disk.share)
    world.scan()
    for _ in range(3):
        disk.expire()
        assert world.scan() == []
        assert set(states(world).values()) == {ONLINE}
        assert len(files_of(world)) == len(NAMES)


# Files that are mount points

BIG = f"{MODELS.path}/vae/big.safetensors"


@pytest.fixture
def mounted_file(tmp_path: Path) -> World:
    """A world with a file that is mounted on a file."""
    disk = Disk()
    disk.write(f"{MODELS.path}/vae/other.safetensors", content("other"))
    disk.write(BIG, content("big"))
    disk.makedirs(DOWNLOADS.path)
    disk.mount_table.append(Mount(BIG, "fuse.sshfs", "nas:/big.safetensors"))
    return World(tmp_path, disk)


def test_a_file_that_is_a_mount_point_is_a_file(mounted_file: World) -> None:
    world = mounted_file
    world.scan()
    assert set(world.store.memory.roots) == {MODELS.id, DOWNLOADS.id}
    assert world.project()[BIG][:2] == ("file", 1000)
    assert world.scan() == []
    assert states(world) == {MODELS.id: ONLINE, DOWNLOADS.id: ONLINE}


def test_what_changes_in_a_mounted_file_is_seen(mounted_file: World) -> None:
    world = mounted_file
    world.settle()
    world.files.write(BIG, content("changed") + b"more")
    assert world.scan() == [("modified", "ComfyUI/models/vae/big.safetensors")]
    assert world.scan() == []
    assert world.entry("big.safetensors")["fingerprint"]


def test_a_mounted_file_that_does_not_answer_stays(mounted_file: World) -> None:
    world = mounted_file
    world.settle()
    world.workers.hanging.add(BIG)
    world.files.write(f"{MODELS.path}/vae/new.safetensors", content("new"))
    assert world.scan() == [("created", "ComfyUI/models/vae/new.safetensors")]
    assert world.project()[BIG][:2] == ("file", 1000)


def test_a_file_is_mounted_and_unmounted_over_a_known_one(mounted_file: World) -> None:
    world, files = mounted_file, mounted_file.files
    mount = files.mount_table.pop()
    world.settle()
    files.mount_table.append(mount)
    files.write(BIG, content("mounted") + b"more")
    assert world.scan() == [("modified", "ComfyUI/models/vae/big.safetensors")]
    files.mount_table.remove(mount)
    files.write(BIG, content("big"))
    # No name has changed: it is seen when size and time of every file are read again.
    lines = [line for _ in range(22) for line in world.scan()]
    assert lines == [("modified", "ComfyUI/models/vae/big.safetensors")]
    assert set(world.store.memory.roots) == {MODELS.id, DOWNLOADS.id}


def test_a_mounted_file_below_a_link(tmp_path: Path) -> None:
    disk = Disk()
    disk.write("/data/vae/big.safetensors", content("big"))
    disk.makedirs(MODELS.path)
    disk.symlink("/data", f"{MODELS.path}/all")
    disk.mount_table.append(Mount("/data/vae/big.safetensors", "ext4", "/dev/b1"))
    world = World(tmp_path, disk, (MODELS,)).settle()
    path = f"{MODELS.path}/all/vae/big.safetensors"
    assert world.project()[path][:2] == ("file", 1000)
    assert set(world.store.memory.roots) == {MODELS.id}
    disk.write("/data/vae/big.safetensors", content("big") + b"more")
    assert world.scan() == [("modified", path.removeprefix("/home/u/"))]
