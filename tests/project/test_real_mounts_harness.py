"""Real mounts show files, hang and fail when asked to. Else tests on them would prove nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.real_mounts import (
    HANG,
    FuseMount,
    ImageMount,
    Mount,
    RcloneMount,
    SshfsMount,
    TmpfsMount,
    ask_list,
    ask_stat,
    mounted_at,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux"),
]

Make = Callable[[Path, Path], Mount]

KINDS: dict[str, Make] = {
    "sshfs": SshfsMount,
    "smb": lambda source, point: RcloneMount("smb", source, point),
    "webdav": lambda source, point: RcloneMount("webdav", source, point),
    "tmpfs": TmpfsMount,
    "exfat": lambda source, point: ImageMount("exfat", source, point),
    "vfat": lambda source, point: ImageMount("vfat", source, point),
    "ext4": lambda source, point: ImageMount("ext4", source, point),
}
SERVED = ["sshfs", "smb", "webdav"]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Mount]]:
    made: list[Mount] = []

    def make(kind: str) -> Mount:
        made.append(KINDS[kind](tmp_path / "source", tmp_path / "a point"))
        return made[-1].__enter__()

    yield make
    for mount in made:
        started = time.monotonic()
        mount.close()
        assert time.monotonic() - started < 5
        assert mounted_at(mount.point) is None


def served(make: Callable[[str], Mount], kind: str) -> FuseMount:
    mount = make(kind)
    assert isinstance(mount, FuseMount)
    (mount.source / "a").write_bytes(b"12345")
    assert ask_stat(mount.point / "a").result == "ok"
    return mount


@pytest.mark.parametrize("kind", KINDS)
def test_mount_shows_files_goes_and_comes_back_as_itself(
    make: Callable[[str], Mount], kind: str
) -> None:
    mount = make(kind)
    identity = mount.identity
    (mount.files / "a").write_bytes(b"12345")
    assert ask_stat(mount.point / "a").size == 5
    assert "a" in ask_list(mount.point).names
    mount.unmount()
    assert mount.identity is None
    assert ask_list(mount.point).names == []
    mount.remount()
    assert ask_stat(mount.point / "a").size == 5
    if kind not in ("exfat", "vfat", "ext4"):  # a loop device has any number
        assert mount.identity == identity
    mount.unmount(lazy=True)
    assert mount.identity is None


@pytest.mark.parametrize("kind", SERVED)
def test_stopped_server_hangs_and_continues(make: Callable[[str], Mount], kind: str) -> None:
    mount = served(make, kind)
    mount.stop_server()
    assert ask_stat(mount.point / "a", timeout=1).result == HANG
    mount.continue_server()
    assert ask_stat(mount.point / "a").size == 5


@pytest.mark.parametrize("kind", SERVED)
def test_dead_client_leaves_a_mount_that_is_not_connected(
    make: Callable[[str], Mount], kind: str
) -> None:
    mount = served(make, kind)
    mount.kill_client()
    assert mount.identity is not None
    assert ask_stat(mount.point).result == "ENOTCONN"
    assert ask_list(mount.point).result == "ENOTCONN"
    mount.remount()
    assert ask_list(mount.point).names == ["a"]


@pytest.mark.parametrize("kind", ["smb", "webdav"])
def test_rclone_answers_eio_while_its_server_is_dead(
    make: Callable[[str], Mount], kind: str
) -> None:
    mount = served(make, kind)
    mount.kill_server()
    assert ask_list(mount.point).result == "EIO"
    assert ask_stat(mount.point / "a").result == "EIO"
    assert ask_stat(mount.point).result == "ok"  # rclone answers this from memory
    mount.start_server()
    assert ask_list(mount.point).names == ["a"]


def test_sshfs_unmounts_itself_when_its_server_dies(make: Callable[[str], Mount]) -> None:
    """What is left is an empty folder: nothing else tells that a library has not been deleted."""
    mount = served(make, "sshfs")
    mount.kill_server()
    deadline = time.monotonic() + 5
    while mount.identity and time.monotonic() < deadline:
        time.sleep(0.01)
    assert mount.identity is None
    assert ask_list(mount.point).names == []
    mount.remount()
    assert ask_list(mount.point).names == ["a"]


def test_relay_counts_requests_and_delays_each(tmp_path: Path) -> None:
    source, point = tmp_path / "source", tmp_path / "point"
    with SshfsMount(source, point, delay_ms=20) as mount:
        for number in range(10):
            (source / str(number)).touch()
        before = mount.requests
        started = time.monotonic()
        subprocess.run(["find", str(point), "-printf", "%s %T@ %p\n"], check=True, timeout=30)
        took = time.monotonic() - started
        sent = mount.requests - before
    assert sent["OPENDIR"] == 1
    assert sent["LSTAT"] >= 10
    # sshfs sends its READDIR requests ahead and waits for a few, and for no CLOSE.
    waited_for = sent["LSTAT"] + sent["OPENDIR"]
    assert waited_for * 0.020 <= took < (waited_for + sent["READDIR"]) * 0.040
