"""Which kinds of models belong into which folders of ComfyUI."""

from __future__ import annotations

_KINDS = {
    "checkpoints": {"checkpoint"},
    # UNETLoader takes the diffusion model out of a checkpoint. Model patches for wrappers of Wan
    # lie beside the models that they extend.
    "diffusion_models": {"diffusion model", "checkpoint", "model patch"},
    "loras": {"lora"},
    "vae": {"vae"},
    "vae_approx": {"vae"},
    # ComfyUI-GGUF looks for the vision tower of a text encoder (mmproj) beside it.
    "text_encoders": {"text encoder", "clip vision"},
    # A whole CLIP has both towers.
    "clip_vision": {"clip vision", "text encoder"},
    "controlnet": {"controlnet"},
    "embeddings": {"embedding"},
    "upscale_models": {"upscale model"},
    "latent_upscale_models": {"latent upscale model"},
    "style_models": {"style model"},
    "gligen": {"gligen"},
    "photomaker": {"photomaker"},
    "model_patches": {"model patch", "controlnet"},
    "audio_encoders": {"audio encoder"},
    "ipadapter": {"ip-adapter"},
    "animatediff_models": {"motion module"},
    "animatediff_motion_lora": {"lora"},
    "pulid": {"pulid"},
}
"""The kinds that ComfyUI's loaders take from each category, and those of the node packs
ComfyUI_IPAdapter_plus, AnimateDiff-Evolved and PuLID from theirs."""


def is_misplaced(kind: str, category: str) -> bool:
    """True if a model of this kind cannot be loaded from a folder of this category.

    A category that is not known here holds anything.
    """
    kinds = _KINDS.get(category)
    return bool(kind) and kinds is not None and kind not in kinds
