"""Stats relative to a descriptor are those of the paths, and leave no descriptor behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scanner.disk import filesystem, statx
from scanner.disk.filesystem import DiskFileSystem, Stat
from scanner.disk.stats_below import HAS_DESCRIPTORS, MOST_OPEN
from scanner.disk.statx import stat_by_lookup

needs_descriptors = pytest.mark.skipif(not HAS_DESCRIPTORS, reason="no O_PATH here")


@pytest.fixture(params=["by path", "relative", "by lookup"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> DiskFileSystem:
    if request.param == "by path":
        monkeypatch.setattr(filesystem, "HAS_DESCRIPTORS", False)
    elif not HAS_DESCRIPTORS:
        pytest.skip("no O_PATH here")
    return DiskFileSystem(by_lookup=request.param == "by lookup")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """The folders of the test that this process has open now."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("no /proc here")

    def now() -> list[str]:
        found = []
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):  # that of this listing
                found.append(os.readlink(os.path.join(folder, name)))
        return [path for path in found if path.startswith(str(tmp_path))]

    yield now
    assert now() == []


def plain(path: Path) -> Stat:
    return DiskFileSystem().stat(str(path))


def test_stats_are_those_of_the_paths(disk: DiskFileSystem, tmp_path: Path) -> None:
    names = ["a", "a/b", "a/b/c", "a/d", "ab", "e/f", "e/f/g", "h"]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    os.utime(tmp_path / "a" / "d", ns=(-(10**9) - 7, -(10**9) - 7))
    stats = disk.stats_below(str(tmp_path), names)
    assert stats == [plain(tmp_path / name) for name in names]


def test_what_fails_stands_in_its_place(
    disk: DiskFileSystem, tmp_path: Path, opened: Callable[[], list[str]]
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"12")
    (tmp_path / "link").symlink_to("a/b")
    names = ["a", "a/b", "file", "gone", "gone/below", "link", "nothing"]
    found = disk.stats_below(str(tmp_path), names)
    kinds = [type(one).__name__ for one in found]
    gone = "FileNotFoundError"
    assert kinds == ["Stat", "Stat", "Stat", gone, gone, "Stat", gone]
    assert [found[0], found[1], found[5]] == [plain(tmp_path / n) for n in ("a", "a/b", "a/b")]
    assert found[2] == plain(tmp_path / "file")


def test_file_in_place_of_a_folder_is_an_error_and_so_is_what_was_below(
    disk: DiskFileSystem, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    first, second = disk.stats_below(str(tmp_path), ["a", "a/b"])
    assert isinstance(first, NotADirectoryError) or (
        isinstance(first, Stat) and not first.is_directory
    )
    assert isinstance(second, NotADirectoryError)


def test_folder_that_is_gone_has_errors_only(disk: DiskFileSystem, tmp_path: Path) -> None:
    found = disk.stats_below(str(tmp_path / "gone"), ["a", "b"])
    assert [type(one) for one in found] == [FileNotFoundError] * 2


@needs_descriptors
@pytest.mark.parametrize("by_lookup", [False, True])
def test_few_descriptors_are_held_however_deep_the_tree_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[[], list[str]],
    by_lookup: bool,
) -> None:
    names = ["/".join("d" * depth) for depth in range(1, 60)]
    (tmp_path / names[-1]).mkdir(parents=True)
    held: list[int] = []
    for name in ("_stat_at", "stat_by_lookup"):
        stat_at = getattr(filesystem, name)

        def counted(name: str, dir_fd: int, stat_at: object = stat_at) -> os.stat_result:
            held.append(len(opened()))
            return stat_at(name, dir_fd)  # type: ignore[operator,no-any-return]

        monkeypatch.setattr(filesystem, name, counted)
    found = DiskFileSystem(by_lookup=by_lookup).stats_below(str(tmp_path), names)
    assert found == [plain(tmp_path / name) for name in names]
    assert max(held) == MOST_OPEN


@needs_descriptors
@pytest.mark.parametrize("follow", [True, False])
def test_stat_by_lookup_is_a_stat(tmp_path: Path, follow: bool) -> None:
    (tmp_path / "file").write_bytes(b"123")
    os.link(tmp_path / "file", tmp_path / "other")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    os.utime(tmp_path / "file", ns=(1, -5 * 10**9 + 3))
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("file", "folder", "link", ""):
            found = stat_by_lookup(name, handle, follow=follow)
            expected = os.stat(tmp_path / name, follow_symlinks=follow)
            fields = [
                "st_mode",
                "st_ino",
                "st_dev",
                "st_nlink",
                "st_size",
                "st_mtime_ns",
                "st_ctime_ns",
            ]
            for field in fields:
                assert getattr(found, field) == getattr(expected, field), (name, field)
        with pytest.raises(FileNotFoundError):
            stat_by_lookup("gone", handle)
    finally:
        os.close(handle)


@needs_descriptors
def test_listing_by_lookup_is_a_listing(tmp_path: Path) -> None:
    (tmp_path / "skipped").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"123")
    os.link(tmp_path / "file", tmp_path / "other")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dead").symlink_to("nothing")
    skip, points = frozenset({"skipped/"}), frozenset({"folder"})
    by_lookup = DiskFileSystem(by_lookup=True).list_directory(str(tmp_path), skip, points)
    assert by_lookup == DiskFileSystem().list_directory(str(tmp_path), skip, points)
    assert by_lookup.ignored == {"skipped/"}


@needs_descriptors
@pytest.mark.parametrize("has_it", [True, False])
def test_without_statx_the_stat_is_an_ordinary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_it: bool
) -> None:
    import ctypes

    def refused(*_: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1

    monkeypatch.setattr(statx, "statx_call", lambda: refused if has_it else None)
    (tmp_path / "file").write_bytes(b"123")
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        assert stat_by_lookup("file", handle).st_size == 3
        assert stat_by_lookup("", handle).st_ino == os.stat(tmp_path).st_ino
    finally:
        os.close(handle)


@needs_descriptors
def test_folder_that_the_server_lost_is_asked_for_again_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor of a folder that was removed on the server answers ESTALE for all in it."""
    (tmp_path / "a").mkdir()

    def stale(name: str, dir_fd: int) -> os.stat_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(filesystem, "_stat_at", stale)
    found, gone = DiskFileSystem().stats_below(str(tmp_path), ["a", "b"])
    assert found == plain(tmp_path / "a")
    assert isinstance(gone, FileNotFoundError)


@needs_descriptors
def test_listing_by_lookup_stats_each_entry_by_its_lookup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"one")
    (tmp_path / "below").mkdir()
    asked: list[str] = []

    def counted(name: str, dir_fd: int, *, follow: bool = True) -> os.stat_result:
        asked.append(name)
        return stat_by_lookup(name, dir_fd, follow=follow)

    monkeypatch.setattr(filesystem, "stat_by_lookup", counted)
    nothing: frozenset[str] = frozenset()
    DiskFileSystem().list_directory(str(tmp_path), nothing, nothing)
    assert asked == []
    DiskFileSystem(by_lookup=True).list_directory(str(tmp_path), nothing, nothing)
    assert sorted(asked) == ["a.ckpt", "below"]
