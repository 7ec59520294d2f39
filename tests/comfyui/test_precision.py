"""The precision of weights, from dtypes and the names that quantisations add."""

from __future__ import annotations

import pytest

from scanner.comfyui.precision import precision_of
from tests.support.fuzz_headers import tensor
from tests.support.headers import model


@pytest.mark.parametrize(
    ("dtypes", "ends", "word"),
    [
        ({"F16": 9, "F32": 1}, set(), "fp16"),
        ({"BF16": 9}, set(), "bf16"),
        ({"F8_E4M3": 9, "F32": 1}, set(), "fp8 e4m3"),
        ({"F8_E4M3": 9, "F32": 1}, {b".scale_weight"}, "fp8 scaled"),
        ({"U8": 9}, {b".quant_state.bitsandbytes__nf4"}, "nf4"),
        ({"U8": 9, "F8_E4M3": 1}, {b".weight_scale", b".weight_scale_2"}, "nvfp4"),
        ({"I8": 9}, {b".wscales"}, "svdquant int4"),
        ({"I8": 9}, {b".wscales", b".wcscales"}, "svdquant fp4"),
        ({"Q4_K": 9}, set(), "Q4_K"),
        ({"IQ4_XS": 9}, set(), "IQ4_XS"),
        ({"I64": 9}, set(), ""),
        ({}, set(), ""),
    ],
)
def test_precision_has_a_word(dtypes: dict[str, int], ends: set[bytes], word: str) -> None:
    assert precision_of(dtypes, ends) == word


def test_the_precision_stands_in_the_facts() -> None:
    names = {
        "double_blocks.0.img_attn.proj.weight": tensor("F8_E4M3", [2, 2], 0, 4),
        "double_blocks.0.img_attn.proj.scale_weight": tensor("F32", [], 4, 8),
    }
    assert model(names, 8)["precision"] == "fp8 scaled"
