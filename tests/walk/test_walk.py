"""A walk asks for what it needs, and looks at each failure once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.support.world import MODELS, World, at


def test_cost_of_unreadable_folders_is_linear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each listing looked at all failures of the walk: 4,000 unreadable folders took 4 s."""
    world = World(tmp_path, roots=(MODELS,))
    for number in range(100):
        world.files.makedirs(at(f"ComfyUI/models/a{number:02}"))
        world.files.makedirs(at(f"ComfyUI/models/z{number:02}"))
        world.files.faults["list", at(f"ComfyUI/models/z{number:02}")] = errno.EACCES
    calls: list[str] = []
    dirname = os.path.dirname

    def counted(path: str) -> str:
        calls.append(path)
        return dirname(path)

    monkeypatch.setattr(os.path, "dirname", counted)
    world.scan(reads=False)
    assert len(world.store.memory.unreachable) == 100
    assert len(calls) < 5_000


def test_unreadable_folder_that_its_parent_lists_no_more_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, roots=(MODELS,))
    top = at("ComfyUI/models")
    for name in ("a", "b"):
        world.files.write(f"{top}/{name}/x", b"1")
    world.settle()

    def vanish() -> None:
        del world.files.faults["list", f"{top}/b"]
        world.files.remove(f"{top}/b")
        raise FileNotFoundError(errno.ENOENT, "gone", f"{top}/b")

    world.files.faults["list", f"{top}/a"] = errno.ENOENT
    world.files.faults["list", f"{top}/b"] = vanish
    assert world.scan() == [("deleted", "ComfyUI/models/b"), ("deleted", "ComfyUI/models/b/x")]
    assert world.store.memory.unreachable.keys() == {f"{top}/a"}
