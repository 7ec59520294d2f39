"""A look at ComfyUI's own files never hangs the program."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scanner.disk import read_with_timeout as peeking
from scanner.disk.mounts import Mount
from scanner.disk.read_with_timeout import (
    ABSENT,
    FILE,
    FOLDER,
    SILENT,
    ReadResult,
    read_with_timeout,
)

SHARE = [Mount("/", "cifs", "//nas/share")]


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


def test_silent_mount_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "read_mounts", lambda: SHARE)
    monkeypatch.setattr(peeking, "LIMIT", 0.3)
    monkeypatch.setattr(peeking, "_LOOK", "import time; time.sleep(60)")
    started = time.monotonic()
    assert read_with_timeout(str(tmp_path)) == ReadResult(SILENT)
    assert time.monotonic() - started < 30
