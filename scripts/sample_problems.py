"""What real installations have and the sample lacks: copies, unfinished and broken files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

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
    part = top / "Downloads" / "wan2.2_i2v_high_noise_14B_fp8.safetensors.part"
    part.touch()
    os.truncate(part, 5_400_000_000)
