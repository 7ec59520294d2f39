"""Holds over several scans: what they count, who lifts them, what goes on meanwhile (rule 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem
from tests.support.world import World

ROOT = Root("models", "/usb/models")
DISK = Mount("/usb", "ext4", "/dev/sdb1")
NAS = Mount("/usb/models/nas", "nfs4", "nas:/v")


def world_of(folder: Path, disk: Mount = DISK, below: int = 0) -> World:
    """A root with 30 files, and `below` files on a mount below it."""
    files = FakeFileSystem()
    files.mount_table += [disk, NAS] if below else [disk]
    for number in range(30):
        files.write(f"/usb/models/loras/l{number}", b"x%d" % number * 10)
    for number in range(below):
        files.write(f"/usb/models/nas/big/n{number}", b"y%d" % number * 10)
    return World(folder, files, (ROOT,)).settle()


def remove(world: World, numbers: range) -> None:
    for number in numbers:
        world.files.remove(f"/usb/models/loras/l{number}")


@pytest.mark.parametrize("type_", ["ext4", "exfat", "cifs"])
@pytest.mark.parametrize("below", [10, 31, 300])
def test_files_on_mounts_below_do_not_dilute_a_loss(tmp_path: Path, type_: str, below: int) -> None:
    world = world_of(tmp_path, DISK._replace(type=type_), below)
    remove(world, range(20))
    assert world.scan() == []
    assert list(world.store.memory.holds) == [ROOT.id]


def test_accept_of_an_offline_root_that_came_back_accepts_no_loss(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    folder = world.files.remove("/usb/models")
    world.scan()
    assert world.state(ROOT) == "offline"
    number = world.store.state.ask(0, "", ROOT.path, frozenset())
    world.files._resolve("/usb").children["models"] = folder
    remove(world, range(25))
    assert world.scan() == []
    assert list(world.store.memory.holds) == [ROOT.id]
    assert "neither offline nor unreachable" in (world.store.state.answer_of(number) or "")


def test_accept_of_another_mount_accepts_no_loss_once_the_known_one_is_back(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    world.files.mount_table[-1] = DISK._replace(source="/dev/sdc1")
    world.scan()
    assert world.state(ROOT) == "held"
    number = world.store.state.ask(0, ROOT.id, "", frozenset())
    world.files.mount_table[-1] = DISK
    remove(world, range(25))
    assert world.scan() == []
    assert list(world.store.memory.holds) == [ROOT.id]
    assert world.store.state.answer_of(number) == f"{ROOT.id}: the known file system is back"


def test_new_files_of_a_held_root_get_their_fingerprints(tmp_path: Path) -> None:
    world = world_of(tmp_path, DISK._replace(type="cifs", source="//nas/m"))
    world.files.shuffles_inodes = True
    world.files.remove("/usb/models/loras")
    world.scan()
    world.scan()
    assert world.store.memory.holds[ROOT.id].needs_accept
    world.files.write("/usb/models/new", b"a new model")
    world.scan()
    world.scan()
    assert world.backlog.size().files == 0
    world.files.rename("/usb/models/new", "/usb/models/renamed")
    assert world.scan() == [("moved", "/usb/models/new", "/usb/models/renamed")]


def test_files_of_a_root_on_another_file_system_are_not_read(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.files.mount_table[-1] = DISK._replace(source="/dev/sdc1")
    world.scan()
    assert not world.store.memory.could_read(ROOT.id)


def test_disk_is_known_by_its_uuid_though_udev_did_not_name_it_for_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = "1111"
    monkeypatch.setattr("scanner.disk.mounts._uuid_of", lambda source: uuid)
    world = world_of(tmp_path)
    uuid = ""
    world.scan()
    assert world.state(ROOT) == "online"
    uuid = "2222"  # another disk, under the same device name
    remove(world, range(1))
    assert world.scan() == []
    assert world.state(ROOT) == "held"


@pytest.mark.parametrize("boot", ["first boot", "second boot"])
def test_clock_that_is_set_lifts_no_hold(tmp_path: Path, boot: str) -> None:
    world = world_of(tmp_path)
    world.interval = 600
    remove(world, range(30))
    assert world.scan() == []
    world.restart()
    world.files.wall += 86_400 * 10**9
    world.files.boot_id = boot
    assert world.scan(advance=1) == []
    assert list(world.store.memory.holds) == [ROOT.id]
    assert len(world.scan(advance=600)) == 30


def test_hold_is_lifted_by_another_process_after_one_interval(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    remove(world, range(30))
    assert world.scan() == []
    world.restart()
    assert len(world.scan(advance=30)) == 30


def test_deletions_from_the_future_do_not_wait_for_their_partner(tmp_path: Path) -> None:
    """The clock was set back: the age of what was remembered is not known."""
    world = world_of(tmp_path)
    remove(world, range(1))
    world.scan()
    world.files.wall -= 365 * 86_400 * 10**9
    world.scan()
    assert world.store.memory.gone == {}
    assert all(time <= world.files.wall for time in world.store.memory.arrived.values())
    world.files.write("/usb/models/other", b"x0" * 10)
    assert world.scan() == [("created", "/usb/models/other")]
