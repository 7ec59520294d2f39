"""A process that starts where nothing waited for the reader of facts asks for none (one-shot scans
of large trees), and a change, a new version, a lost state or a day brings all folders back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from scanner.comfyui.model_files import VERSION
from scanner.core.progress import Display
from scanner.service.lanes import LOCAL, Lane, lane_context
from scanner.store.metadata import MetadataTable
from tests.support.fuzz_headers import safetensors_file, tensor
from tests.support.world import World, at

LORA = safetensors_file({"a.lora_down.weight": tensor("F16", [1, 2048], 0, 4096)}, 4096)
FOLDERS = 5


class Process:
    """One process on `world`: it scans and reads."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.restart()
        self.world = world
        self.asked: list[str] = []
        real = MetadataTable.of_folder

        def of_folder(table: MetadataTable, folder: str) -> object:
            self.asked.append(folder)
            return real(table, folder)

        context = lane_context(world.scanner, world.settings, lambda: False)
        self.lane = Lane(LOCAL, context, world.scanner.zones().all)
        monkeypatch.setattr(MetadataTable, "of_folder", of_folder)
        self.turn()
        monkeypatch.setattr(MetadataTable, "of_folder", real)

    def turn(self) -> None:
        self.world.files.advance(60)
        self.lane.scan(30.0, Display())
        self.world.files.advance(5)
        self.lane.read(lambda: 1e9, Display(), lambda: None)

    def read(self) -> list[str]:
        """The folders whose metadata it asked for."""
        return sorted({folder.rpartition("/")[2] for folder in self.asked})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    for number in range(FOLDERS):
        world.files.write(at(f"ComfyUI/models/loras/d{number}/x.safetensors"), LORA)
    Process(world, monkeypatch)
    Process(world, monkeypatch)
    return world


ALL = [f"d{number}" for number in range(FOLDERS)]


def test_nothing_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        assert Process(world, monkeypatch).read() == []


def test_a_change_brings_its_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.files.write(at("ComfyUI/models/loras/d3/new.safetensors"), LORA)
    assert "d3" in Process(world, monkeypatch).read()
    known = world.store.metadata.of_folder(at("ComfyUI/models/loras/d3"))
    assert known["new.safetensors"].facts


def test_a_change_that_could_not_be_read_brings_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed before it had read the new file."""
    world.restart()
    world.store.are_facts_read(world.files.now())
    world.files.write(at("ComfyUI/models/loras/d3/new.safetensors"), LORA)
    world.scan(reads=False)
    assert Process(world, monkeypatch).read() == ALL
    known = world.store.metadata.of_folder(at("ComfyUI/models/loras/d3"))
    assert known["new.safetensors"].facts


def test_scans_of_a_program_that_does_not_know_it_bring_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.restart()
    world.scan(reads=False)  # nobody has asked, as in an older version
    assert Process(world, monkeypatch).read() == ALL


def test_a_new_version_brings_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.store.facts_read.VERSION", VERSION + 1)
    assert Process(world, monkeypatch).read() == ALL


@pytest.mark.parametrize("days", [1, -1])
def test_a_day_brings_all(world: World, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """A damaged row of the state counts as not read, and somebody has to look at it."""
    world.files.wall += days * 86_400 * 10**9
    assert Process(world, monkeypatch).read() == ALL
    assert Process(world, monkeypatch).read() == []


def test_a_lost_state_brings_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store.close()
    Path(world.outputs.state).unlink()
    world.open()
    Process(world, monkeypatch)
    known = world.store.metadata.of_folder(at("ComfyUI/models/loras/d3"))
    assert known["x.safetensors"].facts


def test_a_state_lost_meanwhile_brings_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(world, monkeypatch)
    Path(world.outputs.state).unlink()
    process.turn()
    known = world.store.metadata.of_folder(at("ComfyUI/models/loras/d3"))
    assert known["x.safetensors"].facts


def test_settings_without_facts_say_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.restart(facts=False)
    Process(world, monkeypatch)
    world.files.write(at("ComfyUI/models/loras/d3/new.safetensors"), LORA)
    Process(world, monkeypatch)
    world.restart(facts=True)
    assert Process(world, monkeypatch).read() == ALL


def test_a_process_killed_after_a_state_was_lost_has_said_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(world, monkeypatch)
    for ending in ("", "-wal", "-shm"):
        Path(world.outputs.state + ending).unlink(missing_ok=True)
    world.files.advance(60)
    process.lane.scan(30.0, Display())
    Process(world, monkeypatch)
    known = world.store.metadata.of_folder(at("ComfyUI/models/loras/d3"))
    assert known["x.safetensors"].facts


def test_files_that_cannot_be_read_are_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = at("ComfyUI/models/loras/d3/new.safetensors")
    world.files.write(new, LORA)
    world.files.faults["open", new] = errno.EIO
    for _ in range(2):
        Process(world, monkeypatch)
        assert "new.safetensors" not in world.store.metadata.of_folder(new.rpartition("/")[0])
    world.files.faults.clear()
    Process(world, monkeypatch)
    assert world.store.metadata.of_folder(new.rpartition("/")[0])["new.safetensors"].facts
