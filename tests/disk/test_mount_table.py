"""The mount table is read when it has changed, and from time to time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.disk import mounts as mount_table
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.mounts import FRESH, Mount, MountTable, read_mounts
from scanner.errors import InventoryError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of changes")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One for each reading of the table."""
    readings: list[int] = []

    def noted() -> list[Mount]:
        readings.append(1)
        return read_mounts()

    monkeypatch.setattr(mount_table, "read_mounts", noted)
    return readings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the table's clock."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def mount(point: Path) -> None:
    command = ["mount", "-t", "tmpfs", "x", str(point)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")


def test_what_has_not_changed_is_read_once(read: list[int], clock: list[float]) -> None:
    table = MountTable()
    assert table.mounts() == table.mounts() == read_mounts()
    assert len(read) == 1
    clock[0] += 2 * FRESH
    assert table.mounts() == read_mounts()
    assert len(read) == 2


def test_mounts_that_come_move_and_go_are_seen_at_once(
    tmp_path: Path, read: list[int], clock: list[float]
) -> None:
    table, point, other = MountTable(), tmp_path / "here", tmp_path / "there"
    point.mkdir()
    other.mkdir()

    def points() -> set[str]:
        return {found.point for found in table.mounts()} & {str(point), str(other)}

    assert points() == set()
    mount(point)
    try:
        assert points() == {str(point)}
        subprocess.run(["mount", "--bind", str(point), str(other)], check=True)
        assert points() == {str(point), str(other)}
        subprocess.run(["umount", str(other)], check=True)
        assert points() == {str(point)}
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert points() == set()
    assert len(read) == 5
    assert points() == set()
    assert len(read) == 5


def test_a_table_that_cannot_be_read_is_an_error_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    def fails() -> list[Mount]:
        raise InventoryError("no")

    table = MountTable()
    known = table.mounts()
    clock[0] += 2 * FRESH
    with monkeypatch.context() as patch:
        patch.setattr(mount_table, "read_mounts", fails)
        for _ in range(2):
            with pytest.raises(InventoryError):
                table.mounts()
    assert table.mounts() == known


def test_without_a_table_to_wait_for_it_is_read_each_time(
    monkeypatch: pytest.MonkeyPatch, read: list[int]
) -> None:
    monkeypatch.setattr(mount_table, "_TABLE", "/nowhere")
    table = MountTable()
    assert table.mounts() == table.mounts()
    assert len(read) == 2


def test_who_changes_the_list_changes_only_his_own() -> None:
    table = MountTable()
    table.mounts().clear()
    assert table.mounts()


def test_no_descriptor_is_left_behind() -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = DiskFileSystem()
    assert files.mounts()
    del files
    assert len(os.listdir("/proc/self/fd")) == before
