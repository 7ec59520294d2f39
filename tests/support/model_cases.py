"""Headers of public models, shortened: names, dtypes and shapes of tensors, and what they are."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from scanner.comfyui.base_words import family_of
from scanner.comfyui.model_identity import Identity, identity_of
from scanner.comfyui.tensor_signs import TensorNames

FILE = Path(__file__).parents[1] / "data" / "model_headers.json.gz"


class Case(NamedTuple):
    """One header, and the truth about it."""

    id: str
    folder: str
    kind: str
    base: str
    comfyui: str
    """What ComfyUI's own detection names; empty if nothing."""
    metadata: dict[str, str]
    tensors: dict[str, tuple[str, Sequence[int]]]


def _read() -> list[Case]:
    rows: list[dict[str, Any]] = orjson.loads(gzip.decompress(FILE.read_bytes()))
    return [Case(**row) for row in rows]


CASES = _read()


def identity(case: Case) -> Identity:
    """What the program says of a case."""
    names = TensorNames()
    for name, (_, shape) in case.tensors.items():
        names.add(name.encode(), tuple(shape))
    return identity_of(names, case.metadata)


_SAME = {"SD VAE": "SD 1.x/SDXL", "Qwen/Flux": "Qwen-Image/Flux.1"}
"""Names of the cases for what the program has another name for."""


def true_base(base: str) -> str:
    """The base of a case in the program's words."""
    return _SAME.get(base, base)


def is_family(families: Sequence[str], found: str, base: str) -> bool:
    """True if the base model found is the true one, or one of the families found is its own."""
    base = true_base(base)
    return found == base or family_of(base) in families or any(base.startswith(f) for f in families)
