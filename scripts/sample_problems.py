"""What real installations have and the sample lacks: copies, unfinished and broken files, and
workflows that a person was given."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

LAYER = "lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight"


def write_lora(path: Path, title: str, width: int = 2048, rows: int = 1, missing: int = 0) -> None:
    """A LoRA of SDXL (2048) or SD 1.5 (768), sparse, without its last `missing` bytes."""
    size = 2 * width * rows
    head = {
        "__metadata__": {"modelspec.title": title},
        LAYER: {"dtype": "F16", "shape": [rows, width], "data_offsets": [0, size]},
    }
    text = json.dumps(head).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size - missing)


def add_problems(top: Path) -> None:
    """Add them to the sample below `top`."""
    loras = top / "ComfyUI" / "models" / "loras"
    for name in ("ink_wash.safetensors", "copies/ink_wash.safetensors"):
        write_lora(loras / name, "Ink wash", rows=40_000)
    write_lora(loras / "flux" / "paper.safetensors", "Paper", rows=12_000)
    write_lora(loras / "cut_off.safetensors", "Cut off", rows=20_000, missing=30_000_000)
    page = top / "ComfyUI" / "models" / "vae" / "error.safetensors"
    page.write_bytes(b"<!DOCTYPE html><html>404 not found</html>")
    add_workflows(top / "workflows")
    part = top / "Downloads" / "wan2.2_i2v_high_noise_14B_fp8.safetensors.part"
    part.touch()
    os.truncate(part, 5_400_000_000)


REDUX = "https://huggingface.co/Comfy-Org/Flux1-Redux-Dev/resolve/main/flux1-redux-dev.safetensors"

_WORKFLOWS: dict[str, list[dict[str, Any]]] = {
    "icons": [
        {"type": "CheckpointLoaderSimple", "widgets_values": ["SDXL/sd_xl_base_1.0.safetensors"]},
        {"type": "LoraLoaderModelOnly", "widgets_values": ["ink_wash.safetensors", 1.0]},
    ],
    "portrait": [
        {"type": "UNETLoader", "widgets_values": ["flux1-dev.safetensors", "default"]},
        {
            "type": "DualCLIPLoader",
            "widgets_values": ["clip_l.safetensors", "t5xxl_fp16.safetensors"],
        },
        {"type": "VAELoader", "widgets_values": ["FLUX1\\ae.safetensors"]},
        {"type": "LoraLoaderModelOnly", "mode": 4, "widgets_values": ["freckles.safetensors", 0.8]},
        {
            "type": "StyleModelLoader",
            "widgets_values": ["flux1-redux-dev.safetensors"],
            "properties": {
                "models": [
                    {
                        "name": "flux1-redux-dev.safetensors",
                        "url": REDUX,
                        "directory": "style_models",
                    }
                ]
            },
        },
    ],
    "old": [
        {"type": "VAELoader", "widgets_values": ["error.safetensors"]},
        {"type": "UpscaleModelLoader", "widgets_values": ["4x-UltraSharp.pth"]},
    ],
}


def add_workflows(folder: Path) -> None:
    """Add workflows of which one has all its models in the sample."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, nodes in _WORKFLOWS.items():
        numbered = [{"id": number, **node} for number, node in enumerate(nodes, 1)]
        document = {"version": 0.4, "nodes": numbered, "links": []}
        (folder / f"{name}.json").write_text(json.dumps(document), "utf-8")
