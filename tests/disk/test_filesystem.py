"""The real disk: what a listing says of it, and what it never does to it."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from scanner.core.snapshot import (
    BROKEN_LINK,
    DIRECTORY,
    DIRECTORY_LINK,
    FILE,
    FILE_LINK,
    FOREIGN_LINK,
    NO_NAMES,
    OTHER,
    Directory,
    Row,
)
from scanner.disk import filesystem
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.links import is_proven_broken
from scanner.disk.mounts import Mount

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX links, FIFOs and names")

DISK = DiskFileSystem()

RealScandir = os.scandir


@pytest.fixture(params=["by descriptor", "by path", "many at once"], autouse=True)
def way_of_listing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs on all ways to list: platforms without descriptors take the second, long
    walks of local disks the third."""
    if request.param == "by path":
        monkeypatch.setattr(filesystem, "_LISTS_DESCRIPTORS", False)
    monkeypatch.setattr(DISK, "_at_once", request.param == "many at once")
    monkeypatch.setattr(filesystem, "WORTH_IT", 0)


def listed(folder: Path, *skip: str) -> Directory:
    return DISK.list_directory(str(folder), frozenset(skip))


def rows(folder: Path, *skip: str) -> dict[str, Row]:
    return {row.name: row for row in listed(folder, *skip).listing.rows()}


def types(folder: Path, *skip: str) -> dict[str, str]:
    return {name: row.type for name, row in rows(folder, *skip).items()}


class Entries:
    """What os.scandir gives, with entries of ours."""

    def __init__(self, entries: Iterator[Any]) -> None:
        self._entries = entries

    def __enter__(self) -> Iterator[Any]:
        return self._entries

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def after_listing(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[list[os.DirEntry[str]]], Iterator[Any]]
) -> None:
    """Let something happen when the names have been read and nothing has been stat-ed yet."""

    def scandir(target: int) -> Entries:
        with RealScandir(target) as entries:
            found = list(entries)
        return Entries(act(found))

    monkeypatch.setattr(os, "scandir", scandir)
    # With many at once no entries are taken: tests/disk/test_many_stats.py has what fails there.
    monkeypatch.setattr(DISK, "_at_once", False)


# Types, sizes and times


def test_every_kind_of_entry_has_its_type_size_and_nanosecond_mtime(tmp_path: Path) -> None:
    mtime = 1_700_000_000_123_456_789
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to_file").symlink_to("file")
    (tmp_path / "to_folder").symlink_to("folder")
    (tmp_path / "broken").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    os.utime(tmp_path / "file", ns=(0, mtime))
    os.utime(tmp_path / "to_folder", ns=(0, 7), follow_symlinks=False)
    os.utime(tmp_path / "broken", ns=(0, 8), follow_symlinks=False)
    found = {name: row[1:4] for name, row in rows(tmp_path).items()}
    assert found == {
        "broken": (BROKEN_LINK, 0, 8),
        "file": (FILE, 5, mtime),
        "folder": (DIRECTORY, 0, 0),
        "pipe": (OTHER, 0, 0),
        "to_file": (FILE_LINK, 5, mtime),
        "to_folder": (DIRECTORY_LINK, 0, 7),
    }
    assert listed(tmp_path).listing.targets == (
        ("broken", "nothing"),
        ("to_file", "file"),
        ("to_folder", "folder"),
    )


@pytest.mark.parametrize("mtime", [0, -1, -86_400 * 10**9, 4_000_000_000_000_000_001])
def test_times_far_from_now_are_kept_exactly(tmp_path: Path, mtime: int) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.utime(tmp_path / "file", ns=(0, mtime))
    if (tmp_path / "file").stat().st_mtime_ns != mtime:
        pytest.skip("this file system cannot hold that time")
    assert rows(tmp_path)["file"].mtime == mtime


def test_file_from_the_far_future_does_not_stop_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.utime(tmp_path / "file", ns=(0, 2**63))
    assert "file" in rows(tmp_path)


def test_listing_carries_the_folders_own_times_and_identity(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(0, 1_600_000_000_000_000_001))
    found, own = listed(tmp_path), tmp_path.stat()
    assert (found.mtime, found.ctime, found.device, found.inode) == (
        1_600_000_000_000_000_001,
        own.st_ctime_ns,
        own.st_dev,
        own.st_ino,
    )
    assert len(found.listing) == 0
    assert found.ignored == frozenset()


def test_names_come_sorted_and_columns_belong_together(tmp_path: Path) -> None:
    names = ["b", "a", "a.b", "a-b", "Z", "é", "😀", "new\nline", " lead", "trail "]
    for size, name in enumerate(names):
        (tmp_path / name).write_bytes(b"x" * size)
    assert [(row.name, row.size) for row in listed(tmp_path).listing.rows()] == sorted(
        (name, size) for size, name in enumerate(names)
    )


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    raw = os.path.join(os.fsencode(tmp_path), b"caf\xe9\xff.bin")
    try:
        with open(raw, "wb") as file:
            file.write(b"123")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (name,) = rows(tmp_path)
    assert os.fsencode(name) == b"caf\xe9\xff.bin"
    assert DISK.stat(os.path.join(tmp_path, name)).size == 3
    with DISK.open(os.path.join(tmp_path, name)) as file:
        assert file.read() == b"123"


def test_stat_follows_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "here").symlink_to(".")
    own = (tmp_path / "file").stat()
    assert DISK.stat(str(tmp_path / "link")) == (
        False,
        3,
        own.st_mtime_ns,
        own.st_dev,
        own.st_ino,
        own.st_ctime_ns,
    )
    assert DISK.stat(str(tmp_path / "here")).is_directory


def test_hard_links_share_their_inode(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"123")
    os.link(tmp_path / "one", tmp_path / "two")
    found = rows(tmp_path)
    assert found["one"].inode == found["two"].inode == (tmp_path / "one").stat().st_ino


@pytest.mark.parametrize("inode", [1, 2**63 - 1, 2**63, 2**64 - 1, 2**64 + 5, -1])
def test_inode_numbers_of_any_width_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inode: int
) -> None:
    """NFS and CIFS use all 64 bits, ReFS has 128."""
    found = SimpleNamespace(
        st_mode=stat.S_IFREG,
        st_size=1,
        st_mtime_ns=2,
        st_ctime_ns=4,
        st_ino=inode,
        st_dev=3,
        st_nlink=1,
    )
    entry = SimpleNamespace(
        name="x", stat=lambda follow_symlinks: found, is_dir=lambda follow_symlinks: False
    )
    after_listing(monkeypatch, lambda _: iter([entry]))
    assert rows(tmp_path)["x"].inode == inode % 2**64
    monkeypatch.setattr(os, "stat", lambda path: found)
    assert DISK.stat("anything").inode == inode % 2**64


# Links


def test_links_through_links_lead_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"123")
    for last, target in (("folder", "d"), ("file", "f")):
        (tmp_path / f"{target}1").symlink_to(last)
        (tmp_path / f"{target}2").symlink_to(tmp_path / f"{target}1")
    found = rows(tmp_path)
    assert (found["d2"].type, found["f2"].type, found["f2"].size) == (DIRECTORY_LINK, FILE_LINK, 3)
    assert dict(listed(tmp_path).listing.targets)["f2"] == str(tmp_path / "f1")


def test_links_that_lead_to_themselves_are_broken(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "ping").symlink_to("pong")
    (tmp_path / "pong").symlink_to("ping")
    assert types(tmp_path) == dict.fromkeys(("self", "ping", "pong"), BROKEN_LINK)


def test_link_to_a_folder_above_is_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "up").symlink_to("..")
    assert types(tmp_path) == {"up": DIRECTORY_LINK}


def test_link_to_a_special_file_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    assert types(tmp_path) == {"link": BROKEN_LINK, "pipe": OTHER}


def test_link_into_a_folder_that_is_not_there_is_unread(tmp_path: Path) -> None:
    """An unmounted share looks the same."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("share/model")
    (tmp_path / "other").symlink_to("empty/model")
    found = listed(tmp_path).listing
    assert found.unstatted == ("link", "other")
    assert found.split_names() == ["empty", "link", "other"]
    assert found.types == DIRECTORY + BROKEN_LINK * 2
    assert found.targets == (("link", "share/model"), ("other", "empty/model"))


@pytest.mark.parametrize(
    ("number", "text", "names", "is_broken"),
    [
        (errno.ENOENT, "gone", ["link", "x"], True),
        (errno.ENOENT, "gone", ["link", "gone"], False),  # listed all the same: a stale answer
        (errno.ENOENT, "/mnt/nas/x", [], False),  # an empty mount point
        (errno.ENOENT, "/mnt/nas/x", ["y"], True),
        (errno.ENOENT, "/mnt/nas/x", OSError(errno.ENOENT, "gone"), False),
        (errno.ENOENT, "/mnt/nas/x", OSError(errno.EIO, "broken"), False),
        (errno.ENOTDIR, "file/x", OSError(errno.ENOTDIR, "file"), False),
        (errno.ENOTDIR, "sub/x", ["y"], True),
        (errno.ELOOP, "link", ["link"], True),
        (errno.EACCES, "gone", ["y"], False),
        (errno.EIO, "gone", ["y"], False),
        (errno.ESTALE, "gone", ["y"], False),
        (errno.ENOTCONN, "gone", ["y"], False),
        (errno.ETIMEDOUT, "gone", ["y"], False),
        (errno.EHOSTDOWN, "gone", ["y"], False),
    ],
)
def test_link_is_broken_only_where_absence_is_proven(
    number: int, text: str, names: list[str] | OSError, is_broken: bool
) -> None:
    asked: list[str] = []

    def list_names(folder: str) -> list[str]:
        asked.append(folder)
        if isinstance(names, OSError):
            raise names
        return names

    error = OSError(number, os.strerror(number))
    assert is_proven_broken("/models/link", text, error, list_names) is is_broken
    expected = (
        os.path.dirname(text) if text.startswith("/") else f"/models/{text}".rpartition("/")[0]
    )
    assert asked in ([], [expected])


def test_link_to_a_broken_link_is_broken(tmp_path: Path) -> None:
    (tmp_path / "first").symlink_to("nothing")
    (tmp_path / "second").symlink_to("first")
    assert types(tmp_path) == {"first": BROKEN_LINK, "second": BROKEN_LINK}


# What is left out


def test_skipped_names_have_no_row_and_no_stat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("file", "both"):
        (tmp_path / name).write_bytes(b"")
    for name in ("folder", "kept"):
        (tmp_path / name).mkdir()
    stated: list[str] = []

    class Spied:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.is_dir, self._entry = entry.name, entry.is_dir, entry

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            stated.append(self.name)
            return self._entry.stat(follow_symlinks=follow_symlinks)

    after_listing(monkeypatch, lambda found: map(Spied, found))
    found = listed(tmp_path, "file", "folder/", "absent", "absent/")
    assert found.listing.split_names() == ["both", "kept"]
    assert found.ignored == {"file", "folder/"}
    assert sorted(stated) == ["both", "kept"]


def test_slash_tells_directories_from_all_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert set(types(tmp_path, "file/", "folder", "link/")) == {"file", "folder", "link"}
    assert set(types(tmp_path, "file", "folder/", "link")) == set()


# Faults


def test_name_that_is_listed_twice_stands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "link").symlink_to("a")
    after_listing(monkeypatch, lambda found: (entry for entry in found for _ in range(3)))
    listing = listed(tmp_path).listing
    assert listing.split_names() == ["a", "b", "c", "link"]
    assert (len(listing), len(listing.sizes), listing.targets) == (4, 4, (("link", "a"),))


def test_file_that_vanishes_before_its_stat_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"1")

    def vanish(found: list[os.DirEntry[str]]) -> Iterator[Any]:
        os.unlink(tmp_path / "b")
        return iter(found)

    after_listing(monkeypatch, vanish)
    found = listed(tmp_path).listing
    assert found.split_names() == ["a", "c"]
    assert found.unstatted == ("b",)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE, errno.ENOENT])
def test_name_whose_stat_fails_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "a").write_bytes(b"1")

    def failing(follow_symlinks: bool) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    def with_bad(found: list[os.DirEntry[str]]) -> Iterator[Any]:
        bad = SimpleNamespace(name="bad", is_dir=lambda follow_symlinks: False, stat=failing)
        return iter([bad, *found])

    after_listing(monkeypatch, with_bad)
    found = listed(tmp_path).listing
    assert (found.split_names(), found.unstatted) == (["a"], ("bad",))


def test_name_whose_type_cannot_be_told_does_not_hide_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"1")

    def failing(follow_symlinks: bool) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def with_bad(found: list[os.DirEntry[str]]) -> Iterator[Any]:
        return iter([SimpleNamespace(name="bad", is_dir=failing, stat=failing), *found])

    after_listing(monkeypatch, with_bad)
    found = listed(tmp_path, "something/").listing
    assert (found.split_names(), found.unstatted) == (["a"], ("bad",))


def test_listing_that_breaks_off_is_an_error_and_no_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"1")

    def broken(found: list[os.DirEntry[str]]) -> Iterator[Any]:
        yield found[0]
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    after_listing(monkeypatch, broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        listed(tmp_path)


def test_what_is_no_directory_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        listed(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError):
        listed(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        DISK.stat(str(tmp_path / "nothing"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_folder_without_permission_raises(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(PermissionError):
        listed(tmp_path / "closed")


# Opening


@pytest.mark.timeout(20)
def test_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="not a regular file"):
            DISK.open(str(tmp_path / name))


def test_folders_devices_and_sockets_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        name = os.path.join(os.path.relpath(tmp_path), "s")
        try:
            server.bind(name)
        except OSError:
            name = os.devnull  # its path is too long for a socket
        for path in (str(tmp_path), os.devnull, name):
            with pytest.raises(OSError):
                DISK.open(path)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"1")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        listed(tmp_path)
        for name in ("pipe", "nothing"):
            with pytest.raises(OSError):
                DISK.open(str(tmp_path / name))
        with pytest.raises(OSError):
            listed(tmp_path / "file")
    assert len(os.listdir("/proc/self/fd")) == before


def test_file_is_open_for_reading_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with DISK.open(str(tmp_path / "file")) as file:
        file.seek(7)
        assert file.read() == b"789"
        assert not file.writable()


def test_listing_and_reading_leave_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    before = [(path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in tmp_path.iterdir()]
    own = tmp_path.stat().st_ctime_ns
    listed(tmp_path)
    with DISK.open(str(tmp_path / "file")) as file:
        file.read()
    after = [(path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in tmp_path.iterdir()]
    assert (after, tmp_path.stat().st_ctime_ns) == (before, own)


# Clocks


def test_clocks_have_their_units() -> None:
    assert abs(DISK.now() - time.time_ns()) < 60 * 10**9
    before = DISK.monotonic()
    DISK.sleep(0.01)
    assert 0.005 < DISK.monotonic() - before < 5


def test_files_and_folders_on_which_another_mount_begins(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"12345")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    points = frozenset(("file", "folder"))
    try:
        command = ["mount", "--bind", str(tmp_path / "source"), str(tmp_path / "file")]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount")
        listing = DiskFileSystem().list_directory(str(tmp_path), frozenset(), points).listing
        rows = {row.name: (row.type, row.size) for row in listing.rows()}
        assert rows == {"file": (FILE, 0), "folder": (DIRECTORY, 0), "source": (FILE, 5)}
    finally:
        subprocess.run(["umount", str(tmp_path / "file")], capture_output=True, check=False)


def test_listing_of_a_wide_folder_ends_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "PART", 4)
    for number in range(20):
        (tmp_path / str(number)).touch()
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        return looks > 2

    files = DiskFileSystem(stopped)
    with pytest.raises(InterruptedError):
        files.list_directory(str(tmp_path))
    assert looks == 3
    assert len(DiskFileSystem().list_directory(str(tmp_path)).listing.types) == 20


def test_a_link_to_a_mount_that_has_just_come_leads_to_another_mount(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).symlink_to(share)
    table = [Mount("/", "ext4", "/dev/sda1")]
    readings = 0

    class Disk(DiskFileSystem):
        def mounts(self) -> list[Mount]:
            nonlocal readings
            readings += 1
            return table

    disk = Disk()
    assert set(disk.list_directory(str(folder)).listing.types) == {DIRECTORY_LINK}
    assert readings == 1  # not one for each link
    table = [*table, Mount(str(share), "tmpfs", "tmpfs")]
    assert set(disk.list_directory(str(folder)).listing.types) == {FOREIGN_LINK}
    assert list(disk.list_directory(str(share)).listing.types) == []
    assert readings == 2  # none without links


def test_columns_are_as_narrow_as_their_numbers_and_types_are_shared(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b", "c"):
            (tmp_path / folder / name).write_bytes(b"x")
    os.truncate(tmp_path / "other" / "b", 2**32)
    one, other = (listed(tmp_path / folder).listing for folder in ("one", "other"))
    assert (one.sizes.itemsize, other.sizes.itemsize) == (4, 8)
    assert list(other.sizes) == [1, 2**32, 1]
    assert one.types is other.types
    assert listed(tmp_path / "one").ignored is NO_NAMES
