"""Entries that are asked for by name tell the same as a listing of their folder would."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.snapshot import Directory, listing_of
from scanner.disk import filesystem, known_entries
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.known_entries import HAS_DESCRIPTORS, can_ask_by_name
from scanner.disk.statx import Stats, stats_of, statx_call

pytestmark = pytest.mark.skipif(not HAS_DESCRIPTORS, reason="no stats relative to a folder here")

DISK = DiskFileSystem()


@pytest.fixture(autouse=True, params=["one by one", "at once"])
def _stats(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are stat-ed in both ways."""
    monkeypatch.setattr(DISK, "_at_once", request.param == "at once")
    monkeypatch.setattr(filesystem, "WORTH_IT", 0)


OLD = 1_600_000_000_000_000_000


def made(folder: Path, count: int = 5) -> Directory:
    """A folder of files and one folder, as a listing knows it."""
    for number in range(count):
        path = folder / f"f{number}"
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(OLD, OLD + number))
    (folder / "sub").mkdir()
    return DISK.list_directory(str(folder))


def test_unchanged_folder_is_known(tmp_path: Path) -> None:
    known = made(tmp_path)
    assert can_ask_by_name(known)
    assert DISK.has_times(str(tmp_path), known)
    assert DISK.has_entries(str(tmp_path), known)


def test_names_of_any_bytes_are_asked_for(tmp_path: Path) -> None:
    for name in (b"new\nline", b" lead", "\u00e9\U0001f600".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_bytes(name)
    try:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"\xe9\xff"))).write_bytes(b"1")
    except OSError:
        pass  # this file system takes UTF-8 names only
    known = DISK.list_directory(str(tmp_path))
    assert len(known.listing) >= 3
    assert DISK.has_entries(str(tmp_path), known)
    (tmp_path / "new\nline").write_bytes(b"another size")
    assert not DISK.has_entries(str(tmp_path), known)


def test_empty_folder_is_known_by_its_times(tmp_path: Path) -> None:
    known = DISK.list_directory(str(tmp_path))
    assert DISK.has_entries(str(tmp_path), known)
    (tmp_path / "new").write_bytes(b"")
    assert not DISK.has_entries(str(tmp_path), known)


def _grow(folder: Path) -> None:
    with open(folder / "f3", "ab") as file:
        file.write(b"1")
    os.utime(folder / "f3", ns=(OLD, OLD + 3))


def _touch(folder: Path) -> None:
    os.utime(folder / "f3", ns=(OLD, OLD + 4))


def _link_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    os.link(folder / "f3", folder.parent / "elsewhere" / "more")


def _another_file(folder: Path) -> None:
    new = folder / "new"
    new.write_bytes(b"xxx")
    os.utime(new, ns=(OLD, OLD + 3))
    os.replace(new, folder / "f3")


def _link(folder: Path) -> None:
    (folder / "f3").unlink()
    (folder / "f3").symlink_to("f2")


def _folder(folder: Path) -> None:
    (folder / "f3").unlink()
    (folder / "f3").mkdir()


def _file_for_folder(folder: Path) -> None:
    (folder / "sub").rmdir()
    (folder / "sub").write_bytes(b"")


def _another_folder(folder: Path) -> None:
    (folder / "other").mkdir()
    os.rename(folder / "other", folder / "sub")


@pytest.mark.parametrize("edit", [_grow, _touch, _link_elsewhere, _another_file, _link, _folder])
def test_a_difference_in_a_folder_of_files_alone_is_seen(
    tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    """Where all are files, whole columns are compared."""
    folder = tmp_path / "top"
    folder.mkdir()
    made(folder)
    (folder / "sub").rmdir()
    os.utime(folder, ns=(OLD, OLD))
    known = DISK.list_directory(str(folder))
    assert DISK.has_entries(str(folder), known)
    edit(folder)
    os.utime(folder, ns=(OLD, OLD))
    now = replace(known, ctime=os.stat(folder).st_ctime_ns)
    assert DISK.has_times(str(folder), now)
    assert not DISK.has_entries(str(folder), now)


@pytest.mark.parametrize(
    "edit",
    [_grow, _touch, _link_elsewhere, _another_file, _link, _folder, _file_for_folder,
     _another_folder],
)  # fmt: skip
def test_each_entry_tells_of_its_change_by_itself(
    tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    """As if the times of the folder had stood still."""
    folder = tmp_path / "folder"
    folder.mkdir()
    known = made(folder)
    edit(folder)
    own = folder.stat()
    still = replace(known, mtime=own.st_mtime_ns, ctime=own.st_ctime_ns)
    assert DISK.has_times(str(folder), still)
    assert not DISK.has_entries(str(folder), still)


@pytest.mark.skipif(statx_call() is None, reason="this system has no statx")
def test_another_type_with_the_same_numbers_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe can get the inode of a file that was removed."""
    (tmp_path / "f").write_bytes(b"")
    known = DISK.list_directory(str(tmp_path))

    def pipes(folder: int, names: Sequence[bytes]) -> Stats | None:
        stats = stats_of(folder, names)
        return stats and stats._replace(modes=[stat.S_IFIFO] * len(names))

    monkeypatch.setattr(DISK, "_at_once", True)
    assert DISK.has_entries(str(tmp_path), known)
    monkeypatch.setattr(known_entries, "stats_of", pipes)
    assert not DISK.has_entries(str(tmp_path), known)


def test_entry_that_is_gone_is_an_error(tmp_path: Path) -> None:
    known = made(tmp_path)
    (tmp_path / "f3").unlink()
    assert not DISK.has_entries(str(tmp_path), known)
    own = tmp_path.stat()
    still = replace(known, mtime=own.st_mtime_ns, ctime=own.st_ctime_ns)
    with pytest.raises(FileNotFoundError):
        DISK.has_entries(str(tmp_path), still)


@pytest.mark.parametrize("field", ["mtime", "ctime", "device", "inode"])
def test_folder_is_known_by_all_its_times_and_its_identity(tmp_path: Path, field: str) -> None:
    known = made(tmp_path)
    changed: dict[str, Any] = {field: (getattr(known, field) or 0) + 1}
    other = replace(known, **changed)
    assert not DISK.has_times(str(tmp_path), other)
    assert not DISK.has_entries(str(tmp_path), other)


def test_file_in_place_of_a_folder_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    own = file.stat()
    known = Directory(
        listing_of([]), own.st_mtime_ns, own.st_dev, own.st_ino, ctime=own.st_ctime_ns
    )
    assert not DISK.has_times(str(file), known)
    with pytest.raises(NotADirectoryError):
        DISK.has_entries(str(file), known)


def test_links_and_what_cannot_be_told_by_name_are_listed(tmp_path: Path) -> None:
    known = made(tmp_path)
    listing = known.listing
    assert can_ask_by_name(known)
    assert not can_ask_by_name(replace(known, inode=0))
    assert not can_ask_by_name(replace(known, listing=replace(listing, unstatted=("x",))))
    assert not can_ask_by_name(replace(known, listing=replace(listing, hard_links=("f1",))))
    assert not can_ask_by_name(replace(known, listing=replace(listing, targets=(("a", "b"),))))
    os.mkfifo(tmp_path / "pipe")
    assert not can_ask_by_name(DISK.list_directory(str(tmp_path)))


def test_end_of_the_program_does_not_wait_for_a_large_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = made(tmp_path, 20)
    monkeypatch.setattr(known_entries, "PART", 4)
    looks: list[int] = []

    def stopped() -> bool:
        looks.append(1)
        return len(looks) == 3

    assert not DiskFileSystem(stopped).has_entries(str(tmp_path), known)
    assert len(looks) == 3


def test_each_entry_is_a_sign_of_life(tmp_path: Path) -> None:
    known = made(tmp_path)
    disk = DiskFileSystem()
    before = disk.returned()
    assert disk.has_entries(str(tmp_path), known)
    assert disk.returned() >= before + len(known.listing)


EDITS = st.lists(
    st.tuples(st.sampled_from("wturnkldcx"), st.integers(0, 5), st.integers(0, 5)), max_size=4
)


@given(EDITS)
def test_it_tells_what_a_listing_tells(edits: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as top:
        folder = os.path.join(top, "folder")
        os.mkdir(folder)
        known = made(Path(folder))
        for kind, one, other in edits:
            _edit(folder, kind, f"{folder}/f{one}", f"{folder}/f{other}")
        now = DISK.list_directory(folder)
        try:
            is_known = DISK.has_entries(folder, known)
        except OSError:
            is_known = False
        assert is_known == (now == known)


def _edit(folder: str, kind: str, path: str, other: str) -> None:
    """One of: write, touch, rename, unlink, nothing, link, chmod ..."""
    is_there = os.path.isfile(path)
    if kind == "w":
        with open(path, "ab") as file:
            file.write(b"1")
    elif kind == "t" and is_there:
        os.utime(path, ns=(OLD, OLD + 7))
    elif kind == "u" and is_there:
        os.utime(path, ns=(OLD, os.stat(path).st_mtime_ns))  # the ctime alone
    elif kind == "r" and is_there:
        os.replace(path, other)
    elif kind == "k" and is_there:
        os.unlink(path)
    elif kind == "l" and is_there:
        os.link(path, f"{folder}-{len(os.listdir(os.path.dirname(folder)))}")
    elif kind == "d":
        os.chmod(folder, 0o755)
    elif kind == "c" and is_there:
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)
    elif kind == "x":
        os.utime(folder, ns=(OLD, OLD))
