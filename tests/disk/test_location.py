"""Where a path really lives: links and mounts, without a look at a mount that may hang."""

from collections.abc import Container

import pytest

from scanner.core.paths import nearest_above
from scanner.disk.location import locate, points_below
from scanner.disk.mounts import Mount
from tests.support.fakes import FakeFileSystem

ROOT = Mount("/", "ext4", "/dev/a1")
DISK = Mount("/disk1", "xfs", "/dev/b1")
NAS = Mount("/mnt/nas", "nfs4", "nas:/models")
DEEP = Mount("/mnt/nas/deep", "ext4", "/dev/c1")
DIRECT = Mount("/mnt/auto", "autofs", "/etc/auto.direct", options="rw,fd=7,direct")
INDIRECT = Mount("/net", "autofs", "/etc/auto.net", options="rw,fd=8,indirect")
HOME = Mount("/net/people", "ext4", "/dev/d1")


@pytest.fixture
def files() -> FakeFileSystem:
    files = FakeFileSystem()
    files.makedirs("/mnt/nas/loras/sd")
    files.makedirs("/disk1/models")
    files.makedirs("/net/people/models")
    files.symlink("/mnt/nas", "/home/u/models")
    files.symlink("../../disk1/./models", "/home/u/vae")
    files.symlink("/home/u/vae", "/home/u/again")
    files.symlink("/mnt/nas/../../disk1", "/home/u/out")
    files.symlink("/circle", "/circle")
    files.symlink("/disk1", "/mnt/nas/never_asked")
    files.symlink("/disk1/models", "/net/people/away")
    return files


@pytest.mark.parametrize(
    ("path", "real", "mount"),
    [
        ("/home/u", "/home/u", ROOT),
        ("/", "/", ROOT),
        ("/home/u/models/loras/sd", "/mnt/nas/loras/sd", NAS),
        ("/home/u/models/never_asked", "/mnt/nas/never_asked", NAS),
        ("/home/u/models/deep/x", "/mnt/nas/deep/x", DEEP),
        ("/home/u/vae/x", "/disk1/models/x", DISK),
        ("/home/u/again/../x", "/disk1/x", DISK),
        ("/home/u/out/models", "/disk1/models", DISK),
        ("/circle/x", "/circle/x", ROOT),
        ("/not/there", "/not/there", ROOT),
        ("/net/people/away/x", "/disk1/models/x", DISK),
    ],
)
def test_a_path_lives_where_its_links_lead(
    files: FakeFileSystem, path: str, real: str, mount: Mount
) -> None:
    table = [ROOT, DISK, NAS, DEEP, INDIRECT, HOME]
    found = locate(path, table, files.read_link)
    assert (found.path, found.mount) == (real, mount)
    assert not found.waits_for_automount


def test_nothing_is_asked_of_a_mount_that_may_hang(files: FakeFileSystem) -> None:
    asked = []

    def read_link(path: str) -> str:
        asked.append(path)
        return files.read_link(path)

    locate("/home/u/models/loras/sd", [ROOT, NAS], read_link)
    assert asked == ["/home", "/home/u", "/home/u/models", "/mnt"]


def test_an_automounter_is_asked_for_one_folder(files: FakeFileSystem) -> None:
    table = [ROOT, DIRECT, INDIRECT]
    direct = locate("/mnt/auto/sd/x", table, files.read_link)
    assert (direct.waits_for_automount, direct.mount.point) == (True, "/mnt/auto")
    indirect = locate("/net/away/sd/x", table, files.read_link)
    assert (indirect.waits_for_automount, indirect.mount.point) == (True, "/net/away")
    away = Mount("/net/away", "nfs4", "nas:/away")
    mounted = locate("/net/away/sd/x", [*table, away], files.read_link)
    assert mounted.mount == away
    assert not mounted.waits_for_automount
    assert mounted.automount == indirect.automount


def test_mount_points_by_the_words_of_the_link_above_them() -> None:
    table = [ROOT, DISK, NAS, DEEP]
    assert points_below("/home/u/models", "/mnt", table) == {
        "/home/u/models/nas": "/mnt/nas",
        "/home/u/models/nas/deep": "/mnt/nas/deep",
    }
    assert points_below("/home/u/models", "/mnt/nas", table) == {
        "/home/u/models/deep": "/mnt/nas/deep"
    }
    assert points_below("/", "/", [ROOT, DISK]) == {"/disk1": "/disk1"}


def test_a_path_of_thousands_of_parts_takes_one_step_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    climbs: list[str] = []

    def counted(path: str, tops: Container[str]) -> str | None:
        climbs.append(path)
        return nearest_above(path, tops)

    monkeypatch.setattr("scanner.disk.location.nearest_above", counted)
    path = "/" + "x/" * 3000 + "i"
    assert locate(path, [ROOT], no_link).path == path
    assert len(climbs) == 1


def no_link(path: str) -> str:
    raise FileNotFoundError
