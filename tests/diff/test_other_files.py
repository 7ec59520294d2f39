"""Whatever was read of one file is never said of another one of equal size and mtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.core.digests import SHA256
from scanner.core.paths import join
from scanner.core.snapshot import DIRECTORY, FILE, FILE_LINK, Row
from scanner.diff.compare import Delta
from scanner.diff.moves import Moves
from scanner.diff.other_files import other_files
from scanner.store.metadata import MetadataUpdate
from tests.support.build import directory_of
from tests.support.world import World, at, content

OLD = bytes(32)

BEFORE = {
    "a": (FILE, 1, 1, 1),
    "b": (FILE, 1, 1, 2),
    "c": (FILE, 1, 1, 3),
    "d": (FILE, 1, 1, 4),
    "e": (DIRECTORY, 0, 0, 5),
    "f": (FILE_LINK, 1, 1, 6),
    "g": (FILE, 1, 1, 7),
}
AFTER = {
    **BEFORE,
    "b": (FILE, 1, 1, 12),
    "c": (FILE, 2, 1, 13),
    "d": (FILE, 1, 2, 14),
    "e": (DIRECTORY, 0, 0, 15),
    "f": (FILE_LINK, 1, 1, 16),
    "g": (FILE_LINK, 1, 1, 17),
}
"""Type, size, mtime and inode by name. Only `b` is another file that looks the same."""


@pytest.mark.parametrize("more", [{}, {"aa": (FILE, 1, 1, 20)}])
def test_of_equal_rows_the_files_with_other_inodes_are_others(more: dict[str, Any]) -> None:
    """Whether the names of the folder are the same as before or not."""
    old, new = (
        {"/m": directory_of(*(Row(name, *values) for name, values in rows.items()))}
        for rows in (BEFORE, AFTER | more)
    )
    delta = Delta(directories=new)
    assert other_files(delta, Moves(), old) == {join("/m", "b")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def hashed(world: World, name: str) -> None:
    """Have the hash of the file be known, as it is now."""
    stat = world.files.stat(at(name))
    update = MetadataUpdate(at(name), stat.size, stat.mtime, {SHA256: OLD})
    world.store.metadata.save([update], world.files.now())


def replace_file(world: World, old: str, new: str, *, with_inode: bool) -> None:
    """Put another file of equal size and mtime at `new`, in place of the one at `old`."""
    node = world.files.remove(at(old))
    made = world.files.write(at(new), content("other", len(node.content)), node.mtime)
    if with_inode:
        made.inode = node.inode


def known(world: World, name: str) -> tuple[str | None, str | None]:
    """Fingerprint and hash in the inventory, as it is after the next write."""
    entry = world.entry(name)
    return entry.get("fingerprint"), entry.get("sha256")


def test_a_file_replaced_by_rename_loses_the_old_hash(world: World) -> None:
    world.files.write(at("ComfyUI/models/x"), content("x"), 5)
    world.settle()
    hashed(world, "ComfyUI/models/x")
    before = known(world, "models/x")
    assert all(before)
    replace_file(world, "ComfyUI/models/x", "ComfyUI/models/x", with_inode=False)
    assert world.scan() == []
    fingerprint, sha256 = known(world, "models/x")
    assert fingerprint not in (None, before[0])
    assert sha256 is None


def test_a_file_with_a_freed_inode_is_no_move_and_takes_nothing_over(world: World) -> None:
    world.files.write(at("ComfyUI/models/v1"), content("x"), 5)
    world.settle()
    hashed(world, "ComfyUI/models/v1")
    before = known(world, "v1")
    replace_file(world, "ComfyUI/models/v1", "ComfyUI/models/v2", with_inode=True)
    assert world.scan() == [
        ("created", "ComfyUI/models/v2"),
        ("deleted", "ComfyUI/models/v1"),
    ]
    world.scan()
    fingerprint, sha256 = known(world, "v2")
    assert fingerprint not in (None, before[0])
    assert sha256 is None


def test_a_moved_file_keeps_its_fingerprint_and_hash(world: World) -> None:
    world.files.write(at("ComfyUI/models/x"), content("x"), 5)
    world.settle()
    hashed(world, "ComfyUI/models/x")
    before = known(world, "models/x")
    world.files.rename(at("ComfyUI/models/x"), at("ComfyUI/models/y"))
    assert world.scan() == [("moved", "ComfyUI/models/x", "ComfyUI/models/y")]
    assert known(world, "models/y") == before


def test_a_file_that_moved_without_a_fingerprint_takes_no_hash_along(world: World) -> None:
    """Its inode is believed for the line, and no more."""
    world.files.write(at("Downloads/x"), content("x"), 5)
    world.scan(reads=False)
    hashed(world, "Downloads/x")
    world.files.rename(at("Downloads/x"), at("Downloads/y"))
    assert world.scan(reads=False) == [("moved", "Downloads/x", "Downloads/y")]
    assert known(world, "Downloads/y")[1] is None


def test_of_a_moved_folder_the_file_that_was_replaced_takes_nothing_over(world: World) -> None:
    for name in "abcd":
        world.files.write(at(f"ComfyUI/models/one/{name}"), content(name), 5)
    world.settle()
    for name in "abcd":
        hashed(world, f"ComfyUI/models/one/{name}")
    before = known(world, "one/a")
    world.files.rename(at("ComfyUI/models/one"), at("ComfyUI/models/two"))
    replace_file(world, "ComfyUI/models/two/a", "ComfyUI/models/two/a", with_inode=True)
    replace_file(world, "ComfyUI/models/two/b", "ComfyUI/models/two/b", with_inode=False)
    assert world.scan() == [("moved", "ComfyUI/models/one", "ComfyUI/models/two")]
    assert known(world, "two/a")[0] not in (None, before[0])
    assert [known(world, f"two/{name}")[1] for name in "ab"] == [None, None]
    assert [known(world, f"two/{name}")[1] for name in "cd"] == [OLD.hex(), OLD.hex()]
