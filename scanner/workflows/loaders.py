"""Which input of which node names a model of which category.

Read from ComfyUI 0.3.75 (`folder_paths.get_filename_list` in nodes.py and comfy_extras/), and for
newer nodes from the official templates, whose `properties.models` name the folder.
"""

from __future__ import annotations

import re

LOADERS: dict[str, dict[str, str]] = {
    "CheckpointLoader": {"config_name": "configs", "ckpt_name": "checkpoints"},
    "CheckpointLoaderSimple": {"ckpt_name": "checkpoints"},
    "unCLIPCheckpointLoader": {"ckpt_name": "checkpoints"},
    "ImageOnlyCheckpointLoader": {"ckpt_name": "checkpoints"},
    "CreateHookModelAsLora": {"ckpt_name": "checkpoints"},
    "CreateHookModelAsLoraModelOnly": {"ckpt_name": "checkpoints"},
    "LTXVAudioVAELoader": {"ckpt_name": "checkpoints"},
    "LTXAVTextEncoderLoader": {"text_encoder": "text_encoders", "ckpt_name": "checkpoints"},
    "LoraLoader": {"lora_name": "loras"},
    "LoraLoaderModelOnly": {"lora_name": "loras"},
    "CreateHookLora": {"lora_name": "loras"},
    "CreateHookLoraModelOnly": {"lora_name": "loras"},
    "VAELoader": {"vae_name": "vae"},
    "ControlNetLoader": {"control_net_name": "controlnet"},
    "DiffControlNetLoader": {"control_net_name": "controlnet"},
    "UNETLoader": {"unet_name": "diffusion_models"},
    "CLIPLoader": {"clip_name": "text_encoders"},
    "DualCLIPLoader": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
    "TripleCLIPLoader": {f"clip_name{number}": "text_encoders" for number in (1, 2, 3)},
    "QuadrupleCLIPLoader": {f"clip_name{number}": "text_encoders" for number in (1, 2, 3, 4)},
    "CLIPVisionLoader": {"clip_name": "clip_vision"},
    "StyleModelLoader": {"style_model_name": "style_models"},
    "GLIGENLoader": {"gligen_name": "gligen"},
    "UpscaleModelLoader": {"model_name": "upscale_models"},
    "LatentUpscaleModelLoader": {"model_name": "latent_upscale_models"},
    "HypernetworkLoader": {"hypernetwork_name": "hypernetworks"},
    "PhotoMakerLoader": {"photomaker_model_name": "photomaker"},
    "ModelPatchLoader": {"name": "model_patches"},
    "AudioEncoderLoader": {"audio_encoder_name": "audio_encoders"},
    "DiffusersLoader": {"model_path": "diffusers"},
    "ConditioningLoader": {"conditioning_name": "embeddings"},
    "FrameInterpolationModelLoader": {"model_name": "frame_interpolation"},
    "LoadBackgroundRemovalModel": {"bg_removal_name": "background_removal"},
    "LoadDA3Model": {"model_name": "geometry_estimation"},
    "LoadMoGeModel": {"model_name": "geometry_estimation"},
    "OpticalFlowLoader": {"model_name": "optical_flow"},
    "SAM3DBody_Loader": {"model_name": "detection"},
    # Two packs that many workflows use, with the inputs of ComfyUI's own loaders.
    "UnetLoaderGGUF": {"unet_name": "diffusion_models"},
    "CLIPLoaderGGUF": {"clip_name": "text_encoders"},
    "DualCLIPLoaderGGUF": {"clip_name1": "text_encoders", "clip_name2": "text_encoders"},
}
"""By class, each with its inputs in the order of the node's widgets. These come first there."""

_INPUTS = {
    "ckpt_name": "checkpoints",
    "config_name": "configs",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "lora_name": "loras",
    "existing_lora": "loras",
    "vae_name": "vae",
    "control_net_name": "controlnet",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "photomaker_model_name": "photomaker",
    "audio_encoder_name": "audio_encoders",
    "hypernetwork_name": "hypernetworks",
    "text_encoder": "text_encoders",
    "upscale_model_name": "upscale_models",
    "bg_removal_name": "background_removal",
}
"""Inputs of these names mean the same in nodes of packs."""

_NUMBER = re.compile(r"_?\d+$")

BUILT_IN_VAES = frozenset({"pixel_space"})
"""Values of VAELoader that stand for no file."""

TINY_VAES = frozenset({"taesd", "taesdxl", "taesd3", "taef1"})
"""Values of VAELoader that stand for two files `NAME_encoder.*` and `NAME_decoder.*` of the
category `vae_approx`."""

NOTES = frozenset({"Note", "MarkdownNote"})
"""Nodes whose text is for people."""

WITHOUT_LORA_TAGS = "CLIPTextEncode"
"""ComfyUI's own prompts, whose names begin so, take `<lora:NAME:1>` for words."""

ENDINGS = (
    *(".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".onnx"),
    *(".engine", ".torchscript"),
)
"""A text that ends so names a model, whatever the node."""

LONGEST_NAME = 1024
"""Most characters of a name: Linux takes paths of 4,096 bytes, no author writes them by hand."""


def category_of_input(node_class: str, name: str) -> str | None:
    """The category that an input of a node of this class names; None where nothing tells it."""
    own = LOADERS.get(node_class)
    if own is not None and name in own:
        return own[name]
    return _INPUTS.get(name) or _INPUTS.get(_NUMBER.sub("", name))


def is_model_name(text: str) -> bool:
    """True if `text` looks like the name of a model file, and not like prose or an address."""
    return (
        len(text) <= LONGEST_NAME
        and text.lower().endswith(ENDINGS)
        and "://" not in text
        and "\n" not in text
        and "\0" not in text
        and not text.startswith(".")
    )
