"""What real installations have and the sample lacks: copies, unfinished and broken files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

LAYER = "lora_unet_output_blocks_3_1_transformer_blocks_1_attn2_to_k.lora_down.weight"


def lora(title: str, width: int = 2048) -> bytes:
    """A small LoRA of SDXL (2048) or SD 1.5 (768)."""
    size = 2 * width
    head = {
        "__metadata__": {"modelspec.title": title},
        LAYER: {"dtype": "F16", "shape": [1, width], "data_offsets": [0, size]},
    }
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


def add_problems(top: Path) -> None:
    """Add them to the sample below `top`."""
    models = top / "ComfyUI" / "models"
    ink = lora("Ink wash")
    for path, content in {
        models / "loras" / "ink_wash.safetensors": ink,
        models / "loras" / "copies" / "ink_wash.safetensors": ink,
        models / "loras" / "flux" / "paper.safetensors": lora("Paper"),
        models / "loras" / "cut_off.safetensors": lora("Cut off")[:-1000],
        models / "vae" / "error.safetensors": b"<!DOCTYPE html><html>404 not found</html>",
        top / "Downloads" / "wan2.2_i2v_high_noise_14B_fp8.safetensors.part": bytes(50_000),
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
