"""Mtimes that count whole seconds where the type of the disk does not say so (rule 4)."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.fingerprint import take_fingerprint
from scanner.disk.mounts import Mount
from scanner.walk.granularity import SECOND, SETTLE, settle_of
from scanner.walk.zones import Zones
from tests.support.build import directory_of, file_row, folder_row
from tests.support.fakes import FakeFileSystem
from tests.support.real_mounts import ImageMount
from tests.support.world import DOWNLOADS, World, at, content

EXT4 = Mount("/", "ext4", "/dev/fake1")
FILE = at("Downloads/model")


def world_of(tmp_path: Path, granularity: int) -> World:
    files = FakeFileSystem()
    files.advance(0.123456789)
    files.granularity = granularity
    files.write(FILE, content("0"))
    world = World(tmp_path, files, (DOWNLOADS,))
    return world.settle()


def at_the_start_of_a_second(files: FakeFileSystem) -> None:
    files.advance(1 - files.wall % SECOND / 1e9 + 0.01)


def known_fingerprint(world: World) -> bytes:
    directory = world.store.snapshot[at("Downloads")]
    return directory.fingerprint(directory.listing.split_names().index("model"))


@pytest.mark.parametrize("granularity", [SECOND, 1])
def test_file_written_twice_in_a_second_has_its_last_fingerprint(
    tmp_path: Path, granularity: int
) -> None:
    """The second content has size and mtime of the first one, where the disk counts seconds."""
    world = world_of(tmp_path, granularity)
    files = world.files
    at_the_start_of_a_second(files)
    files.write(FILE, content("1"))
    assert world.scan(advance=0.1, reads=False) == [("modified", "Downloads/model")]
    world.scan(advance=0.1, reads=False)
    world.backlog.work(lambda: False, seconds_left=lambda: 0.2)
    # The wait is no longer than it must be.
    assert bool(known_fingerprint(world)) == (granularity == 1)
    files.write(FILE, content("2"))
    for _ in range(3):
        world.scan(advance=1)
    found = take_fingerprint(files, FILE)
    assert found is not None
    assert known_fingerprint(world) == found.fingerprint


WHOLE, PARTS = 5 * SECOND, 5 * SECOND + 123
ROOT, INNER = Root("extra", "/r"), Root("extra", "/r/b")


@pytest.mark.parametrize(
    ("top", "below", "settle"),
    [
        ({"ctime": PARTS}, {"ctime": WHOLE}, EXT4.settle),
        ({"ctime": WHOLE}, {"ctime": PARTS}, EXT4.settle),
        ({"ctime": WHOLE}, {"ctime": WHOLE}, SETTLE),
        # A person can set an mtime, and no ctime.
        ({"ctime": WHOLE, "mtime": PARTS}, {"ctime": WHOLE, "mtime": PARTS}, SETTLE),
        ({"ctime": PARTS, "mtime": WHOLE}, {"ctime": PARTS, "mtime": WHOLE}, EXT4.settle),
        # A state that was lost knows no ctimes.
        ({"mtime": WHOLE}, {"mtime": WHOLE}, SETTLE),
        ({"mtime": PARTS}, {"mtime": WHOLE}, EXT4.settle),
    ],
)
def test_zone_counts_seconds_if_no_time_of_its_directories_has_more_digits(
    top: dict[str, Any], below: dict[str, Any], settle: float
) -> None:
    snapshot = {
        "/r": directory_of(folder_row("a"), **top),
        "/r/a": directory_of(file_row("f", mtime=PARTS), **below),
    }
    assert settle_of(EXT4, ROOT, Zones((ROOT,)), snapshot) == settle


def test_times_of_another_mount_say_nothing_of_a_zone() -> None:
    snapshot = {
        "/r": directory_of(folder_row("b"), ctime=WHOLE),
        "/r/b": directory_of(ctime=PARTS),
    }
    zones = Zones((ROOT,), (INNER,))
    assert settle_of(EXT4, ROOT, zones, snapshot) == SETTLE
    assert settle_of(EXT4, INNER, zones, snapshot) == EXT4.settle
    assert settle_of(EXT4, Root("extra", "/new"), zones, snapshot) == EXT4.settle


def test_longer_waits_stay_as_they_are() -> None:
    share = Mount("/r", "nfs4", "nas:/x")
    assert settle_of(share, ROOT, Zones((ROOT,)), {"/r": directory_of(ctime=WHOLE)}) == 60


def write_twice(world: World, path: Path) -> bool:
    """Write twice, with a scan and time for a fingerprint between; True if the times are equal."""
    while time.time() % 1 > 0.1:
        time.sleep(0.01)
    path.write_bytes(os.urandom(1000))
    first = path.stat().st_mtime_ns
    world.scan(reads=False)
    world.scan(reads=False)
    world.backlog.work(lambda: False, seconds_left=lambda: 0.1)
    path.write_bytes(os.urandom(1000))
    return path.stat().st_mtime_ns == first


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="mounts of Linux")
@pytest.mark.parametrize(("inode", "settle"), [("128", SETTLE), ("256", EXT4.settle)])
def test_ext4_with_small_inodes_is_known_by_the_times_of_its_folders(
    tmp_path: Path, inode: str, settle: float
) -> None:
    class Disk(DiskFileSystem):
        def advance(self, seconds: float) -> None: ...

    (tmp_path / "mnt").mkdir()
    with ImageMount("ext4", tmp_path / "image", tmp_path / "mnt", "-q", "-I", inode) as mount:
        folder = mount.files / "models"
        folder.mkdir()
        (folder / "model").write_bytes(content("0"))
        root = Root("extra", str(folder))
        world = World(tmp_path, Disk(), (root,))  # type: ignore[arg-type]
        world.settle()
        zones, mounts = world.scanner.zones(), world.files.mounts()
        on = zones.mount_of(root, mounts)
        assert on.type == "ext4"
        assert settle_of(on, root, zones, world.store.snapshot) == settle
        while not write_twice(world, folder / "model") and inode == "128":
            pass  # the second was over before the second write
        for _ in range(3):
            world.scan()
        found = take_fingerprint(world.files, str(folder / "model"))
        directory = world.store.snapshot[str(folder)]
        assert found is not None
        assert directory.fingerprint(0) == found.fingerprint
        world.store.close()
