"""The precision in which a model's weights are stored, and the way in which they were quantised.

Sources: ComfyUI comfy/quant_ops.py and comfy/ops.py (`scaled_fp8`, `scale_weight`, `weight_scale`,
`comfy_quant`), bitsandbytes (`quant_state`), nunchaku-tech/nunchaku (`wscales`).
"""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {
    "F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8 e4m3",
    "F8_E5M2": "fp8 e5m2", "F8_E4M3FNUZ": "fp8 e4m3", "F8_E5M2FNUZ": "fp8 e5m2", "F4": "fp4",
    "I8": "int8", "U8": "int8",
}  # fmt: skip

_NO_WEIGHTS = ("I16", "I32", "I64", "U16", "U32", "U64", "BOOL", "C64", "type ")

_FORMS = (
    (b".quant_state.bitsandbytes__nf4", "nf4"),
    (b".quant_state.bitsandbytes__fp4", "fp4 (bitsandbytes)"),
    (b".wcscales", "svdquant fp4"),
    (b".wtscale", "svdquant fp4"),
    (b".wscales", "svdquant int4"),
    (b".weight_scale_2", "nvfp4"),
)
"""Ends of names that one kind of quantisation has, the more special first."""

_SCALES = (b"scaled_fp8", b".scale_weight", b".weight_scale", b".input_scale", b".scale_input")

ENDS = (*(end for end, _ in _FORMS), *_SCALES)
"""All ends of names that matter here."""


def precision_of(elements: Mapping[str, int], ends: set[bytes]) -> str:
    """The word for weights of so many elements of each dtype; `ends` are those of ENDS found."""
    for end, word in _FORMS:
        if end in ends:
            return word
    word = word_of(max(elements, key=lambda each: (elements[each], each), default=""))
    if ends.intersection(_SCALES) and word.startswith(("fp8", "int8")):
        return f"{word.split()[0]} scaled"
    return word


def word_of(dtype: str) -> str:
    """The word for one dtype or quantisation; empty for those that hold no weights."""
    return _WORDS.get(dtype, "" if dtype.startswith(_NO_WEIGHTS) else dtype)
