"""Sidecars and models in several files on a real disk, with the headers of public models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scanner.comfyui.safetensors import BITS
from scanner.output.inventory_reader import read_entries
from tests.support.installation import KINDS, parsed
from tests.support.machine import Machine, assert_valid
from tests.support.model_cases import CASES
from tests.support.sidecars import as_bytes, civitai_info, index_of, lora_manager, model_index

MODELS = "ComfyUI/models"

INDEX = "text_encoders/qwen/model.safetensors.index.json"

Tensors = Mapping[str, tuple[str, Sequence[int]]]

BY_ID = {case.id: case for case in CASES}


def save(path: Path, tensors: Tensors, metadata: Mapping[str, str] | None = None) -> None:
    """A file with these tensors. Its data are a hole."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        bits = BITS[dtype]
        for length in shape:
            bits *= length
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + bits // 8]}
        at += bits // 8
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


def installed(folder: Path) -> Machine:
    machine = Machine(folder)
    for kind in KINDS:
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    return machine


def split(tensors: Tensors, parts: int) -> list[Tensors]:
    names = list(tensors)
    size = -(-len(names) // parts)
    return [{n: tensors[n] for n in names[at : at + size]} for at in range(0, len(names), size)]


def entries(machine: Machine) -> dict[str, dict[str, Any]]:
    machine.run("scan")
    assert_valid(machine)
    found = read_entries(machine.output)
    return {entry["path"].removeprefix(f"{MODELS}/"): entry for entry in found}


def found(machine: Machine, *arguments: str) -> list[str]:
    document = parsed(machine.run("find", "--json", *arguments))
    return [entry["path"].removeprefix(f"{MODELS}/") for entry in document["entries"]]


def test_sidecars_tell_branches_of_sdxl(tmp_path: Path) -> None:
    machine = installed(tmp_path)
    top = machine.work / MODELS
    lora, flux = BY_ID["lora_kohya_sdxl_nometa"], BY_ID["dm_flux2_dev"]
    for name in ("ink", "lines"):
        save(top / "loras" / f"{name}.safetensors", lora.tensors, lora.metadata)
    save(top / "diffusion_models" / "flux.safetensors", flux.tensors)
    digest = hashlib.sha256((top / "loras" / "ink.safetensors").read_bytes()).hexdigest()
    (top / "loras" / "ink.civitai.info").write_bytes(as_bytes(civitai_info("Pony")))
    (top / "loras" / "ink.safetensors.sha256").write_text(f"{digest}  ink.safetensors\n")
    (top / "loras" / "lines.metadata.json").write_bytes(as_bytes(lora_manager("Illustrious")))
    (top / "diffusion_models" / "flux.civitai.info").write_bytes(as_bytes(civitai_info("Pony")))
    with open(top / "loras" / "lines.json", "wb") as file:
        file.truncate(100_000_000)  # and is not read

    listed = entries(machine)
    ink, lines = listed["loras/ink.safetensors"], listed["loras/lines.safetensors"]
    assert (ink["model"]["kind"], ink["model"]["base_model"]) == ("lora", "SDXL (Pony)")
    assert lines["model"]["base_model"] == "SDXL (Illustrious)"
    assert listed["diffusion_models/flux.safetensors"]["model"]["family"] == "Flux.2"
    assert "100000000 bytes" in listed["loras/lines.json"]["problem"]
    assert found(machine, "--base-model", "pony") == ["loras/ink.safetensors"]
    assert ink["claimed_sha256"] == digest

    machine.run("hash", top / "loras")
    listed = entries(machine)
    assert listed["loras/ink.safetensors"]["sha256"] == digest
    assert "status" not in listed["loras/ink.safetensors"]
    assert listed["loras/lines.safetensors"]["status"] == "mismatch"
    assert found(machine, "--status", "mismatch") == ["loras/lines.safetensors"]


def test_models_in_several_files_are_one_model_each(tmp_path: Path) -> None:
    machine = installed(tmp_path)
    top = machine.work / MODELS
    encoder, unet = BY_ID["te_Qwen3_4B"], BY_ID["diffusers_unet_sd15"]
    vae, clip = BY_ID["vae_sd"], BY_ID["clip_l"]
    qwen = top / "text_encoders" / "qwen"
    shards = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    for name, tensors in zip(shards, split(encoder.tensors, 3), strict=True):
        save(qwen / name, tensors)
    (qwen / "model.safetensors.index.json").write_bytes(index_of(*shards))
    sd15 = top / "diffusers" / "sd15"
    weights = "diffusion_pytorch_model.safetensors"
    save(sd15 / "unet" / weights, unet.tensors)
    save(sd15 / "vae" / weights, vae.tensors)
    save(sd15 / "text_encoder" / "model.safetensors", clip.tensors)
    (sd15 / "model_index.json").write_bytes(
        model_index(
            unet=["diffusers", "UNet2DConditionModel"],
            vae=["diffusers", "AutoencoderKL"],
            text_encoder=["transformers", "CLIPTextModel"],
            scheduler=["diffusers", "EulerDiscreteScheduler"],
        )
    )

    listed = entries(machine)
    index, folder = (
        listed["text_encoders/qwen/model.safetensors.index.json"],
        listed["diffusers/sd15"],
    )
    assert index["model"]["kind"] == "text encoder"
    assert index["model"]["tensors"] == len(encoder.tensors)
    assert index["set"]["bytes"] == sum((qwen / name).stat().st_size for name in shards)
    assert (folder["model"]["kind"], folder["model"]["family"]) == ("checkpoint", "SD 1.5")
    assert folder["set"]["bytes"] == sum(
        file.stat().st_size for file in sd15.glob("*/*.safetensors")
    )
    models = [path for path, entry in listed.items() if "model" in entry]
    assert sorted(models) == ["diffusers/sd15", INDEX]
    assert found(machine, "--base-model", "sd15") == ["diffusers/sd15"]
    assert found(machine, "--size", ">100MB", "--kind", "checkpoint") == ["diffusers/sd15"]

    (qwen / shards[1]).unlink()
    (sd15 / "vae" / weights).unlink()
    listed = entries(machine)
    assert listed["text_encoders/qwen/model.safetensors.index.json"]["set"]["missing"] == [
        shards[1]
    ]
    assert listed["diffusers/sd15"]["set"]["missing"] == ["vae"]
    assert len(found(machine, "--status", "incomplete")) == 2
