"""Many names of a folder are stat-ed in one go, and a listing is then what it is one by one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from scanner.core.snapshot import Directory
from scanner.disk import filesystem, known_entries, statx
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.statx import BATCH, WORTH_IT, Stats, stats_of, statx_call

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="links, pipes, any bytes")

needs_statx = pytest.mark.skipif(statx_call() is None, reason="this system has no statx")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder of several batches, with everything that is no regular file in between."""
    top = tmp_path / "many"
    top.mkdir()
    for number in range(2 * BATCH + 3):
        name = os.fsencode(f"{number:04} ö") + (b"\xff" if number % 7 == 0 else b"")
        path = os.path.join(os.fsencode(top), name)
        with open(path, "wb") as file:
            file.write(b"x" * number)
        os.utime(path, ns=(0, (-5, 0, 1_790_000_000_123_456_789)[number % 3] + number))
    (top / "0100 folder").mkdir()
    (top / "0300 link").symlink_to("0301 ö")
    (top / "0301 broken").symlink_to("nowhere")
    (top / "0302 to folder").symlink_to("0100 folder")
    os.link(top / "0005 ö", top / "0400 again")
    os.mkfifo(top / "0500 pipe")
    return top


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> DiskFileSystem:
    monkeypatch.setattr(filesystem, "WORTH_IT", 0)
    return DiskFileSystem(at_once=True)


def listed(path: Path) -> Directory:
    return DiskFileSystem().list_directory(str(path))


@needs_statx
def test_a_listing_is_the_one_that_is_made_one_by_one(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = listed(many)
    monkeypatch.delattr(filesystem, "_Named")
    found = at_once.list_directory(str(many))
    assert found == known
    assert found.listing.hard_links == ("0005 ö", "0400 again")


@needs_statx
def test_names_without_a_stat_are_asked_for_one_by_one(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = listed(many)
    asked: list[int] = []

    def second_fails(folder: int, names: Sequence[bytes]) -> Stats | None:
        asked.append(len(names))
        return None if len(asked) == 2 else stats_of(folder, names)

    monkeypatch.setattr(filesystem, "stats_of", second_fails)
    assert at_once.list_directory(str(many)) == known
    assert asked[:2] == [BATCH, BATCH]


@needs_statx
def test_a_name_that_has_gone_has_no_stat_and_no_row(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert stats_of(folder, [b"here"]) is not None
        assert stats_of(folder, [b"here", b"gone"]) is None
    finally:
        os.close(folder)


def test_a_name_that_goes_before_its_stat_is_unread(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, names = listed(many), os.listdir(many)
    monkeypatch.setattr(os, "listdir", lambda folder: [*names, "0200 gone"])
    found = at_once.list_directory(str(many)).listing
    assert found.unstatted == ("0200 gone",)
    assert found == replace(known.listing, unstatted=found.unstatted)


def test_a_name_that_comes_twice_has_one_row(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, names = listed(many), os.listdir(many)
    monkeypatch.setattr(os, "listdir", lambda folder: [*names, "0001 ö"])
    assert at_once.list_directory(str(many)) == known


def test_a_listing_that_breaks_off_is_an_error(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(folder: int) -> list[str]:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "listdir", breaks)
    with pytest.raises(OSError, match="broken"):
        at_once.list_directory(str(many))


def test_a_listing_ends_once_the_program_does(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "WORTH_IT", 0)
    looks = iter([False, True])
    with pytest.raises(InterruptedError):
        DiskFileSystem(lambda: next(looks), at_once=True).list_directory(str(many))


@needs_statx
def test_threads_do_not_see_the_stats_of_others(many: Path, at_once: DiskFileSystem) -> None:
    other = many.parent / "other"
    other.mkdir()
    for number in range(BATCH):
        (other / f"{number}").write_text("y" * (number + 1000))
    paths = [many, other] * 20
    known = {path: listed(path) for path in (many, other)}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: at_once.list_directory(str(path)), paths))
    assert found == [known[path] for path in paths]
    # No more room is kept than threads have needed at a time.
    assert len(statx._rooms) <= 4


def test_a_process_that_looks_at_little_stats_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def noted(folder: int, names: Sequence[bytes]) -> Stats | None:
        asked.append(len(names))
        return stats_of(folder, names)

    monkeypatch.setattr(filesystem, "stats_of", noted)
    monkeypatch.setattr(known_entries, "stats_of", noted)
    for number in range(10):
        (tmp_path / f"{number}").write_text("")
    disk = DiskFileSystem(at_once=True)
    while disk.returned() < WORTH_IT:
        disk.list_directory(str(tmp_path))
    assert asked == []
    known = disk.list_directory(str(tmp_path))
    assert disk.has_entries(str(tmp_path), known)
    assert asked == [10, 10]


def test_mounts_that_may_hang_are_stat_ed_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer is a sign of life."""
    monkeypatch.setattr(filesystem, "WORTH_IT", 0)
    monkeypatch.delattr(filesystem, "stats_of")
    (tmp_path / "one").write_text("")
    assert listed(tmp_path).listing.names == "one"


def test_without_statx_there_are_no_stats(
    many: Path, at_once: DiskFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statx, "_call_for_many", lambda: None)
    known = listed(many)
    assert at_once.list_directory(str(many)) == known
