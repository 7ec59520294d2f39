"""What a model is: its kind and base model, from its tensors first and its metadata second.

Metadata refine what the tensors say and never contradict it. A path or a file name says nothing,
but for branches of SDXL where nothing else tells them apart. Where no sign holds, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from scanner.comfyui.base_words import Base, base_of_word, is_version, xl_of_file_name
from scanner.comfyui.signs_of_additions import ADDITIONS, OTHERS, UPSCALERS
from scanner.comfyui.signs_of_diffusion import DIFFUSION
from scanner.comfyui.signs_of_loras import base_of, layers_of
from scanner.comfyui.signs_of_parts import AUDIOS, TEXTS, VAES, VISIONS
from scanner.comfyui.tensor_signs import Group, Match, TensorNames, View

Metadata = Mapping[str, str | int]

CHECKPOINT, DIFFUSION_MODEL, EMBEDDING = "checkpoint", "diffusion model", "embedding"

TENSORS, METADATA = "tensors", "metadata"

_VAE_PARTS = (
    b"first_stage_model.",
    b"vae.",
    b"pretransform.model.",
    b"pretransform.",
    b"audio_vae.",
)

_TEXT_PARTS = (
    b"cond_stage_model.", b"conditioner.", b"text_encoders.", b"text_encoder.", b"text_encoder_2.",
)  # fmt: skip

_OTHER_PARTS = (b"vocoder.", b"model_ema.", b"denoiser.", b"text_embedding_projection.")

_PARTS = _VAE_PARTS + _TEXT_PARTS + _OTHER_PARTS
"""Beginnings of names in a checkpoint that are not its diffusion model's. Sources: ComfyUI
comfy/supported_models.py and supported_models_base.py (`vae_key_prefix` and others)."""

_CONTAINERS = (
    b"model.diffusion_model.", b"diffusion_model.", b"model.model.", b"net.", b"model.",
    b"transformer.", b"unet.", b"control_model.", b"module.", b"params_ema.", b"params.",
    b"state_dict.", b"_orig_mod.", b"generator.", b"dit.", b"model_g.",
)  # fmt: skip
"""Beginnings of names that say nothing but where the program kept the model. Sources: ComfyUI
comfy/model_detection.py (`unet_prefix_from_state_dict`), comfy/sd.py; spandrel's
`canonicalize_state_dict`; AnimateDiff's checkpoints (`module.`)."""

_TEXT_CONTAINERS = (
    b"cond_stage_model.transformer.", b"cond_stage_model.model.", b"text_encoder.",
    b"text_encoders.", b"transformer.", b"model.language_model.", b"language_model.model.",
    b"language_model.", b"model.",
)  # fmt: skip

_VAE_CONTAINERS = (*_VAE_PARTS, b"vae.decoder.", b"model.", b"module.", b"autoencoder.")

_EMBEDDING = re.compile(
    rb"emb_params|clip_[lgh]|t5xxl|text_encoders_\d|string_to_param\.\*|\*|<[^<>]{1,200}>"
    rb"|qwen\w*|llama\w*"
)

_WIDTHS = {768: "SD 1.5", 1024: "SD 2.1", 1280: "SDXL"}


class Identity(NamedTuple):
    """What a model is. Empty where it is not known."""

    kind: str = ""
    base: str = ""
    families: tuple[str, ...] = ()
    evidence: str = ""

    def as_facts(self) -> dict[str, Any]:
        """The fields of the inventory; the family is a list where weights serve several."""
        families = self.families
        return {
            "kind": self.kind,
            "base_model": self.base,
            "family": families[0] if len(families) == 1 else list(families),
            "evidence": self.evidence,
        }


def identity_of(tensors: TensorNames | None, metadata: Metadata) -> Identity:
    """What the model is; `tensors` is None if they could not be read to the end."""
    if tensors is None or not tensors.names:
        return _by_metadata(metadata)
    match = match_of(tensors)
    if match is not None:
        return _refined(match, metadata)
    # A GGUF declares its architecture as a part of the format.
    return _by_metadata(metadata) if "general.architecture" in metadata else Identity()


def match_of(tensors: TensorNames) -> Match | None:
    """What the tensors say, or None."""
    whole = tensors.view()
    views = _views(tensors, _CONTAINERS)
    match = _embedding(tensors) or _first(views, ADDITIONS)
    if match is not None:
        return match
    layers = layers_of(tensors)
    if layers is not None:
        return base_of(layers)
    if not whole.modules.isdisjoint(_VAE_PARTS + _TEXT_PARTS):
        return _checkpoint(tensors, views)
    return (
        _first(views, DIFFUSION)
        or _first(views, OTHERS)
        or _first(views, AUDIOS)
        or _text_or_vision(tensors)
        or _first(_views(tensors, _VAE_CONTAINERS), VAES)
        or _first(views, UPSCALERS)
    )


def _checkpoint(tensors: TensorNames, views: list[View]) -> Match | None:
    """A file with parts: a checkpoint if its diffusion model is known, else a part by itself."""
    found = _first(views, DIFFUSION)
    if found is not None:
        return found._replace(kind=CHECKPOINT)
    if len(tensors.view(without=_PARTS)):
        return None
    if any(len(tensors.view(part)) for part in _VAE_PARTS):
        return _first(_views(tensors, _VAE_CONTAINERS), VAES)
    return _text_or_vision(tensors)


def _text_or_vision(tensors: TensorNames) -> Match | None:
    views = _views(tensors, _TEXT_CONTAINERS)
    return _first(views, TEXTS) or _first(views, VISIONS)


def _views(tensors: TensorNames, prefixes: tuple[bytes, ...]) -> list[View]:
    """A view for each of the prefixes that names have, and one of all."""
    whole = tensors.view()
    return [*(tensors.view(prefix) for prefix in prefixes if prefix in whole.modules), whole]


def _first(views: list[View], groups: tuple[Group, ...]) -> Match | None:
    return next((match for view in views if (match := view.first(groups)) is not None), None)


def _embedding(tensors: TensorNames) -> Match | None:
    """Vectors for words: few tensors, each of rows as wide as the text encoder that it names."""
    names = tensors.names
    if len(names) > 8 or not all(
        _EMBEDDING.fullmatch(name) and 1 <= len(shape) <= 2 for name, shape in names
    ):
        return None
    keys = {name for name, _ in names}
    if {b"clip_l", b"clip_g"} <= keys:
        return (
            Match(EMBEDDING, "SDXL", ("SDXL",))
            if b"t5xxl" not in keys
            else Match(EMBEDDING, "SD 3", ("SD 3",))
        )
    if {b"clip_l", b"t5xxl"} <= keys:
        return Match(EMBEDDING, "Flux.1", ("Flux.1",))
    widths = {shape[-1] for _, shape in names}
    base = _WIDTHS.get(next(iter(widths)), "") if len(widths) == 1 else ""
    return Match(EMBEDDING, base, (base.replace("SD 2.1", "SD 2"),) if base else ())


# Metadata


def _refined(match: Match, metadata: Metadata) -> Identity:
    base, families, evidence = match.base, match.families, TENSORS
    if (variant := _variant(match, metadata)) != match:
        base, evidence = variant.base, METADATA
    for known in _words(metadata):
        if not base:
            if not families:
                base, families, evidence = known.name, (known.family,), METADATA
        elif known.family in families and (better := _better(match.kind, base, families, known)):
            base, families, evidence = better, (known.family,), METADATA
    branch = xl_of_file_name(str(metadata.get("ss_sd_model_name", "")))
    # A file name only tells what nothing else does.
    if branch is not None and families == ("SDXL",) and not re.search(r"\(|refiner", base):
        base, evidence = branch.name, METADATA
    return Identity(match.kind, base, families, evidence)


def _better(kind: str, base: str, families: tuple[str, ...], known: Base) -> str:
    """A word that says more than `base`, or an empty one.

    What is trained for a model fits all of its versions, so only branches of it are taken.
    """
    is_branch = "(" in known.name
    if kind not in (CHECKPOINT, DIFFUSION_MODEL) and not is_branch:
        return known.family if len(families) > 1 else ""
    if len(families) > 1:
        return known.name
    is_more = known.name.startswith(base) or is_version(known.name, base)
    return known.name if is_more and known.name != base else ""


_KEYS = (
    "modelspec.architecture", "ss_base_model_version", "modelspec.base_model", "base_model",
    "general.base_model.0.name",
)  # fmt: skip


def _words(metadata: Metadata) -> list[Base]:
    """The base models that the metadata name, in our words."""
    found = [base_of_word(str(metadata[key])) for key in _KEYS if key in metadata]
    return [base for base in found if base is not None]


def _variant(match: Match, metadata: Metadata) -> Match:
    """`match` with the variant that diffusers' configuration in the metadata names (nunchaku)."""
    config = str(metadata.get("config", "")).replace(" ", "")
    if "Flux.1" not in match.families or '"guidance_embeds":' not in config:
        return match
    is_dev = '"guidance_embeds":true' in config
    if match.base not in ("Flux.1", "Flux.1 dev", "Flux.1 schnell"):
        return match
    return match._replace(base="Flux.1 dev" if is_dev else "Flux.1 schnell")


_DIFFUSION_GGUF = frozenset(
    ("aura", "cosmos", "flux", "hidream", "hyvid", "ltxv", "lumina2", "qwen_image", "sd1", "sd3",
     "sdxl", "wan")
)  # fmt: skip

_TEXT_GGUF = frozenset(("t5", "t5encoder", "llama", "qwen2vl", "qwen3", "qwen3vl", "gemma3"))
"""Values of `general.architecture`, grouped as in loader.py of ComfyUI-GGUF."""


def _by_metadata(metadata: Metadata) -> Identity:
    """What the metadata say of a file whose tensors are not known."""
    architecture = str(metadata.get("modelspec.architecture", "")).lower()
    kind = ""
    if architecture.endswith("control-lora"):
        kind = "controlnet"
    elif (
        "ss_network_module" in metadata
        or metadata.get("general.type") == "adapter"
        or architecture.endswith(("/lora", "-lora"))
    ):
        kind = "lora"
    elif architecture.endswith("textual-inversion"):
        kind = EMBEDDING
    elif metadata.get("general.type") == "mmproj":
        kind = "clip vision"
    elif (general := metadata.get("general.architecture")) in _DIFFUSION_GGUF:
        kind = DIFFUSION_MODEL
    elif general in _TEXT_GGUF:
        kind = "text encoder"
    if not kind:
        return Identity()
    return _refined(Match(kind, "", ()), metadata)._replace(evidence=METADATA)
