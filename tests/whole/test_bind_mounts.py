"""A folder that two bind mounts reach in a circle, on this machine's kernel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.disk.filesystem import DiskFileSystem
from tests.support.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="bind mounts are Linux's"),
]


def do(*command: str | Path) -> bool:
    return not subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """A disk whose mounts reach each other: what is mounted in one shows in the others."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not (do("mount", "-t", "tmpfs", "tmpfs", disk) and do("mount", "--make-shared", disk)):
        pytest.skip("only root may mount")
    try:
        (disk / "models").mkdir()
        yield disk / "models"
    finally:
        do("umount", "--recursive", "--lazy", disk)


class RealWorld(World):
    """A world on the real disk: it checks the replay of every scan."""

    def __init__(self, folder: Path, root: Root) -> None:
        class Disk(DiskFileSystem):
            def advance(self, seconds: float) -> None: ...

        super().__init__(folder, Disk(), (root,), hold_wait=0.0)  # type: ignore[arg-type]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def edits(top: Path) -> list[Callable[[], object]]:
    a, b = top / "a", top / "b"
    return [
        lambda: write(a / "new", "new"),
        (b / "g").unlink,
        lambda: write(a / "sub" / "deep", "deep"),
        lambda: (a / "sub").rename(b / "sub"),
        lambda: shutil.rmtree(b / "sub"),
        lambda: (a / "new").rename(b / "moved"),
        lambda: do("umount", "--lazy", b / "x"),
        lambda: write(b / "x" / "in the way", "1"),
        lambda: do("umount", "--lazy", a / "y"),
        lambda: shutil.rmtree(a),
    ]


@pytest.mark.parametrize("has_links", [False, True])
def test_circle_of_bind_mounts_is_replayed_exactly(
    tmp_path: Path, top: Path, has_links: bool
) -> None:
    a, b = top / "a", top / "b"
    write(a / "y" / "hidden", "1")
    write(a / "f", "12")
    write(b / "g", "123")
    world = RealWorld(tmp_path, Root("models", str(top)))
    world.scan()
    (b / "x").mkdir()
    assert do("mount", "--bind", b, a / "y")
    assert do("mount", "--bind", a, b / "x")
    if has_links:
        (b / "l").symlink_to(a / "y")
        (a / "k").symlink_to(b / "x")
        (a / "up").symlink_to("..")
    for _ in range(4):
        world.scan()
    for edit in edits(top):
        edit()
        world.scan()  # which checks the replay
        world.scan()
    assert str(b / "x" / "f") in world.project()
