"""A state is lost while a mount is away: the inventory says on which mounts the roots lived."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from scanner.comfyui.installation import Found, UnreadFile
from scanner.comfyui.known_roots import with_known_roots
from scanner.core.memory import roots_of
from scanner.core.mount_identity import MountIdentity
from scanner.core.roots import Root
from scanner.core.serialize import raw_text
from scanner.disk.mounts import Mount
from scanner.output.inventory_reader import read_header
from scanner.schemas import load_schema
from tests.support.fakes import FakeFileSystem, Node
from tests.support.world import World

NAS = Mount("/mnt/nas", "fuse.sshfs", "nas:/models")
INNER = Mount("/models/nas", "nfs4", "nas:/models")


def lose_state(world: World) -> None:
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.open()


def make_older(world: World) -> None:
    """Make the inventory one of an older version."""
    path = Path(world.outputs.inventory)
    lines = path.read_bytes().split(b"\n")
    header = json.loads(lines[0] + b"]}")
    del header["mounts"], header["entries"]
    for root in header["roots"]:
        root.pop("named_by", None)
    lines[0] = json.dumps(header).encode()[:-1] + b',"entries":['
    path.write_bytes(b"\n".join(lines))


def unmounted(world: World, mount: Mount) -> dict[str, Node]:
    world.files.mount_table.remove(mount)
    folder = world.files._resolve(mount.point)
    children = dict(folder.children)
    folder.children.clear()
    return children


def world_with(folder: Path, mount: Mount, roots: tuple[Root, ...]) -> World:
    files = FakeFileSystem()
    files.mount_table.append(mount)
    for number in range(25):
        files.write(f"{mount.point}/l{number}", b"%d" % number)
        files.write(f"/models/c{number}", b"c%d" % number)
    return World(folder, files, roots).settle()


@pytest.mark.parametrize("is_old", [False, True])
def test_root_whose_mount_is_away_is_offline(tmp_path: Path, is_old: bool) -> None:
    root = Root("models", NAS.point)
    world = world_with(tmp_path, NAS, (root,))
    known = world.project()
    if is_old:
        make_older(world)
    children = unmounted(world, NAS)
    lose_state(world)
    for _ in range(3):
        assert world.scan() == []
        assert world.state(root) == "offline"
        assert world.project() == known
    world.files._resolve(NAS.point).children.update(children)
    world.files.mount_table.append(NAS)
    assert world.scan() == []
    assert (world.state(root), world.project()) == ("online", known)
    assert world.baselines() == [("/mnt/nas", "state lost")]


def test_mount_below_a_root_that_is_away_keeps_its_entries(tmp_path: Path) -> None:
    root = Root("models", "/models")
    world = world_with(tmp_path, INNER, (root,))
    known = world.project()
    children = unmounted(world, INNER)
    lose_state(world)
    for _ in range(3):
        assert world.scan() == []
        assert world.state(Root("models", INNER.point)) == "offline"
        assert world.project() == known
    world.files._resolve(INNER.point).children.update(children)
    world.files.remove(f"{INNER.point}/l3")
    world.files.mount_table.append(INNER)
    assert world.scan() == [("deleted", "/models/nas/l3")]
    assert world.baselines() == [("/models/nas", "state lost")]


def test_another_share_is_held_after_the_state_was_lost(tmp_path: Path) -> None:
    root = Root("models", NAS.point)
    world = world_with(tmp_path, NAS, (root,))
    unmounted(world, NAS)
    world.files.mount_table.append(NAS._replace(source="other:/models"))
    lose_state(world)
    assert world.scan() == []
    assert world.state(root) == "held"
    assert "another file system" in world.store.memory.roots[root.id].reason


def test_header_names_the_mount_of_each_root_and_of_each_mount_below(tmp_path: Path) -> None:
    root = Root("models", "/models")
    world = world_with(tmp_path, INNER, (root,))
    header = read_header(world.outputs.inventory)
    assert header is not None
    Draft202012Validator(load_schema("inventory")).validate({**header, "entries": []})
    disk = {"type": "ext4", "source": "/dev/fake1", "within": "/"}
    share = {"type": "nfs4", "source": "nas:/models", "within": "/"}
    assert header["mounts"] == [
        {"path": "/models", "point": "/", **disk},
        {"path": "/models/nas", "point": "/models/nas", **share},
    ]


def test_inventory_of_an_older_version_learns_the_mounts_without_a_change(tmp_path: Path) -> None:
    world = world_with(tmp_path, NAS, (Root("models", NAS.point),))
    make_older(world)
    world.restart()
    assert world.scan(advance=700) == []
    header = read_header(world.outputs.inventory)
    assert header is not None
    assert [MountIdentity(NAS.type, NAS.source, "/")] == [
        MountIdentity(fields["type"], fields["source"], fields["within"])
        for fields in header["mounts"]
    ]


YAML = "/caf\udce9/extra_model_paths.yaml"
NAMED = Root("models", NAS.point, named_by=YAML)


@pytest.mark.parametrize("problem", ["it is missing", "it is empty"])
def test_root_stays_if_the_file_that_named_it_is_not_whole(tmp_path: Path, problem: str) -> None:
    models = Root("models", "/models")
    world = world_with(tmp_path, NAS, (models, NAMED))
    header = read_header(world.outputs.inventory)
    assert header is not None
    Draft202012Validator(load_schema("inventory")).validate({**header, "entries": []})
    known = world.project()
    lose_state(world)
    unread = UnreadFile(YAML, problem, is_absent=problem == "it is missing")
    found = Found("/c", "/", (models,), unread=(unread,))
    world.roots = with_known_roots(found, roots_of(world.store.memory.roots.values())).roots
    world.restart()
    assert world.scan() == []
    assert world.project() == known
    assert set(world.baselines()) == {("/models", "state lost"), ("/mnt/nas", "state lost")}


def test_header_names_the_file_that_names_a_root(tmp_path: Path) -> None:
    """A file that takes a root over from the settings changes nothing else."""
    models = Root("models", "/models")
    plain = Root("models", NAS.point)
    world = world_with(tmp_path, NAS, (models, plain))
    world.roots = (models, NAMED)
    world.restart()
    assert world.scan(advance=700) == []
    assert origins(world) == {"/models": None, "/mnt/nas": YAML}
    make_older(world)
    world.restart()
    assert world.scan(advance=700) == []
    assert origins(world) == {"/models": None, "/mnt/nas": YAML}


def origins(world: World) -> dict[str, str | None]:
    header = read_header(world.outputs.inventory)
    assert header is not None
    return {
        root["path"]: raw_text(root, "named_by") if "named_by" in root else None
        for root in header["roots"]
    }


def test_mount_below_the_target_of_a_link_that_is_away_keeps_its_entries(tmp_path: Path) -> None:
    """models/up -> /srv, and /srv/nas is a mount: the link does not lead to it, but above it."""
    root, nas = Root("models", "/models"), Mount("/srv/nas", "fuse.sshfs", "nas:/models")
    files = FakeFileSystem()
    files.symlink("/srv", "/models/up")
    files.mount_table.append(nas)
    for number in range(25):
        files.write(f"/srv/nas/l{number}", b"%d" % number)
    files.write("/srv/x", b"1")
    world = World(tmp_path, files, (root,)).settle().settle()
    known = world.project()
    assert "/models/up/nas/l1" in known
    children = unmounted(world, nas)
    lose_state(world)
    for _ in range(3):
        assert world.scan() == []
        assert world.project() == known
    files._resolve(nas.point).children.update(children)
    files.mount_table.append(nas)
    world.scan()
    assert world.project() == known
    assert world.scan() == []


@pytest.mark.parametrize("version", ["", "without mounts", "wrong"])
def test_header_names_the_file_system_of_a_mount_that_is_away(tmp_path: Path, version: str) -> None:
    """It is not that of the empty folder where the mount belongs."""
    root = Root("models", NAS.point)
    world = world_with(tmp_path, NAS, (root,))

    def told() -> str:
        header = read_header(world.outputs.inventory)
        assert header is not None
        (fields,) = header["roots"]
        return f"{fields['state']} {fields['filesystem']}"

    if version == "without mounts":
        make_older(world)
    path = Path(world.outputs.inventory)
    if version == "wrong":  # as earlier versions left it, once the mount was away
        path.write_bytes(
            path.read_bytes().replace(b'"filesystem":"fuse.sshfs"', b'"filesystem":"ext4"')
        )
    children = unmounted(world, NAS)
    for _ in range(3):
        lose_state(world)
        world.scan()
        assert told() == "offline fuse.sshfs"
    world.files._resolve(NAS.point).children.update(children)
    world.files.mount_table.append(NAS)
    world.scan()
    assert told() == "online fuse.sshfs"
