"""Model facts read between scans: of which files, when, and never twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.service.headers import HEADERS, HeaderReader
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.world import World, at, safetensors

A = at("ComfyUI/models/loras/a.safetensors")


LAYER = "lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight"


def lora() -> bytes:
    """A LoRA for SDXL."""
    return safetensors_file({LAYER: tensor("F16", [1, 2048], 0, 4096)}, 4096)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.makedirs(at("ComfyUI/models/loras"))
    return world


def reader(world: World) -> HeaderReader:
    return HeaderReader(world.scanner, world.without_facts)


def never() -> bool:
    return False


def test_facts_of_models_stand_in_the_inventory(world: World) -> None:
    world.files.write(A, safetensors())
    reader(world.settle()).work(never)
    entry = world.entry("a.safetensors")
    assert entry["model"]["format"] == "safetensors"
    assert entry["model"]["dtypes"] == {"F16": 2}
    assert "status" not in entry


def test_a_truncated_model_says_so_until_it_is_whole(world: World) -> None:
    world.files.write(A, safetensors(2))
    one = reader(world.settle())
    one.work(never)
    assert world.entry("a.safetensors")["status"] == "truncated"
    world.files.write(A, safetensors())
    world.settle()
    one.work(never)
    assert "status" not in world.entry("a.safetensors")


def test_headers_are_read_once_and_of_models_alone(world: World) -> None:
    world.files.write(A, safetensors())
    world.files.write(at("ComfyUI/models/loras/a.txt"), b"about a")
    world.settle()
    world.files.asked.clear()
    reader(world).work(never)
    world.restart()
    reader(world).work(never)
    assert [path for operation, path in world.files.asked if operation == "open"] == [A]


def test_facts_of_an_older_reader_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.files.write(A, lora())
    monkeypatch.setattr("scanner.service.headers.VERSION", 1)
    reader(world.settle()).work(never)
    monkeypatch.undo()
    for expected in ([A], []):
        world.restart()
        world.files.asked.clear()
        reader(world).work(never)
        assert [path for operation, path in world.files.asked if operation == "open"] == expected
    assert world.entry("a.safetensors")["model"]["base_model"] == "SDXL"
    assert "version" not in world.entry("a.safetensors")


def test_a_model_in_a_folder_of_another_kind_is_misplaced(world: World) -> None:
    for folder in ("loras", "checkpoints", "unet", "ultralytics"):
        world.files.makedirs(at(f"ComfyUI/models/{folder}/x"))
        world.files.write(at(f"ComfyUI/models/{folder}/x/{folder}.safetensors"), lora())
    reader(world.settle()).work(never)
    found = {
        folder: world.entry(f"{folder}.safetensors").get("misplaced")
        for folder in ("loras", "checkpoints", "unet", "ultralytics")
    }
    assert found == {
        "loras": None,
        "checkpoints": {"kind": "lora", "category": "checkpoints"},
        "unet": {"kind": "lora", "category": "diffusion_models"},
        "ultralytics": None,
    }


def test_a_header_is_not_read_of_what_changed_a_moment_ago(world: World) -> None:
    """Rule 4: a write in the tick of the listing would not be noticed later."""
    world.scan()
    world.files.write(A, safetensors())
    world.scan(reads=False)
    reader(world).work(never)
    assert world.store.metadata.of(A) is None
    world.files.advance(30)
    reader(world).work(never)
    assert world.store.metadata.of(A) is not None


def test_the_end_is_not_kept_waiting_by_headers(world: World) -> None:
    for number in range(300):
        world.files.write(at(f"ComfyUI/models/loras/{number}.safetensors"), safetensors())
    world.settle()
    world.files.asked.clear()
    stops = iter([False] * 2)
    reader(world).work(lambda: next(stops, True))
    assert sum(operation == "open" for operation, _ in world.files.asked) <= 2 * HEADERS
