"""Sidecars and models in several files, in the inventory and in `find`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scanner.commands.find.criteria import parse_wanted
from scanner.commands.find.search import find_entries
from scanner.core.digests import SHA256 as ALGORITHM
from scanner.output.inventory_reader import header_of, read_entries
from scanner.schemas import load_schema
from scanner.service.headers import HeaderReader
from scanner.store.metadata import MetadataUpdate
from tests.support.fuzz_headers import gguf_file, safetensors_file, tensor
from tests.support.sidecars import (
    SHA256,
    as_bytes,
    automatic1111,
    civitai_info,
    index_of,
    lora_manager,
    model_index,
)
from tests.support.world import BASE, MODELS, World, at

LORAS = at("ComfyUI/models/loras")
INK = f"{LORAS}/ink.safetensors"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.files.makedirs(LORAS)
    return world


def model(*names: str, dtype: str = "F16") -> bytes:
    """A safetensors file with tensors of these names, of 4 values each."""
    header = {
        name: tensor(dtype, [4], 8 * number, 8 * number + 8) for number, name in enumerate(names)
    }
    return safetensors_file(header, 8 * len(names))


def read(world: World) -> World:
    """Scan until all is at rest, and read all facts."""
    world.settle()
    HeaderReader(world.scanner, world.without_facts).work(lambda: False)
    return world


def entries(world: World) -> dict[str, dict[str, Any]]:
    """The entries of the inventory by path below the models' folder."""
    world.files.advance(700)
    world.scanner.publish(is_last=True)
    found = {
        entry["path"].removeprefix("ComfyUI/models/"): entry
        for entry in read_entries(world.outputs.inventory)
    }
    document = json.loads(Path(world.outputs.inventory).read_bytes())
    Draft202012Validator(load_schema("inventory")).validate(document)
    return found


def found(world: World, **criteria: Any) -> list[str]:
    inventory = world.outputs.inventory
    wanted = parse_wanted(header_of(inventory), BASE, **criteria)
    return [
        entry["path"].removeprefix("ComfyUI/models/")
        for entry in find_entries(inventory, wanted, 0)
    ]


# Sidecars


def test_a_model_has_what_its_sidecar_says(world: World) -> None:
    world.files.write(INK, model("lora_unet_a.lora_up.weight"))
    world.files.write(f"{LORAS}/ink.civitai.info", as_bytes(civitai_info()))
    listed = entries(read(world))
    ink, sidecar = listed["loras/ink.safetensors"], listed["loras/ink.civitai.info"]
    assert ink["model"]["base_model"] == "SDXL (Pony)"
    assert ink["model"]["evidence"] == "sidecar"
    assert ink["model"]["trigger_words"] == ["ink style", "by inker"]
    assert ink["model"]["title"] == "Ink"
    assert ink["model"]["version"] == "v1.0"
    assert ink["model"]["url"] == "https://civitai.com/models/122359?modelVersionId=135867"
    assert ink["claimed_sha256"] == SHA256
    assert "status" not in ink
    assert sidecar["sidecar_of"] == "ComfyUI/models/loras/ink.safetensors"
    assert "model" not in sidecar
    assert found(world, base_models=["pony"]) == ["loras/ink.safetensors"]
    assert found(world, kinds=["lora"]) == ["loras/ink.safetensors"]
    assert found(world, hashes=[SHA256[:10]]) == ["loras/ink.safetensors"]
    assert found(world, text="inker") == ["loras/ink.safetensors"]


def test_a_sidecar_is_read_once_and_again_when_it_changes(world: World) -> None:
    world.files.write(INK, model("lora_unet_a.lora_up.weight"))
    sidecar = f"{LORAS}/ink.json"
    world.files.write(sidecar, as_bytes(automatic1111()))
    world.files.write(f"{LORAS}/workflow.json", b"{}")
    read(world)
    world.files.asked.clear()
    read(world)
    world.restart()
    read(world)
    assert [path for operation, path in world.files.asked if operation == "open"] == []
    world.files.write(sidecar, as_bytes({**automatic1111(), "activation text": "other"}))
    world.settle()
    world.files.asked.clear()
    HeaderReader(world.scanner, world.without_facts).work(lambda: False)
    assert [path for operation, path in world.files.asked if operation == "open"] == [sidecar]
    assert entries(world)["loras/ink.safetensors"]["model"]["trigger_words"] == ["other"]


def test_a_sidecar_that_goes_takes_its_claims_with_it(world: World) -> None:
    world.files.write(INK, model("lora_unet_a.lora_up.weight"))
    world.files.write(f"{LORAS}/ink.metadata.json", as_bytes(lora_manager()))
    assert entries(read(world))["loras/ink.safetensors"]["claimed_sha256"] == SHA256
    world.files.remove(f"{LORAS}/ink.metadata.json")
    ink = entries(read(world))["loras/ink.safetensors"]
    assert "claimed_sha256" not in ink
    assert "base_model" not in ink["model"]


def test_a_sidecar_that_comes_alone_is_none_until_its_model_comes(world: World) -> None:
    world.files.write(f"{LORAS}/ink.civitai.info", as_bytes(civitai_info()))
    assert "sidecar_of" not in entries(read(world))["loras/ink.civitai.info"]
    world.files.write(INK, model("lora_unet_a.lora_up.weight"))
    listed = entries(read(world))
    assert listed["loras/ink.civitai.info"]["sidecar_of"]
    assert listed["loras/ink.safetensors"]["model"]["title"] == "Ink"


def test_a_hash_that_is_not_the_claimed_one_is_told(world: World) -> None:
    content = model("lora_unet_a.lora_up.weight")
    world.files.write(INK, content)
    world.files.write(f"{LORAS}/ink.safetensors.sha256", f"{SHA256}  ink.safetensors".encode())
    read(world)
    row = next(
        row for row in world.store.snapshot[LORAS].listing.rows() if row.name.endswith("ors")
    )

    def hashed(digest: bytes) -> dict[str, Any]:
        update = MetadataUpdate(INK, row.size, row.mtime, digests={ALGORITHM: digest})
        world.store.metadata.save([update], 1)
        return entries(world)["loras/ink.safetensors"]

    right = hashed(bytes.fromhex(SHA256))
    assert "status" not in right
    wrong = hashed(bytes(32))
    assert (wrong["status"], wrong["claimed_sha256"]) == ("mismatch", SHA256)
    assert wrong["problem"] == (
        "Its SHA-256 begins with 0000000000, but ink.safetensors.sha256 claims 0123456789."
    )
    assert found(world, statuses=["mismatch"]) == ["loras/ink.safetensors"]


def test_a_damaged_sidecar_spoils_nothing(world: World) -> None:
    world.files.write(INK, model("lora_unet_a.lora_up.weight"))
    world.files.write(f"{LORAS}/ink.civitai.info", b'{"modelId":')
    world.files.write(f"{LORAS}/ink.metadata.json", b"[" * 1_000_000)
    listed = entries(read(world))
    assert listed["loras/ink.safetensors"]["model"]["kind"] == "lora"
    assert listed["loras/ink.civitai.info"]["problem"] == "The file is not valid JSON."
    assert "more than the 50000" in listed["loras/ink.metadata.json"]["problem"]


# Shards


SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
ENCODERS = at("ComfyUI/models/text_encoders/qwen")
PREFIX = "text_encoders/qwen/"


def shards(world: World, *, index: bool = True, missing: int = 0) -> None:
    world.files.makedirs(ENCODERS)
    for number, name in enumerate(SHARDS, 1):
        if number != missing:
            weight = f"model.layers.{number}.mlp.up_proj.weight"
            world.files.write(f"{ENCODERS}/{name}", model(weight, "model.norm.weight"))
    if index:
        world.files.write(f"{ENCODERS}/model.safetensors.index.json", index_of(*SHARDS))


def sizes(world: World, folder: str, *names: str) -> int:
    rows = world.store.snapshot[folder].listing.rows()
    return sum(row.size for row in rows if row.name in names)


def test_shards_are_one_model_and_the_index_has_its_facts(world: World) -> None:
    shards(world)
    listed = entries(read(world))
    index = listed[f"{PREFIX}model.safetensors.index.json"]
    assert index["set"] == {
        "kind": "shards",
        "parts": 3,
        "bytes": sizes(world, ENCODERS, *SHARDS),
    }
    assert index["model"]["format"] == "safetensors"
    assert index["model"]["tensors"] == 6
    assert index["model"]["parameters"] == 24
    assert index["model"]["dtypes"] == {"F16": 24}
    assert "status" not in index
    for name in SHARDS:
        assert listed[PREFIX + name]["part_of"] == index["path"]
        assert "model" not in listed[PREFIX + name]
    assert found(world, kinds=["text encoder"]) == [f"{PREFIX}model.safetensors.index.json"]
    assert found(world, formats=["safetensors"]) == [f"{PREFIX}model.safetensors.index.json"]
    assert found(world, globs=["*-of-*"]) == [PREFIX + name for name in SHARDS]


@pytest.mark.parametrize("index", [True, False])
def test_a_missing_shard_is_named(world: World, index: bool) -> None:
    shards(world, index=index, missing=2)
    listed = entries(read(world))
    carrier = listed[PREFIX + ("model.safetensors.index.json" if index else SHARDS[0])]
    assert carrier["status"] == "incomplete"
    assert carrier["problem"] == f"1 of 3 parts not there: {SHARDS[1]}."
    assert carrier["set"]["missing"] == [SHARDS[1]]
    assert "parameters" not in carrier["model"]
    assert listed[PREFIX + SHARDS[2]]["part_of"] == carrier["path"]
    paths = found(world, statuses=["incomplete"])
    assert [f"ComfyUI/models/{path}" for path in paths] == [carrier["path"]]
    world.files.write(f"{ENCODERS}/{SHARDS[1]}", model("model.layers.2.mlp.up_proj.weight"))
    assert "status" not in entries(read(world))[carrier["path"].removeprefix("ComfyUI/models/")]


def test_parts_of_a_gguf_are_one_model(world: World) -> None:
    folder = at("ComfyUI/models/diffusion_models")
    world.files.makedirs(folder)
    names = [f"flux-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, name in enumerate(names):
        pairs = [("general.architecture", 8, "flux")] if number == 0 else []
        content = gguf_file(pairs, [(f"double_blocks.{number}.a", (32,), 8, 0)], 64)
        world.files.write(f"{folder}/{name}", content)
    listed = entries(read(world))
    first, second = (listed[f"diffusion_models/{name}"] for name in names)
    assert first["set"] == {"kind": "gguf parts", "parts": 2, "bytes": sizes(world, folder, *names)}
    assert first["model"]["parameters"] == 64
    assert first["model"]["architecture"] == "flux"
    assert "part_of" not in first
    assert second["part_of"] == first["path"]
    assert found(world, formats=["gguf"]) == [f"diffusion_models/{names[0]}"]


@pytest.mark.parametrize(
    "names",
    [
        ["a-00001-of-00001.safetensors"],
        ["a-00000-of-00002.bin", "a-00001-of-00002.bin"],
        ["a-00003-of-00002.safetensors"],
        ["model.safetensors", "model.safetensors.index.json"],
    ],
)
def test_other_names_are_no_sets(world: World, names: list[str]) -> None:
    for name in names:
        content = index_of(*SHARDS) if name.endswith(".json") else model("a")
        world.files.write(f"{LORAS}/{name}", content)
    for entry in entries(read(world)).values():
        assert entry.keys().isdisjoint(("set", "part_of"))


# Diffusers folders

SDXL = at("ComfyUI/models/diffusers/sdxl")


def pipeline(world: World, top: str = SDXL, without: str = "") -> None:
    components: Mapping[str, list[str | None]] = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": [None, None],
    }
    weights = {
        "unet": ("diffusion_pytorch_model", "down_blocks.1.attentions.0.norm.weight"),
        "vae": ("diffusion_pytorch_model", "decoder.conv_in.weight"),
        "text_encoder": ("model", "text_model.embeddings.position_embedding.weight"),
    }
    world.files.makedirs(top)
    world.files.write(f"{top}/model_index.json", model_index(**components))
    for folder, (name, weight) in weights.items():
        world.files.makedirs(f"{top}/{folder}")
        world.files.write(f"{top}/{folder}/config.json", b"{}")
        if folder != without:
            world.files.write(f"{top}/{folder}/{name}.safetensors", model(weight))


def test_a_diffusers_folder_is_one_model(world: World) -> None:
    pipeline(world)
    listed = entries(read(world))
    folder = listed["diffusers/sdxl"]
    unet = f"{SDXL}/unet"
    assert folder["type"] == "directory"
    assert folder["set"]["kind"] == "diffusers"
    assert folder["set"]["parts"] == 3
    assert folder["set"]["bytes"] == sum(
        sizes(world, f"{SDXL}/{name}", "diffusion_pytorch_model.safetensors", "model.safetensors")
        for name in ("unet", "vae", "text_encoder")
    )
    assert folder["model"]["format"] == "diffusers"
    assert folder["model"]["architecture"] == "StableDiffusionXLPipeline"
    assert "status" not in folder
    part = listed["diffusers/sdxl/unet/diffusion_pytorch_model.safetensors"]
    assert part["part_of"] == folder["path"]
    assert "model" not in part
    assert "part_of" not in listed["diffusers/sdxl/unet/config.json"]
    assert listed["diffusers/sdxl/model_index.json"]["part_of"] == folder["path"]
    assert found(world, formats=["diffusers"]) == ["diffusers/sdxl"]
    assert found(world, formats=["safetensors"]) == []
    assert found(world, kinds=["vae", "text encoder"]) == []
    assert unet in world.store.snapshot


def test_a_component_without_weights_is_missing_until_they_come(world: World) -> None:
    pipeline(world, without="vae")
    folder = entries(read(world))["diffusers/sdxl"]
    assert (folder["status"], folder["set"]["missing"]) == ("incomplete", ["vae"])
    assert found(world, statuses=["unfinished"]) == ["diffusers/sdxl"]
    weights = f"{SDXL}/vae/diffusion_pytorch_model.safetensors"
    world.files.write(weights, model("decoder.conv_in.weight"))
    assert "status" not in entries(read(world))["diffusers/sdxl"]
    world.files.remove(weights)
    assert entries(read(world))["diffusers/sdxl"]["status"] == "incomplete"


def test_a_component_without_its_folder_is_missing(world: World) -> None:
    pipeline(world)
    entries(read(world))
    world.files.rename(f"{SDXL}/text_encoder", at("ComfyUI/models/diffusers/apart"))
    listed = entries(read(world))
    assert listed["diffusers/sdxl"]["set"]["missing"] == ["text_encoder"]
    assert "part_of" not in listed["diffusers/apart/model.safetensors"]
    assert listed["diffusers/apart/model.safetensors"]["model"]["format"] == "safetensors"


def test_shards_in_a_component_are_parts_of_the_folder(world: World) -> None:
    pipeline(world, without="unet")
    names = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = "diffusion_pytorch_model.safetensors.index.json"
    world.files.write(f"{SDXL}/unet/{names[0]}", model("down_blocks.1.attentions.0.norm.weight"))
    world.files.write(f"{SDXL}/unet/{index}", index_of(*names))
    listed = entries(read(world))
    assert listed["diffusers/sdxl"]["set"]["missing"] == [f"unet/{names[1]}"]
    assert listed[f"diffusers/sdxl/unet/{index}"]["part_of"] == "ComfyUI/models/diffusers/sdxl"
    assert listed[f"diffusers/sdxl/unet/{index}"]["set"]["missing"] == [names[1]]
    assert "model" not in listed[f"diffusers/sdxl/unet/{index}"]
    assert listed[f"diffusers/sdxl/unet/{names[0]}"]["part_of"].endswith(index)


def test_a_diffusers_folder_that_ends_leaves_its_files(world: World) -> None:
    pipeline(world)
    entries(read(world))
    world.files.remove(f"{SDXL}/model_index.json")
    listed = entries(read(world))
    assert "set" not in listed["diffusers/sdxl"]
    part = listed["diffusers/sdxl/unet/diffusion_pytorch_model.safetensors"]
    assert "part_of" not in part
    assert part["model"]["format"] == "safetensors"


def test_a_diffusers_folder_is_known_after_a_restart_and_a_move(world: World) -> None:
    pipeline(world)
    read(world)
    world.restart()
    assert entries(world.settle())["diffusers/sdxl"]["set"]["parts"] == 3
    world.files.rename(SDXL, at("ComfyUI/models/diffusers/other"))
    listed = entries(read(world))
    assert listed["diffusers/other"]["set"]["parts"] == 3
    part = listed["diffusers/other/unet/diffusion_pytorch_model.safetensors"]
    assert part["part_of"] == "ComfyUI/models/diffusers/other"


def test_a_root_that_is_a_diffusers_folder_has_its_facts_in_the_index(world: World) -> None:
    pipeline(world, MODELS.path)
    listed = entries(read(world))
    assert listed["model_index.json"]["set"]["parts"] == 3
    assert listed["vae/diffusion_pytorch_model.safetensors"]["part_of"] == (
        "ComfyUI/models/model_index.json"
    )
