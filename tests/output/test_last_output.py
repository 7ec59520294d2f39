"""The note of the inventory that was written last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.core.user_folders import state_folder
from scanner.output.last_output import last_output, remember_output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = Path(state_folder())
    found.mkdir(parents=True)
    return found


def test_temporary_files_of_writers_that_were_killed_are_deleted(
    folder: Path, tmp_path: Path
) -> None:
    names = [".last_output.1.tmp", ".last_output.2.tmp", ".last_output.x.tmp", "mine.tmp"]
    for name in names:
        (folder / name).touch()
        if "2" not in name:
            os.utime(folder / name, (1, 1))
    remember_output(str(tmp_path / "out.json"))
    assert last_output() == str(tmp_path / "out.json")
    left = {path.name for path in folder.iterdir()}
    assert left == {*names[1:], "last_output"}
