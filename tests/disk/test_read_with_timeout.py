"""A look at ComfyUI's own files never hangs the program."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from scanner.disk import read_with_timeout as peeking
from scanner.disk.child import start_child
from scanner.disk.mounts import Mount
from scanner.disk.read_with_timeout import (
    ABSENT,
    FILE,
    FOLDER,
    OTHER,
    SILENT,
    ReadResult,
    list_with_timeout,
    read_with_timeout,
)

SHARE = [Mount("/", "cifs", "//nas/share")]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "_left_behind", {})


@pytest.fixture(params=["local", "remote"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "remote":
        monkeypatch.setattr(peeking, "read_mounts", lambda: SHARE)
    return str(request.param)


def test_files_folders_and_nothing_are_told_apart(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\nb\n\xff")
    assert read_with_timeout(str(tmp_path / "file")) == ReadResult(FILE, b"a\nb\n\xff")
    assert read_with_timeout(str(tmp_path)) == ReadResult(FOLDER)
    assert read_with_timeout(str(tmp_path / "missing")) == ReadResult(ABSENT)


def test_folders_are_listed_and_the_rest_is_told_apart(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "a\nb").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    kind, names = list_with_timeout(str(tmp_path))
    assert (kind, sorted(names)) == (FOLDER, ["a\nb", "file", "loop"])
    assert list_with_timeout(str(tmp_path / "a\nb")) == (FOLDER, [])
    assert list_with_timeout(str(tmp_path / "file")) == (FILE, [])
    assert list_with_timeout(str(tmp_path / "missing")) == (ABSENT, [])
    assert list_with_timeout(str(tmp_path / "file" / "below")) == (ABSENT, [])
    assert list_with_timeout(str(tmp_path / "loop")) == (OTHER, [])


def test_silent_mount_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "read_mounts", lambda: SHARE)
    monkeypatch.setattr(peeking, "LIMIT", 0.3)
    monkeypatch.setattr(peeking, "_LOOK", "import time; time.sleep(60)")
    started = time.monotonic()
    assert read_with_timeout(str(tmp_path)) == ReadResult(SILENT)
    assert list_with_timeout(str(tmp_path)) == (SILENT, [])
    assert time.monotonic() - started < 30


def test_no_second_process_starts_where_one_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peeking, "read_mounts", lambda: SHARE)
    monkeypatch.setattr(peeking, "LIMIT", 0.3)
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        started.append(start_child("import time; time.sleep(60)"))
        return started[-1]

    monkeypatch.setattr(peeking, "start_child", start)
    with monkeypatch.context() as hanging:
        # Nothing ends a process whose call hangs in the kernel.
        hanging.setattr(subprocess.Popen, "kill", lambda child: None)
        for _ in range(3):
            assert read_with_timeout(str(tmp_path)) == ReadResult(SILENT)
    assert len(started) == 1
    started[0].returncode = None
    started[0].kill()
    started[0].wait()
    assert read_with_timeout(str(tmp_path)) == ReadResult(SILENT)
    assert len(started) == 2
