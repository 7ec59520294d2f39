"""Scripts for copies on real mounts: blocks that are shared, and a share that is mounted twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.commands.scripts.plan import Group, Known, Plan
from scanner.commands.scripts.shell import shell_script
from tests.support.real_mounts import SshfsMount, require, require_root

pytestmark = pytest.mark.slow


def known(path: Path) -> Known:
    status = os.stat(path)
    return Known(str(path), status.st_size, status.st_mtime_ns)


def run(action: str, keep: Path, other: Path) -> subprocess.CompletedProcess[bytes]:
    script = shell_script(Plan(action, [Group("two", known(keep), (known(other),))]))
    return subprocess.run(["sh"], input=script, capture_output=True, check=False, timeout=120)


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    (make,) = require("mkfs.btrfs")
    require_root()
    image, point = tmp_path / "image", tmp_path / "mounted"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(300 << 20)
    subprocess.run([make, "-q", image], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", image, point], check=False).returncode:
        pytest.skip("btrfs cannot be mounted here")
    yield point
    subprocess.run(["umount", point], check=True)


def test_a_reflink_frees_the_blocks_and_keeps_times_and_mode(btrfs: Path) -> None:
    keep, other = btrfs / "keep", btrfs / "-it's\nother"
    data = os.urandom(40 << 20)
    for path in (keep, other):
        path.write_bytes(data)
    other.chmod(0o640)
    os.utime(other, ns=(1, 1_600_000_000_123_456_789))

    def free() -> int:
        subprocess.run(["sync"], check=True)
        found = os.statvfs(btrfs)
        return found.f_bavail * found.f_frsize

    before, free_before = other.stat(), free()
    done = run("reflink", keep, other)
    assert (done.returncode, done.stderr) == (0, b"")
    assert free() - free_before > 30 << 20
    after = other.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert after.st_ino != before.st_ino
    assert other.read_bytes() == data == keep.read_bytes()


@pytest.mark.parametrize("caches", [False, True])
@pytest.mark.parametrize("action", ["link", "reflink", "delete"])
def test_a_share_that_is_mounted_twice_keeps_its_only_file(
    tmp_path: Path, action: str, caches: bool
) -> None:
    source = tmp_path / "source"
    (source / "models").mkdir(parents=True)
    file = source / "models" / "file"
    file.write_bytes(b"the only one")
    first = SshfsMount(source, tmp_path / "first", caches=caches)
    second = SshfsMount(source, tmp_path / "second", caches=caches)
    with first, second:
        places = [tmp_path / name / "models" / "file" for name in ("first", "second")]
        assert [os.listdir(place.parent) for place in places] == [["file"]] * 2
        for _ in range(2):
            done = run(action, *places)
            assert b"0 done (0 bytes freed)" in done.stdout, done
        # The folder on the server itself is a third way to the same file.
        for pair in ((places[0], file), (file, places[0])):
            assert b"0 done (0 bytes freed)" in run(action, *pair).stdout
    assert os.listdir(file.parent) == ["file"]
    assert file.read_bytes() == b"the only one"
