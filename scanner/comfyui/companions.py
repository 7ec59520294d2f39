"""Files that stand next to models and describe them, recognised by name. Pure.

A sidecar describes one model: `x.civitai.info` describes `x.safetensors`. An index names the shards
of one model, and `model_index.json` the components of a diffusers folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from scanner.comfyui.model_files import SUFFIXES, wants_facts

SIDECAR_SUFFIXES = (
    ".metadata.json", ".civitai.info", ".cm-info.json", ".rgthree-info.json", ".json", ".sha256",
)  # fmt: skip
"""Suffixes of sidecars in order of priority, those of Lora Manager, Civitai Helper,
StabilityMatrix, rgthree-comfy and AUTOMATIC1111, and that of sha256sum. Lora Manager's comes first:
it is the one that people edit. `.json` comes after those that end with it."""

SIDECAR, INDEX, PIPELINE = "sidecar", "index", "pipeline"

PIPELINE_NAME = "model_index.json"

_INDEX = re.compile(r"(.+\.(?:safetensors|bin))\.index(?:\.[\w-]{1,32})?\.json", re.IGNORECASE)
"""The names that transformers and diffusers give to the index of shards; a variant such as fp16 may
stand before the last suffix."""


class Companion(NamedTuple):
    """What a file of this name is to the models next to it."""

    kind: str
    """SIDECAR, INDEX or PIPELINE."""
    of: str = ""
    """Name of the model that a sidecar describes."""


def companion_of(name: str, names: Collection[str]) -> Companion | None:
    """What `name` is among the `names` in its folder; None if it describes no model."""
    low = name.lower()
    if not low.endswith(SIDECAR_SUFFIXES):
        return None
    if name == PIPELINE_NAME:
        return Companion(PIPELINE)
    if _INDEX.fullmatch(name):
        return Companion(INDEX)
    model = described_by(name, names)
    return Companion(SIDECAR, model) if model else None


def whole_of_index(name: str) -> str:
    """Name of the model in one file that the shards of the index `name` are parts of."""
    match = _INDEX.fullmatch(name)
    return match[1] if match else ""


def described_by(name: str, names: Collection[str]) -> str:
    """Name of the model that the sidecar `name` describes; empty if it is none.

    `x.safetensors.sha256` and `x.sha256` are both sidecars of `x.safetensors`. Of several models
    the first one in the order of `SUFFIXES` is meant.
    """
    low = name.lower()
    for suffix in SIDECAR_SUFFIXES:
        if not low.endswith(suffix):
            continue
        stem = name[: -len(suffix)]
        if wants_facts(stem) and stem in names:
            return stem
        for ending in SUFFIXES:
            if stem + ending in names:
                return stem + ending
    return ""


def priority(name: str) -> int:
    """Position of a sidecar in the order of priority."""
    low = name.lower()
    return next(i for i, suffix in enumerate(SIDECAR_SUFFIXES) if low.endswith(suffix))
