"""Mounts below a root are walked, guarded and held by themselves."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from scanner.core.progress import Progress
from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from scanner.output.inventory_reader import read_header
from scanner.settings.schema import Settings
from scanner.store.projection import root_states
from tests.support.world import MODELS, World, at, content

NAS = Mount(at("ComfyUI/models/loras"), "ext4", "/dev/fake9")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A models folder on the local disk whose `loras` is another mount."""
    world = World(tmp_path)
    world.files.mount_table.append(NAS)
    world.files.write(at("ComfyUI/models/vae/v.safetensors"), content("v"))
    for name in ("a", "b", "c"):
        world.files.write(at(f"ComfyUI/models/loras/{name}.safetensors"), content(name))
    world.scan()
    return world


def lora(name: str) -> str:
    return f"ComfyUI/models/loras/{name}.safetensors"


def reached(world: World) -> list[str]:
    header = read_header(world.outputs.inventory)
    assert header is not None
    return [place["path"] for place in header["unreachable"]]


def unmount(world: World) -> dict:
    world.files.mount_table.remove(NAS)
    folder = world.files._resolve(at("ComfyUI/models/loras"))
    children, folder.children = folder.children, {}
    return children


def mount(world: World, children: dict) -> None:
    world.files.mount_table.append(NAS)
    world.files._resolve(at("ComfyUI/models/loras")).children = children


def test_mount_below_a_root_is_listed_as_part_of_it(world: World) -> None:
    assert ("ComfyUI/models/loras", "mounted") in world.baselines()
    assert at(lora("a")) in world.inventory()
    world.files.write(at(lora("d")), b"d")
    assert world.scan() == [("created", lora("d"))]
    assert world.lines[0]["root"] == MODELS.id


def test_unmounted_folder_keeps_its_entries_and_the_rest_goes_on(world: World) -> None:
    children = unmount(world)
    world.files.write(at("ComfyUI/models/vae/w.safetensors"), b"w")
    assert world.scan() == [("created", "ComfyUI/models/vae/w.safetensors")]
    assert at(lora("a")) in world.inventory()
    assert {r.id: s.state for r, s in root_states(world.store, world.roots)}[MODELS.id] == "partial"
    assert reached(world) == ["ComfyUI/models/loras"]
    for _ in range(3):
        assert world.scan() == []
    mount(world, children)
    assert world.scan() == []
    assert {r.id: s.state for r, s in root_states(world.store, world.roots)}[MODELS.id] == "online"
    assert reached(world) == []


def test_folder_that_goes_with_its_mount_keeps_its_entries(world: World) -> None:
    """As below /run/media, where the folder itself is removed."""
    children = unmount(world)
    world.files.remove(at("ComfyUI/models/loras"))
    assert world.scan() == []
    assert at("ComfyUI/models/loras") in world.inventory()
    assert at(lora("a")) in world.inventory()
    world.files.makedirs(at("ComfyUI/models/loras"))
    mount(world, children)
    assert world.scan() == []


def test_files_below_an_unmounted_mount_point_are_not_taken_for_its_own(world: World) -> None:
    unmount(world)
    world.files.write(at(lora("local")), b"written while the mount was gone")
    assert world.scan() == []
    assert at(lora("a")) in world.inventory()


@pytest.mark.parametrize("is_link", [False, True])
def test_what_stands_in_the_way_of_an_unmounted_mount_deletes_nothing(
    tmp_path: Path, is_link: bool
) -> None:
    """`World.scan` replays the lines of each scan."""
    world = World(tmp_path)
    point, above = at("ComfyUI/models/sub/nas"), at("ComfyUI/models/sub")
    world.files.write(at("ComfyUI/models/a"), b"1")
    world.files.write(f"{point}/loras/x", b"1")
    world.files.mount_table.append(NAS._replace(point=point))
    world.settle()
    before = world.project()
    world.files.mount_table.pop()
    world.files.remove(above)
    if is_link:
        world.files.symlink(at("ComfyUI/models/a"), above)
    else:
        world.files.write(above, b"a file now")
    for _ in range(2):
        assert world.scan() == []
        assert world.project() == before
    world.store.state.ask(0, "", point, frozenset())
    world.scan()
    world.scan()
    assert world.project()[above][0] == ("symlink" if is_link else "file")


def test_mount_is_remembered_over_a_restart(world: World) -> None:
    unmount(world)
    world.restart()
    assert world.scan() == []
    assert at(lora("a")) in world.inventory()


def test_person_drops_an_unmounted_mount_and_its_folder_is_local_again(world: World) -> None:
    unmount(world)
    world.scan()
    world.store.state.ask(0, "", at("ComfyUI/models/loras"), frozenset())
    assert world.scan() == [("deleted", lora("a")), ("deleted", lora("b")), ("deleted", lora("c"))]
    world.files.write(at(lora("local")), b"local")
    world.scan()
    assert at(lora("local")) in world.inventory()
    assert reached(world) == []


@pytest.mark.parametrize("error", ["list", "stat", "root"])
def test_dropping_a_folder_keeps_the_healthy_mount_below_it(tmp_path: Path, error: str) -> None:
    """`World.scan` replays the lines of each scan."""
    world = World(tmp_path)
    folder, point = at("ComfyUI/models/sub"), at("ComfyUI/models/sub/deep/nas")
    world.files.write(f"{point}/x", b"1")
    world.files.mount_table.append(NAS._replace(point=point))
    world.files.write(f"{folder}/own", b"12")
    world.files.write(f"{folder}/deep/own", b"123")
    world.settle()
    before = world.project()
    place = MODELS.path if error == "root" else folder
    operations = ("stat", "lstat") if error == "stat" else ("list",)
    world.files.faults = {(operation, place): errno.EACCES for operation in operations}
    assert world.scan() == []
    number = world.store.state.ask(0, "", place, frozenset())
    names = ["deep/own", "own"] if error != "stat" else []
    assert world.scan() == [("deleted", f"ComfyUI/models/sub/{name}") for name in names]
    assert f"{point}/x" in world.project()
    answer = world.store.state.answer_of(number) or ""
    assert answer.endswith(f" what is on {point} stays")
    assert world.scan() == []
    world.restart()
    assert world.scan() == []
    assert f"{point}/x" in world.inventory()
    world.files.faults.clear()
    world.scan()
    world.scan()
    assert world.project() == before
    world.files.write(f"{point}/y", b"1")
    assert world.scan() == [("created", "ComfyUI/models/sub/deep/nas/y")]


def test_other_disk_on_an_inner_mount_point_is_held(world: World) -> None:
    world.files.mount_table[-1] = NAS._replace(source="/dev/other")
    world.files.remove(at(lora("a")))
    assert world.scan() == []
    place = Root("models", NAS.point)
    assert world.store.memory.roots[place.id].state == "held"
    world.store.state.ask(0, place.id, "", frozenset())
    assert world.scan() == [("deleted", lora("a"))]


def test_inner_mount_has_its_own_loss_hold(world: World) -> None:
    for name in ("a", "b", "c"):
        world.files.remove(at(lora(name)))
    world.files.remove(at("ComfyUI/models/vae/v.safetensors"))
    assert world.scan() == [("deleted", "ComfyUI/models/vae/v.safetensors")]
    assert len(world.scan()) == 3


def test_error_of_an_inner_mount_is_its_own(world: World) -> None:
    world.files.faults["stat", NAS.point] = errno.ENOTCONN
    world.files.remove(at("ComfyUI/models/vae/v.safetensors"))
    assert world.scan() == [("deleted", "ComfyUI/models/vae/v.safetensors")]
    assert at(lora("a")) in world.inventory()
    world.files.faults.clear()
    assert world.scan() == []


def test_folder_on_the_mount_is_not_touched_by_the_walk_around_it(world: World) -> None:
    world.files.asked.clear()
    world.scanner.scan((MODELS,), interval=30)
    asked = {path for operation, path in world.files.asked if operation in ("list", "stat")}
    assert not [path for path in asked if path.startswith(NAS.point)]


def test_move_from_a_local_folder_to_the_mount_is_one_move(world: World) -> None:
    world.files.rename(at("ComfyUI/models/vae/v.safetensors"), at(lora("v")))
    world.files.write(at("ComfyUI/models/vae/keep"), b"1")
    assert ("moved", "ComfyUI/models/vae/v.safetensors", lora("v")) in world.scan()


# Links to other mounts

SHARE = Mount("/mnt/nas", "cifs", "//nas/models")


def linked_to(mount: Mount, tmp_path: Path) -> World:
    """A models folder with a link to a folder, and one to a file, on `mount`."""
    world = World(tmp_path)
    world.files.mount_table.append(mount)
    world.files.write("/mnt/nas/loras/a.safetensors", content("a"))
    world.files.write("/mnt/nas/loras/b.safetensors", content("b"))
    world.files.write("/mnt/nas/vae.safetensors", content("vae"))
    world.files.write(at("ComfyUI/models/vae/v.safetensors"), content("v"))
    world.files.symlink("/mnt/nas/loras", at("ComfyUI/models/loras"))
    world.files.symlink("/mnt/nas/vae.safetensors", at("ComfyUI/models/vae/nas.safetensors"))
    world.scan()
    world.scan()
    return world


@pytest.fixture
def linked(tmp_path: Path) -> World:
    return linked_to(SHARE, tmp_path)


def test_link_to_a_share_is_walked_by_itself(linked: World) -> None:
    assert linked.project()[at(lora("a"))][0] == "file"
    assert linked.project()[at("ComfyUI/models/vae/nas.safetensors")][:2] == ("symlink", 1000)
    linked.files.write("/mnt/nas/loras/c.safetensors", b"c")
    linked.files.write("/mnt/nas/vae.safetensors", b"changed")
    assert linked.scan() == [
        ("created", lora("c")),
        ("modified", "ComfyUI/models/vae/nas.safetensors"),
    ]
    linked.files.asked.clear()
    linked.scanner.scan((MODELS,), interval=30)
    assert not [path for _, path in linked.files.asked if path.startswith(at(lora("")[:21]))]


def test_unmounted_share_keeps_what_links_led_to(linked: World) -> None:
    before = linked.project()
    linked.files.mount_table.remove(SHARE)
    nas = linked.files._resolve("/mnt/nas")
    children, nas.children = nas.children, {}
    for _ in range(3):
        assert linked.scan() == []
    assert linked.project() == before
    nas.children = children
    linked.files.mount_table.append(SHARE)
    assert linked.scan() == []
    assert linked.project() == before


def test_removed_link_takes_what_it_led_to(linked: World) -> None:
    linked.files.remove(at("ComfyUI/models/loras"))
    assert linked.scan() == [
        ("deleted", "ComfyUI/models/loras"),
        ("deleted", lora("a")),
        ("deleted", lora("b")),
    ]
    assert linked.scan() == []


def test_link_whose_target_becomes_a_file_is_a_link_to_a_file(linked: World) -> None:
    linked.files.remove("/mnt/nas/loras")
    linked.files.write("/mnt/nas/loras", b"now a file")
    assert linked.scan() == [
        ("created", "ComfyUI/models/loras"),
        ("deleted", "ComfyUI/models/loras"),
        ("deleted", lora("a")),
        ("deleted", lora("b")),
    ]
    assert linked.project()[at("ComfyUI/models/loras")][:2] == ("symlink", 10)
    assert set(linked.states().values()) == {"online"}
    linked.files.remove("/mnt/nas/loras")
    linked.files.write("/mnt/nas/loras/new", b"a folder again")
    assert linked.scan()[:2] == [
        ("created", "ComfyUI/models/loras"),
        ("deleted", "ComfyUI/models/loras"),
    ]
    linked.scan()
    assert at("ComfyUI/models/loras/new") in linked.project()


def test_link_whose_target_is_gone_on_a_healthy_disk_is_broken(tmp_path: Path) -> None:
    linked = linked_to(Mount("/mnt/nas", "ext4", "/dev/fake2"), tmp_path)
    linked.files.remove("/mnt/nas/vae.safetensors")  # so that the disk is empty then
    linked.scan()
    linked.files.remove("/mnt/nas/loras")
    assert linked.scan() == [
        ("created", "ComfyUI/models/loras"),
        ("deleted", "ComfyUI/models/loras"),
        ("deleted", lora("a")),
        ("deleted", lora("b")),
    ]
    assert linked.project()[at("ComfyUI/models/loras")][:2] == ("symlink", 0)
    assert set(linked.states().values()) == {"online"}
    assert reached(linked) == []


def test_link_whose_target_a_share_lost_stays_until_a_person_says_so(linked: World) -> None:
    """The server may have lost a disk."""
    before = linked.project()
    linked.files.remove("/mnt/nas/loras")
    for _ in range(3):
        assert linked.scan() == []
    assert linked.project() == before
    assert reached(linked) == ["ComfyUI/models/loras"]
    linked.store.state.ask(0, "", at("ComfyUI/models/loras"), frozenset())
    assert linked.scan() == [("deleted", lora("a")), ("deleted", lora("b"))]
    linked.scan()
    assert linked.project()[at("ComfyUI/models/loras")][:2] == ("symlink", 0)
    assert at(lora("a")) not in linked.project()
    assert reached(linked) == []


def test_target_that_its_folder_still_lists_is_not_gone(linked: World) -> None:
    before = linked.project()
    for path in ("/mnt/nas/loras", at("ComfyUI/models/loras")):
        linked.files.faults["stat", path] = errno.ENOENT
    for _ in range(3):
        assert linked.scan() == []
    assert linked.project() == before


def test_repointed_link_is_compared(linked: World) -> None:
    linked.files.write("/mnt/nas/other/a.safetensors", content("other"))
    linked.files.advance(1)
    linked.files.symlink("/mnt/nas/other", at("ComfyUI/models/loras"))
    found = linked.scan() + linked.scan() + linked.scan()
    assert sorted(found) == [
        ("deleted", lora("b")),
        ("modified", "ComfyUI/models/loras"),
        ("modified", lora("a")),
    ]


def test_share_that_links_back_is_no_endless_tree(linked: World) -> None:
    linked.files.symlink(at("ComfyUI/models"), "/mnt/nas/loras/back")
    linked.files.symlink("/mnt/nas", "/mnt/nas/loras/up")
    for _ in range(4):
        linked.scan()
    assert at("ComfyUI/models/loras/back") in linked.inventory()
    assert not [path for path in linked.inventory() if "/back/" in path or "/up/loras/up/" in path]


def test_link_is_dead_when_its_target_left_an_empty_folder(tmp_path: Path) -> None:
    """It was on this mount in the last scan, so that the folder is no unmounted one."""
    world = World(tmp_path)
    world.files.write("/data/a/sd/f", b"f")
    world.files.symlink("/data/a/sd", at("ComfyUI/models/sd"))
    world.settle()
    world.files.remove("/data/a/sd")
    assert world.scan() == [
        ("created", "ComfyUI/models/sd"),
        ("deleted", "ComfyUI/models/sd"),
        ("deleted", "ComfyUI/models/sd/f"),
    ]
    for _ in range(3):
        assert reached(world) == []
        assert world.scan() == []
    assert set(world.states().values()) == {"online"}
    world.files.write("/data/a/sd/g", b"g")
    world.scan()
    assert at("ComfyUI/models/sd/g") in world.project()


def test_link_that_never_led_anywhere_may_lead_to_an_unmounted_folder(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.files.makedirs("/data/a")
    world.files.symlink("/data/a/sd", at("ComfyUI/models/sd"))
    world.settle()
    assert reached(world) == ["ComfyUI/models/sd"]


def test_link_to_a_local_disk_is_guarded_like_a_share(tmp_path: Path) -> None:
    """An external drive: once unmounted its mount point is an empty folder, or none."""
    world = World(tmp_path)
    usb = Mount("/media/usb", "exfat", "/dev/sdb1")
    world.files.mount_table.append(usb)
    for name in ("a", "b"):
        world.files.write(f"/media/usb/{name}", content(name))
    world.files.write("/media/other/x", b"x")
    world.files.symlink("/media/usb", at("ComfyUI/models/usb"))
    world.scan()
    world.scan()
    before = world.project()
    assert at("ComfyUI/models/usb/a") in before
    world.files.mount_table.remove(usb)
    node = world.files._resolve("/media").children["usb"]
    children, node.children = node.children, {}
    for _ in range(3):
        assert world.scan() == []
    world.files.remove("/media/usb")
    for _ in range(3):
        assert world.scan() == []
    assert world.project() == before
    world.files.makedirs("/media/usb").children = children
    world.files.mount_table.append(usb._replace(source="/dev/other"))
    assert world.scan() == []
    world.files.mount_table[-1] = usb
    assert world.scan() == []
    assert world.project() == before


def test_rules_that_a_walk_goes_by_are_those_it_is_compared_by(world: World) -> None:
    """The lane around a mount commits while the mount is walked, and then knows all rules."""
    world.files.write(at(lora("d") + ".bak"), b"1")
    world.scan()
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.settings = Settings(ignore=("*.bak",))
    world.open()
    zones = world.scanner.zones()
    around = [zone for zone in zones.all if zone not in zones.inner]
    inner = list(zones.inner)

    def meanwhile(done: Progress) -> None:
        while around:
            world.scanner.scan([around.pop()], interval=30.0)

    result = world.scanner.scan(inner, interval=30.0, progress=meanwhile)
    assert [change.kind for change in result.changes if change.kind != "baseline"] == []
    assert at(lora("d") + ".bak") not in world.project()
