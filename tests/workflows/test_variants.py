"""Names of one model in several precisions, and names that only look alike."""

from __future__ import annotations

import pytest

from scanner.workflows.variants import variant_of


@pytest.mark.parametrize(
    "names",
    [
        ("flux1-dev.safetensors", "flux1-dev-fp8.safetensors", "flux1-dev-Q8_0.gguf"),
        ("t5xxl_fp16.safetensors", "t5xxl_fp8_e4m3fn_scaled.safetensors", "t5xxl-bf16.gguf"),
        ("qwen_image_fp8_e4m3fn.safetensors", "Qwen-Image-Q4_K_M.gguf", "qwen-image-IQ4_XS.gguf"),
        ("flux2_dev_fp8mixed.safetensors", "flux2_dev_nvfp4.safetensors"),
        ("svdq-int4_r32-flux.1-dev.safetensors", "svdq-fp4_r32-flux.1-dev.safetensors"),
        ("x_int8_convrot.safetensors", "x_mxfp4.safetensors", "x_fp32.ckpt", "x_fp8_e5m2.sft"),
        ("gemma_3_12B_it_fp4_mixed.safetensors", "gemma_3_12B_it.safetensors"),
    ],
)
def test_only_the_precision_differs(names: tuple[str, ...]) -> None:
    assert len({variant_of(name).model for name in names}) == 1
    assert len({variant_of(name)[1:] for name in names}) == len(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("wan2.2_i2v_high_noise_14B_fp8.safetensors", "wan2.2_i2v_low_noise_14B_fp8.safetensors"),
        ("sd_xl_base_1.0.safetensors", "sd_xl_refiner_1.0.safetensors"),
        ("flux1-dev-fp8.safetensors", "flux1-schnell-fp8.safetensors"),
        ("a_fp8_edit_fp16.safetensors", "a_fp16_edit_fp16.safetensors"),
        ("seq2seq.bin", "seq.bin"),
        ("model_scaled.safetensors", "model.safetensors"),
    ],
)
def test_another_model(one: str, other: str) -> None:
    assert variant_of(one).model != variant_of(other).model


def test_a_name_of_precision_alone_is_no_model() -> None:
    assert variant_of("fp16.safetensors").model == ""
    assert variant_of("").model == variant_of(".safetensors").model == ""


def test_a_hostile_name_takes_no_longer() -> None:
    assert variant_of("e4m3" * 250 + ".safetensors").precision == ""
    assert variant_of("fp8_" * 250 + "x.safetensors").model == "x"
