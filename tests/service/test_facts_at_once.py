"""Facts of models stand in the inventory with the next scan, not after ten minutes (rule 10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from scanner.core.digests import SHA256, XXH3
from scanner.core.progress import Display
from scanner.core.statuses import counts_shown
from scanner.output.inventory_reader import read_entries, read_header
from scanner.service.headers import HeaderReader
from scanner.service.lanes import LOCAL
from scanner.store.file_marks import mark_of
from scanner.store.metadata import MetadataTable, MetadataUpdate
from tests.service.test_service import TOP, Loop, Make
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.world import World, at

LAYER = "lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight"
LORA = safetensors_file({LAYER: tensor("F16", [1, 2048], 0, 4096)}, 4096)
A = at("ComfyUI/models/loras/a.safetensors")
B = at("ComfyUI/models/loras/b.safetensors")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda **settings: Loop(tmp_path, stack, **settings)


def entries_of(path: str) -> dict[str, dict[str, Any]]:
    """The entries of the inventory at `path` by name."""
    return {entry["path"].rpartition("/")[2]: entry for entry in read_entries(path)}


def generated(path: str) -> str:
    return str((read_header(path) or {})["generated"])


# In turns


def test_the_first_facts_do_not_wait(make: Make) -> None:
    loop = make()
    for number in range(3):
        loop.files.write(f"{TOP}/loras/{number}.safetensors", LORA)
    loop.scan(times=2)
    entries = entries_of(loop.outputs.inventory)
    assert {entries[f"{number}.safetensors"]["model"]["base_model"] for number in range(3)} == {
        "SDXL"
    }
    written = generated(loop.outputs.inventory)
    loop.scan(times=5)
    assert generated(loop.outputs.inventory) == written


def test_facts_of_a_new_model_do_not_wait(make: Make) -> None:
    loop = make()
    loop.scan()
    loop.files.write(f"{TOP}/loras/new.safetensors", LORA)
    loop.scan(times=2)
    assert entries_of(loop.outputs.inventory)["new.safetensors"]["model"]["base_model"] == "SDXL"


def test_facts_that_are_not_complete_wait_but_a_problem_does_not(make: Make) -> None:
    loop = make()
    for number in range(200):
        loop.files.write(f"{TOP}/loras/{number:03}.safetensors", LORA)
    loop.files.write(f"{TOP}/loras/150.safetensors", LORA[:-1])

    def facts() -> int:
        known = loop.service._scanner.store.metadata.of_folder(f"{TOP}/loras")
        return sum(metadata.facts is not None for metadata in known.values())

    def turn(most: int) -> None:
        """A scan, and then headers until so many are known."""
        loop.files.advance(60)
        loop.schedule.turns[LOCAL](lambda: 20.0 if facts() < most else 0.0)

    loop.service.run(loop.schedule, Display())
    turn(0)
    written = generated(loop.outputs.inventory)
    turn(1)
    turn(0)
    assert 0 < facts() < 150
    assert generated(loop.outputs.inventory) == written
    turn(190)
    assert facts() < 200
    assert entries_of(loop.outputs.inventory)["150.safetensors"]["status"] == "truncated"
    assert loop.status()["broken"] == 1


def test_a_one_shot_scan_leaves_facts_and_counts(make: Make) -> None:
    loop = make()
    loop.files.write(f"{TOP}/loras/a.safetensors", LORA)
    loop.files.write(f"{TOP}/loras/b.safetensors", LORA[:-1])
    loop.files.write(f"{TOP}/checkpoints/c.safetensors", LORA)
    loop.service.scan_once(Display())
    loop.service.finish()
    entries = entries_of(loop.outputs.inventory)
    assert entries["a.safetensors"]["model"]["base_model"] == "SDXL"
    assert entries["b.safetensors"]["status"] == "truncated"
    assert entries["c.safetensors"]["misplaced"] == {"kind": "lora", "category": "checkpoints"}
    assert (loop.status()["broken"], loop.status()["misplaced"]) == (1, 1)


# What else is news


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world whose inventory was written a moment ago, and shows all that is known."""
    world = World(tmp_path)
    world.files.write(A, LORA)
    world.files.write(B, LORA)
    headers = HeaderReader(world.settle().scanner, world.without_facts)
    assert headers.work(lambda: False)
    assert not headers.work(lambda: False)
    world.scanner.publish(is_last=True)
    return world


def counts(world: World) -> dict[str, int]:
    return counts_shown(world.store.inventory.counts)


def test_damage_that_verify_found_is_shown_by_the_next_scan(world: World) -> None:
    entry = entries_of(world.outputs.inventory)["a.safetensors"]
    with closing(MetadataTable(world.outputs.state)) as other_process:
        row = other_process.of(A)
        assert row is not None
        update = MetadataUpdate(A, row.size, row.mtime, {XXH3: bytes(16)})
        other_process.save([update], world.files.now())
        world.scan(reads=False)
        assert entries_of(world.outputs.inventory)["a.safetensors"] == entry  # a hash may wait
        other_process.mark(A, corrupt=world.files.now(), now=world.files.now())
    world.scan(reads=False)
    assert entries_of(world.outputs.inventory)["a.safetensors"]["status"] == "corrupt"
    assert counts(world)["broken"] == 1


@pytest.mark.parametrize(("digit", "status"), [("0", ""), ("1", "mismatch")])
def test_a_hash_that_is_not_the_claimed_one_is_shown_by_the_next_scan(
    world: World, digit: str, status: str
) -> None:
    world.files.write(A.replace(".safetensors", ".sha256"), f"{digit * 64}  a.safetensors".encode())
    assert HeaderReader(world.settle().scanner, world.without_facts).work(lambda: False)
    world.scanner.publish(is_last=True)
    entry = entries_of(world.outputs.inventory)["a.safetensors"]
    assert entry["claimed_sha256"] == digit * 64
    row = world.store.metadata.of(A)
    assert row is not None
    update = MetadataUpdate(A, row.size, row.mtime, {SHA256: bytes(32)})
    world.store.metadata.save([update], world.files.now())
    world.scan(reads=False)
    entry = entries_of(world.outputs.inventory)["a.safetensors"]
    assert entry.get("status", "") == status
    assert ("sha256" in entry) == bool(status)


def test_facts_that_a_killed_process_left_are_shown_by_the_next_scan(world: World) -> None:
    row = world.store.metadata.of(A)
    assert row is not None
    facts = {"model": {"format": "safetensors", "title": "A"}, "status": "", "problem": ""}
    update = MetadataUpdate(A, row.size, row.mtime, facts=facts)
    world.store.metadata.save([update], world.files.now())
    world.restart()
    world.scan(reads=False)
    assert entries_of(world.outputs.inventory)["a.safetensors"]["model"]["title"] == "A"


def test_a_file_that_begins_to_grow_is_unsettled_in_the_next_inventory(world: World) -> None:
    path, writes = at("Downloads/growing.bin"), []
    for size in range(1, 7):
        world.files.write(path, b"g" * size)
        world.scan(reads=False)
        writes.append(world.store.inventory.scan == world.store.scan)
        entry = entries_of(world.outputs.inventory)["growing.bin"]
        assert entry.get("status", "") == ("" if size == 1 else "unsettled")
    assert writes == [True, True, False, False, False, False]


# An inventory of an older version


@pytest.mark.parametrize("key", ["schema", "counts"])
def test_an_inventory_of_an_older_version_is_written_anew(world: World, key: str) -> None:
    written = generated(world.outputs.inventory)
    path = Path(world.outputs.inventory)
    if key == "schema":
        path.write_bytes(path.read_bytes().replace(b'"schema":2', b'"schema":1', 1))
        world.store.state.put("inventory_file", mark_of(os.stat(path)))
    else:
        world.store.state._db.execute("DELETE FROM meta WHERE key = 'inventory_words'")
    world.restart()
    world.scan(reads=False)
    assert (read_header(path) or {})["schema"] == 2
    assert generated(world.outputs.inventory) > written
    assert counts(world) == {"broken": 0, "misplaced": 0}


# Counts


def truncate(path: str) -> Callable[[World], object]:
    return lambda world: world.files.write(path, LORA[:-1])


def test_counts_follow_each_write_and_outlive_a_restart(world: World) -> None:
    headers = HeaderReader(world.scanner, world.without_facts)
    for edit, expected in (
        (truncate(A), (1, 0)),
        (truncate(B), (2, 0)),
        (lambda world: world.files.write(at("ComfyUI/models/vae/x.safetensors"), LORA), (2, 1)),
        (lambda world: world.files.remove(A), (1, 1)),
    ):
        edit(world)
        world.settle()
        if headers.work(lambda: False):
            world.store.note_news()
        world.scan()
        assert tuple(counts(world).values()) == expected
    world.restart()
    assert tuple(counts(world).values()) == (1, 1)
    world.scan()
    assert tuple(counts(world).values()) == (1, 1)


def test_what_several_paths_lead_to_counts_once(world: World) -> None:
    world.files.write(A, LORA[:-1])
    world.files.symlink(at("ComfyUI/models/loras"), at("Downloads/loras"))
    headers = HeaderReader(world.settle().scanner, world.without_facts)
    assert headers.work(lambda: False)
    world.store.note_news()
    world.scan()
    broken = [entry for entry in read_entries(world.outputs.inventory) if "truncated" in str(entry)]
    assert len(broken) == 2
    assert counts(world)["broken"] == 1
