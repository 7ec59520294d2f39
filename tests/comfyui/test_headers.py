"""Facts from headers: right by the formats' own packages, and no header does any harm."""

from __future__ import annotations

import errno
import importlib
import json
import os
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.comfyui import gguf as gguf_header
from scanner.comfyui import safetensors as safetensors_header
from scanner.comfyui.gguf import FILE_TYPES, TYPES
from scanner.comfyui.model_facts import TEXT, Facts, FactsRead, facts_of, read_facts, wants_facts
from scanner.comfyui.safetensors import BITS, LONGEST_HEADER
from scanner.disk.filesystem import DiskFileSystem
from tests.support.fakes import FakeFileSystem
from tests.support.fuzz_headers import (
    CORPUS,
    LFS,
    Counted,
    checked,
    fuzz,
    gguf_file,
    mutant,
    safetensors_file,
    tensor,
    zip_file,
)

MIB = 1024 * 1024


def package(name: str) -> Any:
    """A package whose word on its format counts. Without it the test is skipped, in CI failed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"not installed: {name}; CI must run this test ({error})", pytrace=False)
        pytest.skip(f"not installed: {name}")


def facts(data: bytes, name: str = "x.safetensors") -> Facts:
    return checked(name, data)


def model(header: dict[str, Any], data: int = 0) -> dict[str, Any]:
    found = facts(safetensors_file(header, data))
    assert found.problem == ""
    return found.model


def said(**metadata: str) -> dict[str, Any]:
    """The model of a file with these metadata (dots as two underscores) and no tensor."""
    return model({"__metadata__": {key.replace("__", "."): metadata[key] for key in metadata}})


def named(*names: str) -> dict[str, Any]:
    """The model of a file with tensors of these names."""
    return model({name: tensor("U8", [0], 0, 0) for name in names})


def pairs(*rows: tuple[str, int, Any]) -> dict[str, Any]:
    found = facts(gguf_file(rows), "x.gguf")
    assert found.problem == ""
    return found.model


# Names


@pytest.mark.parametrize(
    "name",
    [
        "a.safetensors", "a.SafeTensors", "a.sft", "b/c.gguf", "a.ggml", "a.ckpt", "a.pt", "a.pt2",
        "a.pth", "a.pkl", "a.onnx", "diffusion_pytorch_model.bin", "v1.5.GGUF", "\u732b.sft",
    ],
)  # fmt: skip
def test_model_files_are_wanted(name: str) -> None:
    assert wants_facts(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.safetensors.aria2", "a.safetensors.part", "a.safetensors.index.json", "a.png", "a", "",
        "safetensors", "pt", "a.json", "put_checkpoints_here", "a.yaml", "a.py", "a.txt", "a.zip",
    ],
)  # fmt: skip
def test_other_files_are_not(name: str) -> None:
    assert not wants_facts(name)


# safetensors, by its own package


def test_safetensors_of_its_own_package_are_read_right() -> None:
    numpy, package_of = package("numpy"), package("safetensors.numpy")
    arrays = {
        "lora_unet_a.lora_down.weight": numpy.zeros((4, 320), numpy.float16),
        "lora_unet_a.lora_up.weight": numpy.zeros((320, 4), numpy.float16),
        "lora_unet_a.alpha": numpy.zeros((), numpy.float32),
        "empty": numpy.zeros((0, 7), numpy.int64),
        "flags": numpy.zeros(5, numpy.bool_),
        'na"me\\\n\u732b': numpy.zeros(3, numpy.uint8),
    }
    metadata = {"modelspec.title": 'A "title"\\ \u732b \U0001f600', "ss_output_name": "no"}
    data = package_of.save(arrays, metadata)
    assert facts(data) == Facts(
        {
            "format": "safetensors",
            "tensors": 6,
            "parameters": 2 * 1280 + 1 + 5 + 3,
            "dtypes": {"F16": 2560, "BOOL": 5, "U8": 3, "F32": 1, "I64": 0},
            "title": 'A "title"\\ \u732b \U0001f600',
            "kind": "lora",
        }
    )


def test_dtypes_are_those_of_the_package() -> None:
    deserialize = package("safetensors").deserialize
    for dtype, bits in BITS.items():
        data = safetensors_file({"x": tensor(dtype, [2, 4], 0, bits)}, bits)
        assert len(deserialize(data)) == 1
        assert facts(data).model["dtypes"] == {dtype: 8}


def test_what_is_found_right_the_package_loads() -> None:
    """And what it refuses is damaged or truncated here as well."""
    deserialize = package("safetensors").deserialize
    corpus = [data for name, data in CORPUS.items() if name in ("lora.safetensors", "small.sft")]
    chance = random.Random(5)
    agreed = 0
    for _ in range(4000):
        data = mutant(chance, chance.choice(corpus))
        if not facts(data).status:
            deserialize(data)
            agreed += 1
    assert agreed > 100


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SHAPES = st.lists(st.integers(0, 6), max_size=4)


def bytes_of(dtype: str, shape: list[int]) -> int:
    return elements_of(shape) * BITS[dtype] // 8


def elements_of(shape: list[int]) -> int:
    elements = 1
    for length in shape:
        elements *= length
    return elements


@settings(deadline=None)  # machines of tests are busy
@given(
    st.dictionaries(
        NAMES.filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(sorted(BITS)), SHAPES),
        max_size=8,
    ),
    st.dictionaries(NAMES, NAMES, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.sampled_from([b"", b" ", b"\n   "]),
    st.randoms(),
)
def test_every_header_that_follows_the_format_is_read(
    tensors: dict[str, tuple[str, list[int]]],
    metadata: dict[str, str],
    ascii_only: bool,
    indent: int | None,
    padding: bytes,
    chance: random.Random,
) -> None:
    whole = {
        name: (dtype, shape)
        for name, (dtype, shape) in tensors.items()
        if elements_of(shape) * BITS[dtype] % 8 == 0
    }
    order = list(whole)
    chance.shuffle(order)
    begin = 0
    header: dict[str, Any] = {}
    for name in order:
        end = begin + bytes_of(*whole[name])
        fields = list(tensor(*whole[name], begin, end).items())
        chance.shuffle(fields)
        header[name] = dict(fields)
        begin = end
    items = [*header.items(), ("__metadata__", {**metadata, "modelspec.title": "T"})]
    chance.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=ascii_only, indent=indent).encode() + padding
    found = facts(safetensors_file(text, begin))
    assert found.status == "", found.problem
    assert found.model["title"] == "T"
    assert found.model["tensors"] == len(whole)
    assert found.model["parameters"] == sum(elements_of(shape) for _, shape in whole.values())


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x0480, 0x0580, 0x0A280, 0x1280])
@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt"])
def test_a_length_that_looks_like_a_pickle_is_none(name: str, length: int) -> None:
    text = json.dumps({"a": tensor("U8", [1], 0, 1)}).encode().ljust(length)
    found = facts(safetensors_file(text, 1), name)
    assert (found.model["format"], found.model["tensors"], found.status) == ("safetensors", 1, "")


def test_a_length_that_looks_like_a_zip_is_none() -> None:
    found = facts(b"PK\3\4\0\0\0\0{")
    assert (found.model, found.status) == ({"format": "safetensors"}, "truncated")


# safetensors, cut and spoiled

HEADER = {"a": tensor("F16", [2, 3], 0, 12), "b": tensor("F32", [1], 12, 16)}


@pytest.mark.parametrize("missing", [1, 3, 4, 15, 16])
def test_missing_data_are_found_and_both_sizes_told(missing: int) -> None:
    whole = safetensors_file(HEADER, 16)
    found = facts(whole[:-missing])
    assert found.status == "truncated"
    assert (
        found.problem == f"The file has {len(whole) - missing} of the {len(whole)} bytes that its "
        "header declares."
    )
    assert found.model["parameters"] == 7


@pytest.mark.parametrize(
    "name", ["lora.safetensors", "flux.gguf", "one.gguf", "big.gguf", "new.pt", "large.pth"]
)
def test_a_file_cut_anywhere_is_truncated(name: str) -> None:
    whole = CORPUS[name]
    end = gguf_end(whole) if name.endswith(".gguf") else len(whole)
    shortest = 0 if name.endswith((".safetensors", ".gguf")) else 4  # bytes that show the format
    for length in range(shortest, len(whole)):
        found = facts(whole[:length], name)
        assert found.status == ("truncated" if length < end else ""), (length, found)


def gguf_end(data: bytes) -> int:
    """Where the last tensor ends; padding may follow."""
    header = gguf_header.GgufHeader(len(data), Counted(data), {})
    assert list(header.tensors())
    assert header.end is not None
    return header.end


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": tensor("F16", [2], 0, 4)}, 5, "more than the"),
        ({"a": tensor("F99", [2], 0, 4)}, 4, "unknown dtype 'F99'"),
        ({"a": tensor("F16", [2], 0, 3)}, 3, "3 bytes, but 2 elements of 16 bits"),
        ({"a": tensor("F4", [3], 0, 1)}, 1, "1 bytes, but 3 elements of 4 bits"),
        ({"a": tensor("F16", [-2], 0, 4)}, 4, "no valid dtype"),
        ({"a": tensor("F16", [2.0], 0, 4)}, 4, "no valid dtype"),  # type: ignore[list-item]
        ({"a": tensor("F16", [True], 0, 2)}, 4, "no valid dtype"),
        ({"a": tensor("F16", [10**4000], 0, 4)}, 4, "no valid dtype"),
        ({"a": tensor("F16", [1] * 33, 0, 2)}, 2, "no valid dtype"),
        ({"a": tensor("F16", [2**63], 0, 4)}, 4, "more elements than any file"),
        ({"a": tensor("F16", [2**40, 2**40], 0, 4)}, 4, "more elements than any file"),
        ({"a": tensor("F16", [2], 4, 0)}, 4, "not a begin and an end"),
        ({"a": tensor("F16", [2], -4, 0)}, 4, "no valid dtype"),
        ({"a": tensor("U8", [2**62], 0, 2**62 + 1)}, 4, "not a begin and an end"),
        ({"a": {**tensor("F16", [2], 0, 4), "data_offsets": [0]}}, 4, "not a begin and an end"),
        (
            {"a": {**tensor("F16", [2], 0, 4), "data_offsets": [0, 4, 4]}},
            4,
            "not a begin and an end",
        ),
        ({"a": {**tensor("F16", [2], 0, 4), "data_offsets": "0,4"}}, 4, "no valid dtype"),
        ({"a": {**tensor("F16", [2], 0, 4), "shape": "2"}}, 4, "no valid dtype"),
        ({"a": {**tensor("F16", [2], 0, 4), "dtype": [16]}}, 4, "no valid dtype"),
        ({"a": {"dtype": "F16", "shape": [2]}}, 4, "no valid dtype"),
        ({"a": {**tensor("F16", [2], 0, 4), "more": 1}}, 4, "no valid dtype"),
        ({"a": {}}, 0, "no valid dtype"),
        ({"a": None}, 0, "no valid dtype"),
        ({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, 3, "overlap at byte 1"),
        ({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 0, 2)}, 2, "overlap at byte 0"),
        ({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 3, 5)}, 5, "from 2 to 3"),
        ({"a": tensor("U8", [2], 1, 3)}, 3, "from 0 to 1"),
        ({"a": tensor("U8", [9], 0, 9), "b": tensor("U8", [0], 5, 5)}, 9, "overlap at byte 5"),
        ({"__metadata__": {"a": 1}}, 0, "metadata are not a JSON object of texts"),
        ({"__metadata__": {"a": {}}}, 0, "metadata are not a JSON object of texts"),
        ({"__metadata__": []}, 0, "metadata are not a JSON object of texts"),
        (b'{"__metadata__":{"a":"1","a":"2"}}', 0, "the name 'a' twice"),
        (b'{"__metadata__":{},"__metadata__":{}}', 0, "the name '__metadata__' twice"),
        (b'{"__metadata__":{"a":"1"{"b":"2"}}', 0, "metadata are not a JSON object of texts"),
        (b'{"__metadata__":{"a":"1",}}', 0, "metadata are not a JSON object of texts"),
        (b'{"a":{"dtype":"U8","dtype":"U8","shape":[0]}}', 0, "no valid dtype"),
        (b'{"a":{"dtype":"U8","shape":[00],"data_offsets":[0,0]}}', 0, "no valid dtype"),
        (b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,0]}}', 0, "no valid dtype"),
        (b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},}', 0, "not a JSON object"),
        (b"{a}", 0, "not a JSON object"),
        (b"{", 0, "not a JSON object"),
        (b"{}x", 0, "after its closing brace"),
        (b"{}\0", 0, "after its closing brace"),
        (b'{"a\xff":', 0, "not valid UTF-8"),
        (b'{"a\xc3', 0, "not valid UTF-8"),
        (b'{"\\ud800":', 0, "not a JSON object"),
        (b'{"\\udc00\\ud800":', 0, "not a JSON object"),
        (b'{"__metadata__":{"a":"\\ud800"}}', 0, "metadata are not a JSON object of texts"),
        (b'{"__metadata__":{"a":"\x01"}}', 0, "metadata are not a JSON object of texts"),
        (b'{"__metadata__":{"a":"\\x"}}', 0, "metadata are not a JSON object of texts"),
        (b'{"a":' * 100_000, 0, "no valid dtype"),
        (b"{" + b'"a":[' + b"[" * 100_000, 0, "no valid dtype"),
        (b"[]", 0, "does not begin with a brace"),
        (b" {}", 0, "does not begin with a brace"),
        (b'{"' + b"\\n" * 40_000 + b'":1}', 0, "more than 65535 bytes"),
    ],
)
def test_what_breaks_the_format_is_damaged(
    header: dict[str, Any] | bytes, data: int, words: str
) -> None:
    found = facts(safetensors_file(header, data))
    assert found.status == "damaged"
    assert words in found.problem
    assert found.model["format"] == "safetensors"
    assert ("tensors" in found.model) == (words == "more than the")


def test_a_name_twice_is_found_however_it_is_written() -> None:
    one = b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    for other in (one, one.replace(b'"a"', b'"\\u0061"')):
        found = facts(safetensors_file(b"{" + one + b"," + other + b"}"))
        assert (found.status, found.problem) == ("damaged", "The header has the name 'a' twice.")


@pytest.mark.parametrize(
    ("start", "status", "words"),
    [
        (struct.pack("<Q", 0) + b"\1", "damaged", "zeros in place of a header"),
        (struct.pack("<Q", LONGEST_HEADER + 1) + b"{", "damaged", "the format allows 100000000"),
        (struct.pack("<Q", 2**64 - 1) + b"{", "damaged", "the format allows 100000000"),
        (struct.pack("<Q", LONGEST_HEADER) + b"{", "truncated", "alone ends at 100000008"),
        (struct.pack("<Q", 1) + b"{", "damaged", "not a JSON object"),
        (struct.pack("<Q", 3) + b"{}", "truncated", "alone ends at 11"),
        (b"\2", "truncated", "The file ends after 1 bytes, before its header."),
        (b"\2\0\0\0\0\0\0\0", "truncated", "The file ends after 8 bytes, before its header."),
        (bytes(8), "damaged", "begins with zeros"),
        (bytes(100_000), "damaged", "begins with zeros"),
        (b"", "truncated", "The file is empty."),
    ],
)
def test_a_header_that_cannot_be_is_told(start: bytes, status: str, words: str) -> None:
    found = facts(start)
    assert found.status == status
    assert words in found.problem


def test_metadata_of_a_damaged_file_are_kept_and_its_tensors_not() -> None:
    found = facts(
        safetensors_file(
            {"__metadata__": {"modelspec.title": "T"}, "a": tensor("U8", [9], 0, 8)}, 8
        )
    )
    assert found.model == {"format": "safetensors", "title": "T"}


def test_a_header_larger_than_what_is_read_is_no_fault() -> None:
    """As of LoRAs with cover pictures in them."""
    metadata = {"modelspec.title": "T", "ssmd_cover_images": "A" * (17 * MIB)}
    found = facts(safetensors_file({"__metadata__": metadata, "a": tensor("U8", [1], 0, 1)}, 1))
    assert found.status == ""
    assert found.model.pop("unread").startswith("The header has 1782")
    assert found.model == {"format": "safetensors", "title": "T"}


def test_more_tensors_than_are_read_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {str(number): tensor("U8", [1], number, number + 1) for number in range(50)}
    monkeypatch.setattr(safetensors_header, "MOST_TENSORS", 50)
    assert model(header, 50)["tensors"] == 50
    monkeypatch.setattr(safetensors_header, "MOST_TENSORS", 49)
    assert model(header, 50) == {
        "format": "safetensors",
        "unread": "The header has more than the 49 names that are read.",
    }


# What metadata say


@pytest.mark.parametrize(
    ("metadata", "facts_found"),
    [
        ({"modelspec__architecture": "sd/lora"}, {"architecture": "sd/lora", "kind": "lora"}),
        ({"ss_base_model_version": "sdxl_base_v1-0"}, {"base_model": "sdxl_base_v1-0"}),
        ({"ss_base_model_version": "", "base_model": "x"}, {"base_model": "x"}),
        ({"ss_sd_model_name": "None"}, {}),
        ({"sd_merge_models": '{"a":{"name":"\\"a"},"b":{"name":"b"'}, {"base_model": '"a, b'}),
        ({"ss_output_name": "b", "modelspec__title": " \n"}, {"title": "b"}),
        ({"modelspec__author": "me", "license": "MIT"}, {"author": "me", "license": "MIT"}),
        ({"modelspec__description": "\ufeffa\r\n\tb\x07\u202ec"}, {"description": "a b c"}),
        ({"modelspec__description": "x" * 9000}, {"description": "x" * TEXT}),
        ({"modelspec__description": "\U0001f600" * 9000}, {"description": "\U0001f600" * TEXT}),
        ({"modelspec__trigger_phrase": "a, b c,a,"}, {"trigger_words": ["a", "b c"]}),
        ({"trained_words": '["x", 1, "y, z"]'}, {"trigger_words": ["x", "y, z"]}),
        ({"trained_words": "x,y"}, {"trigger_words": ["x", "y"]}),
        ({"trained_words": "[x"}, {"trigger_words": ["[x"]}),
        ({"trained_words": json.dumps(list("abcdefghijklmnopqrstuvwxyz"))},
         {"trigger_words": list("abcdefghijklmnopqrst")}),
        ({"ss_tag_frequency": '{"d":{"a":1,"b\\u732b":3,"c":3},"e":{"a":1,"c":1}}'},
         {"trigger_words": ["c", "b\u732b", "a"]}),
        ({"ss_tag_frequency": "[" * 9000}, {}),
        ({"sshs_model_hash": "ABCDEF0123456789"}, {"autov3": "abcdef012345"}),
        ({"sshs_model_hash": "no", "modelspec__hash_sha256": "0x" + "aB" * 32},
         {"autov3": "abababababab"}),
        ({"sshs_model_hash": "abc"}, {}),
        ({"modelspec__resolution": "1024x768"}, {"resolution": "1024x768"}),
        ({"ss_resolution": "(512, 640)"}, {"resolution": "512x640"}),
        ({"ss_resolution": "512"}, {"resolution": "512x512"}),
        ({"ss_resolution": "large"}, {}),
        ({"air": "urn:air:sdxl:lora:civitai:1@2"}, {"air": "urn:air:sdxl:lora:civitai:1@2"}),
        ({"ss_network_module": "networks.lora"}, {"kind": "lora"}),
        ({"modelspec__architecture": "stable-diffusion-v1/textual-inversion"},
         {"architecture": "stable-diffusion-v1/textual-inversion", "kind": "embedding"}),
        ({"modelspec__thumbnail": "data:image/png;base64,AAAA", "ssmd_cover_images": "[]"}, {}),
    ],
)  # fmt: skip
def test_metadata_become_facts(metadata: dict[str, str], facts_found: dict[str, Any]) -> None:
    nothing = {"format": "safetensors", "tensors": 0, "parameters": 0}
    assert said(**metadata) == nothing | facts_found


@pytest.mark.parametrize("limit", range(10))
def test_a_text_is_cut_between_its_characters(limit: int) -> None:
    text = '"a\\u732b\u732b\\ud83d\\ude00"'.encode()
    short = safetensors_header._string_start(text, 0, limit)
    assert "a\u732b\u732b\U0001f600".startswith(short)


KINDS = {
    "lora": [
        ["lora_unet_down_blocks_0.lora_down.weight"],
        ["unet.down_blocks.0.attn.to_k.lora.up.weight"],
        ["transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight"],
        ["diffusion_model.blocks.0.self_attn.k.lora_B.weight"],
        ["lycoris_blocks_0.lokr_w1"],
        ["lora_te1_text_model.hada_w1_a"],
        ["controlnet_blocks.0.weight", "controlnet_blocks.0.lora_up.weight"],
    ],
    "checkpoint": [
        ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.bias"],
        ["model.diffusion_model.double_blocks.0.a", "vae.decoder.conv_in.weight"],
        ["conditioner.embedders.0.transformer.x", "model.diffusion_model.out.2.bias"],
    ],
    "diffusion model": [
        ["double_blocks.0.img_attn.norm.key_norm.scale", "img_in.weight"],
        ["model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight"],
        ["blocks.0.self_attn.k.weight", "patch_embedding.weight"],
        ["down_blocks.0.attentions.0.norm.bias"],
        ["transformer_blocks.0.attn.to_k.weight"],
    ],
    "vae": [
        ["encoder.conv_in.weight", "decoder.up.0.block.0.norm1.bias"],
        ["decoder.upsamples.0.residual.0.gamma"],
        ["first_stage_model.decoder.conv_in.bias"],
        ["vae.decoder.x"],
    ],
    "text encoder": [
        ["text_model.embeddings.position_embedding.weight"],
        ["encoder.block.0.layer.0.SelfAttention.k.weight", "shared.weight"],
        ["model.layers.0.self_attn.k_proj.weight", "model.embed_tokens.weight", "visual.blocks.0"],
    ],
    "clip vision": [["vision_model.embeddings.class_embedding"]],
    "controlnet": [
        ["control_model.input_blocks.0.0.weight"],
        ["controlnet_blocks.0.weight", "transformer_blocks.0.attn.to_k.weight"],
        ["lora_controlnet", "input_blocks.0.0.weight"],
    ],
    "embedding": [["emb_params"], ["clip_g", "clip_l"], ["string_to_param.*"]],
    "ip-adapter": [["image_proj.norm.weight", "ip_adapter.1.to_k_ip.weight"]],
    "upscale model": [["conv_first.weight", "body.0.rdb1.conv1.weight"]],
    "": [["clip_l", "1", "2", "3", "4"], ["a.weight"], ["encoder.layers.0.weight"], []],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names"), [(kind, names) for kind, rows in KINDS.items() for names in rows]
)
def test_kinds_show_in_the_names_of_tensors(kind: str, names: list[str]) -> None:
    assert named(*names).get("kind", "") == kind
    assert named(*reversed(names)).get("kind", "") == kind


# GGUF, by its own package


def test_types_are_those_of_the_package() -> None:
    constants = package("gguf").constants
    known = {
        int(kind): (kind.name, *constants.GGML_QUANT_SIZES[kind])
        for kind in constants.GGMLQuantizationType
    }
    assert known.items() <= TYPES.items()
    names = {
        int(kind): kind.name.removeprefix("MOSTLY_").removeprefix("ALL_")
        for kind in constants.LlamaFileType
        if kind.name != "GUESSED"
    }
    assert names.items() <= FILE_TYPES.items()


def written(path: Path, order: str, *, alignment: int = 0, file_type: int | None = 15) -> None:
    """A GGUF as its package writes it, of every type that it can quantise to."""
    gguf, numpy = package("gguf"), package("numpy")
    order_of = {"<": gguf.GGUFEndian.LITTLE, ">": gguf.GGUFEndian.BIG}
    writer = gguf.GGUFWriter(path, "flux", endianess=order_of[order])
    writer.add_name("A name")
    writer.add_author("An author")
    writer.add_license("apache-2.0")
    writer.add_description("What it is")
    if file_type is not None:
        writer.add_file_type(file_type)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_token_list([f"token {number}" for number in range(30_000)])
    writer.add_token_scores([0.5] * 30_000)
    writer.add_array("mixed.texts", ["", "a" * 300_000])
    writer.add_bool("a.bool", True)
    writer.add_float64("a.double", 0.25)
    rows = numpy.ones((4, 256), numpy.float32)
    writer.add_tensor("double_blocks.0.img_attn.qkv.weight", rows)
    writer.add_tensor("half", rows.astype(numpy.float16))
    if order == "<":
        for kind in map(gguf.GGMLQuantizationType, (2, 3, 6, 7, 8, 30)):
            quantised = gguf.quants.quantize(rows, kind)
            writer.add_tensor(f"quantised.{kind.name}", quantised, raw_dtype=kind)
        for kind in map(gguf.GGMLQuantizationType, (10, 11, 12, 13, 14, 23)):
            width = gguf.constants.GGML_QUANT_SIZES[kind][1]
            raw = numpy.zeros((4, width), numpy.uint8)
            writer.add_tensor(f"raw.{kind.name}", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("alignment", [0, 8, 4096])
def test_gguf_of_its_own_package_is_read_right(tmp_path: Path, alignment: int) -> None:
    path = tmp_path / "x.gguf"
    written(path, "<", alignment=alignment)
    reader = package("gguf").GGUFReader(path)
    dtypes: dict[str, int] = {}
    for each in reader.tensors:
        kind = each.tensor_type.name
        dtypes[kind] = dtypes.get(kind, 0) + int(each.n_elements)
    assert len(dtypes) == 14
    found = facts(path.read_bytes(), "x.gguf")
    assert found == Facts(
        {
            "format": "gguf",
            "tensors": len(reader.tensors),
            "parameters": sum(dtypes.values()),
            "dtypes": dtypes,
            "architecture": "flux",
            "title": "A name",
            "author": "An author",
            "description": "What it is",
            "license": "apache-2.0",
            "kind": "diffusion model",
            "quantization": "Q4_K_M",
        }
    )
    end = max(each.data_offset + int(each.n_bytes) for each in reader.tensors)
    assert gguf_end(path.read_bytes()) == end


def test_big_endian_gguf_is_read_as_well(tmp_path: Path) -> None:
    written(tmp_path / "x.gguf", ">")
    found = facts((tmp_path / "x.gguf").read_bytes(), "x.gguf")
    assert found.problem == ""
    assert found.model["byte_order"] == "big"
    assert found.model["dtypes"] == {"F16": 1024, "F32": 1024}
    assert found.model["quantization"] == "Q4_K_M"


def test_without_a_file_type_the_commonest_type_stands_for_it() -> None:
    rows = [("a", (64,), 8, 0), ("b", (32,), 2, 96)]
    found = facts(gguf_file([("general.file_type", 4, 9999)], rows, 200), "x.gguf")
    assert found.model["quantization"] == "Q8_0"
    assert pairs(("general.file_type", 4, 1024 | 7))["quantization"] == "Q8_0"


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_versions_orders_and_types_of_values_are_read(version: int, order: str) -> None:
    rows: list[tuple[str, int, Any]] = [
        *((f"{kind}", kind, 1) for kind in (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12)),
        *((f"array {kind}", 9, [kind, [1] * 5]) for kind in (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12)),
        ("texts", 9, [8, ["a", "", "b" * 70_000]]),
        ("nested", 9, [9, [[8, ["a"]], [9, [[4, [1]]]]]]),
        ("empty", 9, [8, []]),
        ("general.description", 9, [8, ["not a text"]]),
        ("general.name", 8, "last"),
    ]
    data = gguf_file(rows, [("a", (4, 2), 0, 0)], 32, version=version, order=order)
    found = facts(data, "x.gguf")
    assert found.problem == ""
    assert found.model["title"] == "last"
    assert "description" not in found.model
    assert found.model["parameters"] == 8


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (("general.architecture", 8, "t5"), {"architecture": "t5", "kind": "text encoder"}),
        (("general.architecture", 8, "wan"), {"architecture": "wan", "kind": "diffusion model"}),
        (("general.type", 8, "adapter"), {"kind": "lora"}),
        (("general.type", 8, "mmproj"), {"kind": "clip vision"}),
        (("general.base_model.0.name", 8, "B"), {"base_model": "B"}),
        (("general.name", 8, b"gro\xdf"), {"title": "gro\ufffd"}),
        (("general.name", 4, 7), {"title": "7"}),
        (("general.file_type", 8, "text"), {}),
        (("general.file_type", 11, -1), {}),
    ],
)  # fmt: skip
def test_pairs_become_facts(row: tuple[str, int, Any], found: dict[str, Any]) -> None:
    assert pairs(row) == {"format": "gguf", "tensors": 0, "parameters": 0} | found


def counts(tensors: int, kv: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, kv)


ONE_PAIR = counts(0, 1) + struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (counts(2**63, 0), "claims to have 9223372036854775808 tensors"),
        (counts(0, 2**64 - 1), "18446744073709551615 pairs"),
        (counts(0, 0, version=0), "version 0"),
        (counts(0, 0, version=77_777), "version 77777"),
        (counts(0, 1) + struct.pack("<Q", 2**63), "bytes in a name"),
        (counts(0, 1) + struct.pack("<Q", 70_000) + bytes(80_000), "name of 70000 bytes"),
        (counts(0, 1) + struct.pack("<Q", 1) + b"\xff" + bytes(9), "not valid UTF-8"),
        (ONE_PAIR + struct.pack("<I", 13), "unknown type 13"),
        (ONE_PAIR + struct.pack("<I", 2**32 - 1), "unknown type 4294967295"),
        (ONE_PAIR + struct.pack("<IQ", 8, 2**62), "bytes in a text"),
        (ONE_PAIR + struct.pack("<IIQ", 9, 4, 2**63), "members in an array"),
        (ONE_PAIR + struct.pack("<IIQQ", 9, 8, 2, 2**63), "bytes in a text"),
        (ONE_PAIR + struct.pack("<IIQ", 9, 77, 1), "unknown type 77"),
        (ONE_PAIR + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50, "unknown type 9"),
        (gguf_file([("a", 4, 1), ("a", 4, 1)]), "the name 'a' twice"),
        (gguf_file([], [("a", (1,), 0, 0), ("a", (1,), 0, 32)], 64), "the name 'a' twice"),
        (gguf_file([], [("a", (1,) * 9, 0, 0)], 64), "has 9 dimensions"),
        (gguf_file([], [("a", (2**63,), 0, 0)], 64), "more elements than any file"),
        (gguf_file([], [("a", (2**40, 2**40), 0, 0)], 64), "more elements than any file"),
        (gguf_file([], [("a", (2**62,), 0, 0)], 64), "at the invalid offset 0"),
        (gguf_file([], [("a", (33,), 8, 0)], 64), "not whole blocks of Q8_0"),
        (gguf_file([], [("a", (1,), 1000, 0)], 64), "unknown type 1000"),
        (gguf_file([], [("a", (1,), 0, 4)], 64), "invalid offset 4"),
        (gguf_file([], [("a", (1,), 0, 2**63)], 64), "invalid offset 9223372036854775808"),
        (gguf_file([], [("a", (16,), 0, 0), ("b", (1,), 0, 32)], 64), "overlap at byte"),
        (gguf_file([("general.alignment", 4, 0)]), "not a power of two"),
        (gguf_file([("general.alignment", 4, 24)]), "not a power of two"),
        (gguf_file([("general.alignment", 10, 32)]), "not a power of two"),
        (gguf_file([], [(f"{n}", (2**58,), 999, 32 * n) for n in range(20)], 999), "more elements"),
        (b"not a gguf at all", "does not begin like gguf"),
    ],
)
def test_a_gguf_that_breaks_the_format_is_damaged(data: bytes, words: str) -> None:
    found = facts(data, "x.gguf")
    assert found.status == "damaged"
    assert words in found.problem
    assert "tensors" not in found.model


def test_without_data_no_padding_need_follow() -> None:
    for tensors in ([], [("a", (0,), 0, 0)]):
        whole = gguf_file([("general.name", 8, "vocabulary")], tensors, alignment=1)
        assert len(whole) % 32
        assert facts(whole, "x.gguf").problem == ""


@pytest.mark.parametrize(
    "value",
    [
        struct.pack("<IQ", 8, 2**20),
        struct.pack("<IIQ", 9, 6, 2**20),
        struct.pack("<IIQQ", 9, 8, 1, 2**30),
    ],
    ids=["text", "numbers", "texts"],
)
def test_a_value_that_ends_behind_the_file_is_truncated(value: bytes) -> None:
    found = facts(counts(1, 1) + struct.pack("<Q", 1) + b"k" + value + bytes(6000), "x.gguf")
    assert found.status == "truncated"
    assert "within its header" in found.problem


def test_a_type_or_version_to_come_is_no_fault() -> None:
    found = facts(gguf_file([], [("a", (7,), 99, 0)], 64), "x.gguf")
    assert found.status == ""
    assert found.model["dtypes"] == {"type 99": 7}
    found = facts(counts(0, 0, version=4), "x.gguf")
    assert found == Facts(
        {"format": "gguf", "unread": "Version 4 of GGUF is newer than what can be read."}
    )


def test_a_gguf_larger_than_what_is_read_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[str, int, Any]] = [
        ("general.name", 8, "N"),
        ("tokens", 9, [8, ["x" * 1000] * 1000]),
    ]
    data = gguf_file(rows, [("a", (8,), 0, 0)], 32)
    assert facts(data, "x.gguf").model["tensors"] == 1
    monkeypatch.setattr(gguf_header, "MOST_READ", 500_000)
    found = facts(data, "x.gguf")
    assert found.status == ""
    assert found.model == {
        "format": "gguf",
        "title": "N",
        "unread": "The header is larger than the 500000 bytes that are read.",
    }
    monkeypatch.undo()
    monkeypatch.setattr(gguf_header, "MOST_ITEMS", 1)
    assert facts(data, "x.gguf").model["unread"].startswith("The header has 2 pairs")


def test_arrays_of_numbers_are_not_even_read() -> None:
    data = gguf_file([("scores", 9, [6, [0.0] * 500_000]), ("general.name", 8, "N")])
    read_at = Counted(data)
    assert facts_of("x.gguf", len(data), read_at).model["title"] == "N"
    assert read_at.bytes_read < 600_000


# Other formats, and what is none


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.ckpt", CORPUS["old.ckpt"], ("pytorch (pickle)", "")),
        ("a.pkl", b"\x80\x04\x95\x00", ("pickle", "")),
        ("a.pt", zip_file(), ("pytorch (pickle in zip)", "")),
        ("a.pt", zip_file(b"PK\5\6 comment"), ("pytorch (pickle in zip)", "")),
        ("a.pth", zip_file(is_64=True), ("pytorch (pickle in zip)", "")),
        ("a.pt2", zip_file()[:-1], ("pytorch (pickle in zip)", "truncated")),
        ("a.bin", zip_file()[:-30] + bytes(200_000), ("pytorch (pickle in zip)", "truncated")),
        ("a.bin", zip_file()[:50] + zip_file()[80:], ("pytorch (pickle in zip)", "damaged")),
        ("a.bin", b"PK\3\4", ("pytorch (pickle in zip)", "truncated")),
        ("a.onnx", b"\x08\x07\x12\x07pytorch", ("onnx", "")),
        ("a.ggml", b"tjgg\3\0\0\0", ("ggml", "")),
        ("a.bin", b"anything else", (None, "")),
        ("a.ckpt", CORPUS["plain.safetensors"], ("safetensors", "")),
        ("a.bin", CORPUS["flux.gguf"], ("gguf", "")),
        ("a.safetensors", CORPUS["old.ckpt"], ("pytorch (pickle)", "damaged")),
        ("a.sft", zip_file(), ("pytorch (pickle in zip)", "damaged")),
        ("a.safetensors", CORPUS["flux.gguf"], ("gguf", "damaged")),
        ("a.gguf", CORPUS["plain.safetensors"], ("safetensors", "damaged")),
        ("a.gguf", b"GGUG" + bytes(40), (None, "damaged")),
        ("a.pt", b"", (None, "truncated")),
        ("a.pt", LFS, (None, "pointer")),
        ("a.safetensors", LFS.replace(b"\n", b"\r\n"), (None, "pointer")),
        ("a.gguf", b"version https://git-lfs.github.com/spec/v1\n", (None, "pointer")),
        ("a.pt", b"<!DOCTYPE html>\n<html>", (None, "page")),
        ("a.pt", b"\xef\xbb\xbf \r\n<HTML lang=en>" + b"x" * 9000, (None, "page")),
        ("a.gguf", b"\xff\xfe" + "<html>".encode("utf-16-le"), (None, "page")),
        ("a.pt", b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code>', (None, "page")),
        ("a.pt", b"<?xml version='1.0'?><ListBucketResult>", (None, "page")),
        ("a.pt", b"<!-- a --><!-- b -->\n<!--c--><html>", (None, "page")),
        ("a.pt", b"<!---->" * 600 + b"<p>", (None, "")),
        ("a.pt", b'{"error":"Repository not found"}', (None, "page")),
        ("a.sft", b'\n{ "message": "Unauthorized" }', (None, "page")),
        ("a.pt", b"{}", (None, "page")),
        ("a.pt", b"Entry not found", (None, "page")),
        ("a.safetensors", b"Access to model x is restricted. Please log in.", (None, "page")),
        ("a.pt", b"Access denied", (None, "page")),
        ("a.pt", b"Invalid username or password.", (None, "page")),
        ("a.pt", b"404: Not Found", (None, "page")),
        ("a.pt", b"Internal Server Error", (None, "page")),
        ("a.bin", b"123 words of a text", (None, "")),
        ("a.bin", b"forbidden\0", (None, "")),
        ("a.onnx", bytes(9), (None, "damaged")),
    ],
)
def test_what_a_file_is(name: str, data: bytes, expected: tuple[str | None, str]) -> None:
    found = facts(data, name)
    assert (found.model.get("format"), found.status) == expected


def test_a_pointer_says_what_it_points_to() -> None:
    found = facts(LFS)
    assert found.model == {"lfs_sha256": "0123456789abcdef" * 4, "lfs_size": 6938040682}
    assert "6938040682 bytes was not downloaded" in found.problem


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """This one would make a file."""
    evil = b"cposix\nsystem\n(S'touch " + str(tmp_path / "made").encode() + b"'\ntR."
    for data in (evil, b"\x80\x02" + evil):
        for name in ("a.pkl", "a.ckpt", "a.bin", "a.safetensors"):
            facts(data, name)
    assert list(tmp_path.iterdir()) == []


# Reading


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_files_are_read_through_the_file_system(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CORPUS[name])
    read = read_facts(DiskFileSystem(), str(tmp_path / name))
    assert read == FactsRead(
        len(CORPUS[name]), (tmp_path / name).stat().st_mtime_ns, facts(CORPUS[name], name)
    )


def test_short_reads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    files = FakeFileSystem()
    files.write("/lora.safetensors", CORPUS["lora.safetensors"])
    whole = read_facts(files, "/lora.safetensors")
    opened = files.open

    def slow(path: str) -> Any:
        file = opened(path)
        read = file.read
        file.read = lambda size=-1: read(min(size, 7))  # type: ignore[method-assign]
        return file

    monkeypatch.setattr(files, "open", slow)
    assert read_facts(files, "/lora.safetensors") == whole
    assert whole is not None
    assert whole.facts.model["kind"] == "lora"


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.write("/x.gguf", CORPUS["flux.gguf"] + b"more"),
        lambda files: files.write("/x.gguf", b"GGUF"),
        lambda files: files.write("/x.gguf", b""),
        lambda files: (files.advance(1), files.touch("/x.gguf")),
    ],
    ids=["grown", "shrunk", "emptied", "touched"],
)
def test_a_file_that_changes_while_it_is_read_has_no_facts(
    change: Callable[[FakeFileSystem], object],
) -> None:
    files = FakeFileSystem()
    files.write("/x.gguf", CORPUS["flux.gguf"])

    def meanwhile() -> None:
        change(files)
        files.faults.clear()

    files.faults["open", "/x.gguf"] = meanwhile
    assert read_facts(files, "/x.gguf") is None
    assert read_facts(files, "/x.gguf") is not None


@pytest.mark.parametrize("operation", ["stat", "open"])
def test_errors_of_the_file_system_pass(operation: str) -> None:
    files = FakeFileSystem()
    files.write("/x.pt", b"x")
    files.faults[operation, "/x.pt"] = errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        read_facts(files, "/x.pt")


@pytest.mark.parametrize("name", ["lora.safetensors", "flux.gguf", "new.pt", "old.ckpt"])
def test_errors_while_reading_pass(name: str) -> None:
    data = CORPUS[name]
    reads = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal reads
        reads -= 1
        if reads == 0:
            raise OSError(errno.ESTALE, "stale")
        return data[offset : offset + length]

    facts_of(name, len(data), read_at)
    for failing in range(1, 1 - reads):
        reads = failing
        with pytest.raises(OSError, match="stale"):
            facts_of(name, len(data), read_at)


def test_a_file_that_ends_within_its_header_before_its_size_is_truncated() -> None:
    for name, data in (("lora.safetensors", 28), ("flux.gguf", 352), ("new.pt", 40)):
        for length in range(4, len(CORPUS[name]) - data, 3):
            found = checked(name, CORPUS[name][:length], len(CORPUS[name]) + 5000)
            assert found.status == "truncated", (name, length)


def test_a_file_that_is_emptied_after_its_stat_is_truncated() -> None:
    assert checked("x.safetensors", b"", 100).status == "truncated"


def test_a_small_header_costs_one_read() -> None:
    data = CORPUS["lora.safetensors"]
    calls = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal calls
        calls += 1
        return data[offset : offset + length]

    facts_of("x.safetensors", len(data), read_at)
    assert calls == 1


# No harm


WIDE = b"\xf0\x9f\x98\x80"
TINY = b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'

# Text of a header, whether it is right, and what it costs beside itself in MiB.
NASTY: dict[str, tuple[Callable[[], bytes], bool, int]] = {
    # A tenth of what is read, and of its memory.
    "tensors": (lambda: joined(TINY % (n, n, n + 1) for n in range(10_000)), True, 3),
    "scattered": (lambda: joined(TINY % (n, 9999 - n, 10000 - n) for n in range(10_000)), True, 3),
    "escapes": (lambda: b'{"__metadata__":{"a":"' + b'\\"' * (8 * MIB - 20) + b'"}}', True, 1),
    "wide text": (
        lambda: b'{"__metadata__":{"modelspec.title":"' + WIDE * (4 * MIB - 20) + b'"}}', True, 1
    ),
    "long name": (lambda: b'{"' + WIDE * (4 * MIB - 20) + b'":0}', False, 1),
    "lists": (lambda: b'{"a":' + b"[" * (16 * MIB - 20), False, 1),
    "many lists": (lambda: b'{"a":[' + b"[]," * (5 * MIB), False, 1),
    "digits": (lambda: b'{"a":{"dtype":"U8","shape":[' + b"1" * (16 * MIB - 50), False, 1),
    "numbers": (lambda: b'{"a":{"dtype":"U8","shape":[' + b"1," * (8 * MIB - 50), False, 1),
    "metadata": (
        lambda: b'{"__metadata__":' + joined(b'"%d":""' % n for n in range(MIB)) + b"}", True, 12
    ),
    "tags": (
        lambda: b'{"__metadata__":{"ss_tag_frequency":"{'
        + b",".join(b'\\"%d\\":1' % n for n in range(900_000)) + b'}"}}', True, 6
    ),
    "spaces": (lambda: b"{" + b" " * (16 * MIB - 20) + b"}", True, 1),
}  # fmt: skip


def joined(members: Iterable[bytes]) -> bytes:
    return b"{" + b",".join(members) + b"}"


@pytest.mark.parametrize("name", NASTY)
def test_memory_stays_small_beside_the_header(name: str) -> None:
    text, is_right, most = NASTY[name]
    data = safetensors_file(text(), 10_000 if name in ("tensors", "scattered") else 0)
    largest = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal largest
        largest = max(largest, length)
        return data[offset : offset + length]

    tracemalloc.start()
    found = facts_of("x.safetensors", len(data), read_at)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.status == ("" if is_right else "damaged")
    assert peak - largest < most * MIB, f"{peak / MIB:.1f} MiB of {largest / MIB:.1f}"


@pytest.mark.parametrize(
    ("members", "count", "cell", "words"),
    [
        (8, 2**30, struct.pack("<Q", 0), "The header is larger than the"),
        (9, 2**30, struct.pack("<IQ", 4, 0), "The header has more than 100000 arrays in arrays."),
        (9, 2, struct.pack("<IQ", 9, 99_999), "The header has more than 100000 arrays in arrays."),
    ],
)
def test_a_vocabulary_without_end_ends(
    members: int, count: int, cell: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a terabyte of texts of no length, arrays of no members, arrays of arrays."""
    begin = ONE_PAIR + struct.pack("<IIQ", 9, members, count)
    whole = begin + cell * (2 * MIB // len(cell))
    total = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal total
        total += length
        if offset >= len(begin):
            offset = len(begin) + (offset - len(begin)) % len(cell)
        return whole[offset : offset + length]

    monkeypatch.setattr(gguf_header, "MOST_READ", 4 * MIB)
    tracemalloc.start()
    found = facts_of("x.gguf", 2**40, read_at)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.status == ""
    assert found.model["unread"].startswith(words)
    assert total < 5 * MIB
    assert peak < 2 * MIB


def test_no_mutant_does_harm() -> None:
    met = fuzz(5_000, seed=7)
    assert set(met) == {"", "truncated", "damaged", "pointer", "page"}
    assert min(met.values()) > 50


@settings(deadline=None)  # machines of tests are busy
@given(st.binary(max_size=300), st.sampled_from(["a.safetensors", "a.gguf", "a.pt", "a.bin"]))
def test_no_bytes_do_harm(data: bytes, name: str) -> None:
    for begin in (b"", b"GGUF\3\0\0\0", b"PK\3\4", len(data).to_bytes(8, "little") + b"{"):
        orjson.dumps(checked(name, begin + data).model)


@settings(deadline=None)  # machines of tests are busy
@given(st.integers(0, 2**20))
def test_places_of_tensors_are_found_whole_in_any_order(seed: int) -> None:
    """Spans that touch from 0 on are whole; with one moved they are not."""
    chance = random.Random(seed)
    edges = sorted(chance.sample(range(1, 1000), 5))
    spans = [begin << 64 | end for begin, end in pairwise([0, *edges])]
    chance.shuffle(spans)
    assert safetensors_header._data_end(list(spans)) == edges[-1]
    at = chance.randrange(5)
    if spans[at] & (2**64 - 1) != edges[-1]:
        del spans[at]
        with pytest.raises(ValueError, match="No tensor has the bytes"):
            safetensors_header._data_end(spans)
