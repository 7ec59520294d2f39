"""Inventories and states of schema 1 are read, and a state is rebuilt from such an inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scanner.core.roots import Root
from scanner.output.inventory_reader import read_entries, read_header
from tests.support import schema_1
from tests.support.fakes import FakeFileSystem
from tests.support.machine import Machine
from tests.support.schema_1 import BROKEN, COPY, EMPTY, LORA
from tests.support.world import DOWNLOADS, MODELS, World

ROOTS = (MODELS, DOWNLOADS, Root("custom_nodes", schema_1.NODES))

FOLDERS = {
    *(root.path for root in ROOTS),
    *(f"{MODELS.path}/{name}" for name in ("linked", "loras")),
    *(EMPTY, f"{DOWNLOADS.path}/set", f"{schema_1.NODES}/Foo"),
}


def world_of(folder: Path, *, with_state: bool) -> World:
    files = FakeFileSystem()
    schema_1.build(files)
    files.advance(86_400)
    schema_1.put(folder, with_state=with_state)
    return World(folder, files, ROOTS)


def entries(world: World) -> dict[str, dict[str, Any]]:
    return {f"/home/u/{entry['path']}": entry for entry in read_entries(world.outputs.inventory)}


@pytest.mark.parametrize("with_state", [True, False])
def test_the_next_scan_finds_no_change_and_writes_the_new_schema(
    tmp_path: Path, with_state: bool
) -> None:
    world = world_of(tmp_path, with_state=with_state)
    old = entries(world)
    assert (read_header(world.outputs.inventory) or {})["schema"] == 1
    assert world.store.snapshot.keys() == FOLDERS
    assert world.scan() == []
    reasons = {reason for _, reason in world.baselines()}
    # The ignore rules are others than those of the old version.
    assert reasons == ({"rules changed"} if with_state else {"state lost"})
    now = entries(world)
    assert (read_header(world.outputs.inventory) or {})["schema"] == 2
    assert now.keys() == old.keys()
    folder = now[f"{MODELS.path}/loras"]
    assert "size" not in folder
    assert folder["apparent_bytes"] == old[f"{MODELS.path}/loras"]["size"]
    assert now[LORA]["fingerprint"] == old[LORA]["fingerprint"]
    assert world.scan() == []


def test_changes_since_the_old_version_are_found_and_moves_proven(tmp_path: Path) -> None:
    world = world_of(tmp_path, with_state=True)
    world.files.remove(BROKEN)
    world.files.rename(COPY, f"{DOWNLOADS.path}/moved.safetensors")
    assert world.scan() == [
        ("deleted", "ComfyUI/models/loras/b.safetensors"),
        ("deleted", "Downloads/set/copy.safetensors"),
        ("moved", "ComfyUI/models/linked/copy.safetensors", "Downloads/moved.safetensors"),
    ]


def test_hashes_of_an_old_state_are_kept(tmp_path: Path) -> None:
    world = world_of(tmp_path, with_state=True)
    old = entries(world)
    world.scan(reads=False)
    now = entries(world)
    assert {"hash", "sha256"} <= now[LORA].keys()
    for path in (LORA, BROKEN):
        assert [now[path][key] for key in ("hash", "sha256")] == [
            old[path][key] for key in ("hash", "sha256")
        ]


def test_commands_read_an_inventory_of_schema_1(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    schema_1.put(machine.work, with_state=False)

    def found(*arguments: str, expect: int = 0) -> dict[str, Any]:
        done = machine.run(*arguments, "--json", "--output", "out.json", expect=expect)
        document: dict[str, Any] = json.loads(done.stdout)["data"]
        return document

    loras = found("find", "--base-model", "sdxl", "--size", ">4100")
    assert [entry["path"] for entry in loras["entries"]] == [
        "ComfyUI/models/linked/copy.safetensors",
        "ComfyUI/models/loras/a.safetensors",
        "ComfyUI/models/loras/b.safetensors",
        "Downloads/set/copy.safetensors",
    ]
    folders = found("find", "--type", "directory", "--size", ">4100")
    assert [entry["path"] for entry in folders["entries"]] == [
        "ComfyUI/models/loras",
        "Downloads/set",
    ]
    assert [pack["name"] for pack in found("packs")["packs"]] == ["comfyui-foo"]
    schema_1.put(machine.work, with_state=True)
    (twins,) = found("duplicates")["sets"]
    assert (twins["wasted"], twins["evidence"]) == (4299, "sha256")
    assert [copy["path"] for copy in twins["copies"]] == [
        "ComfyUI/models/loras/a.safetensors",
        "ComfyUI/models/linked/copy.safetensors",
    ]
