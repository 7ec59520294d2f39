"""The files that may be models, by their names, and the version of what is read of them."""

from __future__ import annotations

SUFFIXES = (
    ".safetensors", ".sft", ".gguf", ".ggml",
    ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".onnx",
)  # fmt: skip
"""Suffixes of the formats that ComfyUI and its node packs load."""

VERSION = 2
"""Rises when facts are read from the same header that an older version did not find. Facts of an
older version are read again."""


def wants_facts(name: str) -> bool:
    """True if a file of this name may be a model, by its suffix in any case."""
    return name.lower().endswith(SUFFIXES)


def suffix_of(name: str) -> str:
    """The part of a name that the facts of a file depend on, in lower case."""
    return "." + name.lower().rpartition(".")[2]
