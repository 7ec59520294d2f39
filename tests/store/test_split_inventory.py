"""Inventories in several files, over scans, restarts and lost states."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanner.core.roots import Root
from scanner.errors import OutputError
from scanner.output.inventory_reader import read_entries, read_header
from scanner.store import published
from tests.support.fakes import FakeFileSystem
from tests.support.world import World, at, content

ROOTS = (
    Root("models", "/home/u/ComfyUI/models"),
    Root("output", "/home/u/ComfyUI/output"),
    Root("downloads", "/home/u/Downloads"),
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    files = FakeFileSystem()
    for root in ROOTS:
        files.makedirs(root.path)
        for folder in ("loras", "vae"):
            for number in range(30):
                files.write(f"{root.path}/{folder}/f{number}.safetensors", content(str(number)))
    world = World(tmp_path, files, ROOTS, split_by="category")
    return settled(world)


def settled(world: World) -> World:
    for _ in range(4):
        assert world.scan(advance=700) == []
    return world


def parts(world: World) -> set[str]:
    folder = Path(world.outputs.parts)
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def split_by(world: World) -> object:
    header = read_header(world.outputs.inventory)
    assert header is not None
    return header.get("split_by")


def test_from_several_files_to_one_and_back_is_no_change(world: World) -> None:
    known, entries = world.project(), list(read_entries(world.outputs.inventory))
    assert len(parts(world)) >= 5
    for kind in ("none", "root", "none", "category"):
        world.restart(split_by=kind)
        assert world.scan() == []
        assert world.baselines() == []
        assert split_by(world) == (None if kind == "none" else kind)
        assert (world.project(), world.inventory()) == (known, known)
        assert list(read_entries(world.outputs.inventory)) == entries
        if kind == "none":  # for readers of the manifest that was replaced
            assert parts(world)
            world.files.write(at("ComfyUI/output/new.png"), content("new"))
            world.scan()
            assert parts(world) == set()
            world.files.remove(at("ComfyUI/output/new.png"))
            world.scan()
            entries = list(read_entries(world.outputs.inventory))
            known = world.project()
    settled(world)
    world.files.write(at("ComfyUI/output/new.png"), content("new"))
    assert world.scan() == [("created", "ComfyUI/output/new.png")]


def test_parts_of_one_file_go_with_the_next_start(world: World) -> None:
    world.restart(split_by="none")
    world.scan()
    assert parts(world)
    world.restart()
    assert not Path(world.outputs.parts).exists()


def test_a_change_writes_one_part_also_after_a_restart(world: World) -> None:
    for is_restarted in (False, True):
        if is_restarted:
            world.restart()
        before = parts(world)
        world.files.write(at(f"Downloads/vae/new{is_restarted}"), content("x"))
        world.scan(reads=False)
        assert {name.partition("-")[0] for name in parts(world) - before} == {"downloads"}
        settled(world)


def test_lost_state_is_rebuilt_from_the_parts_without_a_change(world: World) -> None:
    known = world.project()
    world.files.write(at("ComfyUI/models/loras/new.safetensors"), content("new"))
    world.files.remove(at("ComfyUI/models/vae/f3.safetensors"))
    lose_state(world)
    assert world.project() == known
    assert world.scan() == [
        ("created", "ComfyUI/models/loras/new.safetensors"),
        ("deleted", "ComfyUI/models/vae/f3.safetensors"),
    ]
    assert {reason for _, reason in world.baselines()} == {"state lost"}


def test_state_is_not_rebuilt_from_a_part_with_other_content(world: World) -> None:
    part = next(path for path in Path(world.outputs.parts).iterdir() if "loras" in path.name)
    text = part.read_bytes()
    part.write_bytes(text.replace(b"f3.safetensors", b"f_.safetensors"))
    lose_state(world)
    assert world.project() == {}
    assert world.scan() == []
    assert {reason for _, reason in world.baselines()} == {"added"}
    assert world.inventory() == world.project()


def lose_state(world: World) -> None:
    world.store.close()
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.open()


@pytest.mark.parametrize("harm", ["removed", "cut", "changed", "cut by a crash"])
@pytest.mark.parametrize("when", ["while it runs", "after a start", "before a start"])
def test_a_part_that_someone_harmed_is_written_again(world: World, harm: str, when: str) -> None:
    entries = list(read_entries(world.outputs.inventory))
    part = next(path for path in Path(world.outputs.parts).iterdir() if "loras" in path.name)
    text = part.read_bytes()
    if when == "after a start":
        world.restart()
    if harm == "removed":
        part.unlink()
    elif harm.startswith("cut"):
        seen = part.stat()
        part.write_bytes(text[:-50])
        if harm != "cut":
            os.utime(part, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    else:
        part.write_bytes(text.replace(b"f3.safetensors", b"f_.safetensors"))
    if when == "before a start":
        world.restart()
    assert world.scan() == []
    assert list(read_entries(world.outputs.inventory)) == entries
    assert part.read_bytes() == text


def test_what_a_killed_writer_left_is_removed_at_the_next_start(world: World) -> None:
    kept = parts(world)
    header = read_header(world.outputs.inventory)
    folder = Path(world.outputs.parts)
    (folder / f"output-{'0' * 32}.json").write_bytes(b"of a manifest that was never written")
    (folder / ".part.0123abcd.tmp").write_bytes(b"half")
    world.restart()
    assert parts(world) <= kept
    assert read_header(world.outputs.inventory) == header
    assert world.inventory() == world.project()


def test_only_what_is_written_spaces_the_writes_of_large_inventories(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 10: a large inventory of which one part changes is written at once."""
    whole = world.store.inventory.bytes
    monkeypatch.setattr(published, "LARGE_INVENTORY", whole // 2)
    world.files.write(at("Downloads/vae/new"), content("x"))
    world.scan(reads=False)
    assert world.store.inventory.bytes > whole
    assert not world.store.inventory.is_large
    world.restart(split_by="root")
    world.scan(reads=False)
    assert world.store.inventory.is_large


def test_folder_that_cannot_be_written_is_one_sentence_and_loses_nothing(world: World) -> None:
    folder = Path(world.outputs.parts)
    folder.rename(folder.with_name("aside"))
    folder.write_text("of a person")
    world.files.write(at("Downloads/vae/new"), content("x"))
    with pytest.raises(OutputError, match="is not a folder"):
        world.scan()
    folder.unlink()
    folder.with_name("aside").rename(folder)
    assert world.scan() == []
    assert world.inventory() == world.project()
