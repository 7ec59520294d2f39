"""Readers see the old file or the new one, whatever happens to the writer."""

import errno
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from scanner.errors import OutputError
from scanner.output import atomic, write_back
from scanner.output.atomic import AtomicFile, VolatileFile, remove_leftovers

posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX file modes and links")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.json"
    path.write_bytes(b"old")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [AtomicFile, VolatileFile])
def test_replaces_the_file_at_the_end_of_the_block(target, kind):
    with kind(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
        (temporary,) = (name for name in names(target.parent) if name != target.name)
        assert temporary.startswith(".inventory.json.") and temporary.endswith(".tmp")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == [target.name]


def test_makes_a_file_that_was_not_there_with_the_usual_mode(tmp_path):
    (tmp_path / "usual").touch()
    with AtomicFile(tmp_path / "new") as file:
        file.write(b"x")
    assert (tmp_path / "new").read_bytes() == b"x"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_keeps_the_mode(target, mode):
    target.chmod(mode)
    with AtomicFile(target) as file:
        file.write(b"new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


@posix_only
def test_a_link_stays_a_link(target):
    link = target.with_name("link.json")
    (target.parent / "elsewhere").mkdir()
    real = target.rename(target.parent / "elsewhere" / "real.json")
    link.symlink_to(real)
    with AtomicFile(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_in_the_block_leaves_the_old_file_and_no_other(target, error):
    with pytest.raises(error), AtomicFile(target) as file:
        file.write(b"half")
        raise error
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(target, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail, raising=False)
    with pytest.raises(OutputError) as failure, AtomicFile(target) as file:
        file.write(b"new")
    assert str(failure.value) == f"cannot write {target}: No space left on device"
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_failing_write_is_an_output_error(target):
    with pytest.raises(OutputError, match="No space left"), AtomicFile(target) as file:
        with open("/dev/full", "wb") as full:
            assert file._file is not None
            os.dup2(full.fileno(), file._file.fileno())
        file.write(b"x" * 10_000_000)
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write"), AtomicFile(tmp_path / "no" / "x"):
        pass


def test_a_folder_in_its_place_is_an_output_error(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OutputError, match="cannot write"), AtomicFile(tmp_path / "x") as file:
        file.write(b"new")
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("code", sorted(atomic._NO_SYNC))
def test_a_file_system_without_fsync_is_good_enough(target, monkeypatch, code):
    def fail(*_):
        raise OSError(code, "not here")

    monkeypatch.setattr(os, "fsync", fail)
    with AtomicFile(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


@posix_only
def test_forces_the_file_before_and_the_folder_after_the_replace(target, monkeypatch):
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if not is_folder:
            assert os.fstat(descriptor).st_size == 3, "forced before it was flushed"
        calls.append("folder" if is_folder else "file")
        fsync(descriptor)

    def note_replace(*paths):
        calls.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    with AtomicFile(target) as file:
        file.write(b"new")
    assert calls == ["file", "replace", "folder"]
    calls.clear()
    with VolatileFile(target) as file:
        file.write(b"new")
    assert calls == ["replace"]


@posix_only
def test_of_a_large_file_the_disk_begins_with_the_first_bytes(target, monkeypatch, tmp_path):
    """Each of them once and in order, whether they were written or copied."""
    begun: list[tuple[int, int]] = []

    def note(descriptor, start, length):
        assert os.fstat(descriptor).st_size == start + length, "before it was flushed"
        begun.append((start, length))

    monkeypatch.setattr(atomic, "begin_write_back", note)
    monkeypatch.setattr(atomic, "STRIDE", 100_000)
    content = bytes(range(250)) * 4000
    source = tmp_path / "source"
    source.write_bytes(content)
    with open(source, "rb", buffering=0) as file, AtomicFile(target) as whole:
        whole.write(content[:30_000])
        whole.copy(file, 30_000, 60_000)
        assert begun == []
        whole.copy(file, 90_000, 500_000)
        for start in range(590_000, len(content), 1000):
            whole.write(content[start : start + 1000])
    assert target.read_bytes() == content
    ends = [0, *(start + length for start, length in begun)]
    assert [start for start, _ in begun] == ends[:-1]
    assert 5 <= len(begun) <= 10
    assert len(content) - ends[-1] <= 100_000
    begun.clear()
    with VolatileFile(target) as whole:
        whole.write(content)
    assert begun == []


def test_a_disk_that_cannot_begin_early_is_good_enough(target, monkeypatch):
    monkeypatch.setattr(atomic, "STRIDE", 10)
    for system in (sys.platform, "another"):
        monkeypatch.setattr(sys, "platform", system)
        write_back._sync_file_range.cache_clear()
        with AtomicFile(target) as file:
            for _ in range(9):
                file.write(b"12345678")
        assert target.read_bytes() == b"12345678" * 9
    write_back._sync_file_range.cache_clear()


def sharing_violation(winerror: int) -> OSError:
    error = PermissionError(errno.EACCES, "held by another process")
    error.winerror = winerror  # type: ignore[attr-defined, unused-ignore]
    return error


@pytest.mark.parametrize("winerror", [5, 32, 33])
def test_waits_for_a_reader_on_windows(target, monkeypatch, winerror):
    replace, failures = os.replace, iter([sharing_violation(winerror)] * 3)
    waits: list[float] = []

    def held_for_a_while(*paths):
        for error in failures:
            raise error
        replace(*paths)

    monkeypatch.setattr(os, "replace", held_for_a_while)
    monkeypatch.setattr(time, "sleep", waits.append)
    with AtomicFile(target) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    assert waits == [0.05, 0.1, 0.2]


@pytest.mark.parametrize(("winerror", "most"), [(32, 2.0), (112, 0.0), (None, 0.0)])
def test_waiting_is_bounded_and_for_sharing_only(target, monkeypatch, winerror, most):
    waits: list[float] = []

    def fail(*_):
        raise sharing_violation(winerror)

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(OutputError), AtomicFile(target) as file:
        file.write(b"new")
    assert sum(waits) <= most
    assert target.read_bytes() == b"old"


def test_leftovers_of_a_crash_are_deleted_and_nothing_else(target):
    folder = target.parent
    crashed = AtomicFile(target)
    crashed.__enter__()
    assert crashed._file is not None
    crashed._file.close()
    others = [
        ".inventory.json.tmp",
        ".inventory.json.0123456.tmp",
        ".inventory.json.0123456g.tmp",
        ".inventory2json.01234567.tmp",
        "inventory.json.01234567.tmp",
        ".inventory.json.01234567.tmp.bak",
    ]
    for name in others:
        (folder / name).touch()
    assert remove_leftovers(target) == 1
    assert names(folder) == sorted([*others, target.name])
    assert remove_leftovers(folder / "missing" / "x") == 0


@posix_only
def test_a_reader_never_sees_half_a_file(target):
    sizes = (1, 3_000_000)
    target.write_bytes(b"a")
    done = threading.Event()
    seen: set[int] = set()

    def look():
        while not done.is_set():
            seen.add(len(target.read_bytes()))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for turn in range(40):
            with VolatileFile(target) as file:
                for _ in range(3):
                    file.write(b"x" * (sizes[turn % 2] // 3))
                file.write(b"x" * (sizes[turn % 2] % 3))
    finally:
        done.set()
        reader.join()
    assert seen <= set(sizes)
