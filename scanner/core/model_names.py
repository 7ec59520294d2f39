"""The files that ComfyUI's loaders list, by category (ComfyUI's folder_paths.py)."""

from __future__ import annotations

import os

DIFFUSERS = "diffusers"
"""The category whose models are folders (DiffusersLoader in ComfyUI's nodes.py)."""

MODEL_INDEX = "model_index.json"
"""The file that makes a folder a model of the category `diffusers`."""

EXCLUDED_FOLDER = ".git"
"""Folders of this name are not searched. All others are, hidden ones too."""

_MODELS = (".safetensors", ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".pkl", ".sft")

_NO_ENDING = ("",)

_ENDINGS = dict.fromkeys(
    (
        *("checkpoints", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision"),
        *("style_models", "embeddings", "vae_approx", "controlnet", "gligen", "upscale_models"),
        *("latent_upscale_models", "hypernetworks", "photomaker", "model_patches"),
        *("audio_encoders", "background_removal", "frame_interpolation", "geometry_estimation"),
        *("optical_flow", "detection"),
    ),
    _MODELS,
) | {
    "configs": (".yaml",),
    "classifiers": _NO_ENDING,
    "fonts": (".ttf", ".otf"),
    DIFFUSERS: (),
}


def endings_of(category: str) -> tuple[str, ...] | None:
    """The endings, in lower case, of the files that are listed; None for all files.

    An empty ending stands for names without one.
    """
    return _ENDINGS.get(category)


def is_listed(category: str, name: str) -> bool:
    """True if a loader lists a file with this name in a folder of `category`."""
    endings = _ENDINGS.get(category)
    return endings is None or os.path.splitext(name)[1].lower() in endings
