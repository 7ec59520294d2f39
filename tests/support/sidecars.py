"""Files that describe models, as the programs that write them leave them."""

from __future__ import annotations

import json
from typing import Any

SHA256 = "0123456789abcdef" * 4


def civitai_info(base_model: str = "Pony", **more: Any) -> dict[str, Any]:
    """The answer of Civitai's API for a version, as Civitai Helper saves it."""
    return {
        "id": 135867,
        "modelId": 122359,
        "name": "v1.0",
        "baseModel": base_model,
        "trainedWords": ["ink style", "by inker,"],
        "model": {"name": "Ink", "type": "LORA", "nsfw": False},
        "files": [
            {"name": "ink.safetensors", "hashes": {"SHA256": SHA256.upper(), "AutoV2": "01"}},
            {"name": "training.zip", "hashes": {"SHA256": "f" * 64}},
        ],
        "images": [{"url": "https://image.civitai.com/x.jpeg", "meta": {"prompt": "x"}}],
        **more,
    }


def lora_manager(base_model: str = "Illustrious", **more: Any) -> dict[str, Any]:
    return {
        "file_name": "ink",
        "model_name": "Ink (mine)",
        "file_path": "D:/models/loras/ink.safetensors",
        "size": 200,
        "modified": 1700000000.5,
        "sha256": SHA256,
        "base_model": base_model,
        "preview_url": "",
        "tags": ["style"],
        "civitai": civitai_info(),
        **more,
    }


def stability_matrix(base_model: str = "NoobAI", **more: Any) -> dict[str, Any]:
    return {
        "ModelId": 7,
        "ModelName": "Ink",
        "ModelDescription": "<p>text</p>",
        "Tags": ["style"],
        "ModelType": "LORA",
        "VersionId": 8,
        "VersionName": "v2",
        "BaseModel": base_model,
        "Hashes": {"SHA256": SHA256.upper(), "BLAKE3": "0"},
        "TrainedWords": ["ink"],
        **more,
    }


def rgthree(base_model: str = "Pony") -> dict[str, Any]:
    return {
        "file": "ink.safetensors",
        "baseModel": base_model,
        "sha256": SHA256,
        "trainedWords": [
            {"word": "ink", "civitai": True},
            {"word": "1girl", "count": 30, "metadata": True},
        ],
        "raw": {"civitai": civitai_info(base_model)},
    }


def automatic1111() -> dict[str, Any]:
    return {
        "description": "about",
        "sd version": "SDXL",
        "activation text": "ink, style",
        "preferred weight": 0.8,
        "notes": "",
    }


def as_bytes(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def index_of(*shards: str) -> bytes:
    """The index of a model with one tensor in each of these shards."""
    weight_map = {f"layers.{number}.weight": name for number, name in enumerate(shards)}
    return as_bytes({"metadata": {"total_size": 12}, "weight_map": weight_map})


def model_index(**components: list[str | None]) -> bytes:
    return as_bytes(
        {
            "_class_name": "StableDiffusionXLPipeline",
            "_diffusers_version": "0.30.0",
            "force_zeros_for_empty_prompt": True,
            **components,
        }
    )
