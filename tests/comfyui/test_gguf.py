"""Headers of GGUF are read as the format's own package reads them."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from scanner.comfyui import gguf as gguf_header
from scanner.comfyui.gguf import FILE_TYPES, TYPES
from scanner.comfyui.model_facts import Facts, facts_of
from tests.support.fuzz_headers import Counted, gguf_file
from tests.support.headers import MIB, facts, gguf_end, package, pairs

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
            "evidence": "metadata",
            "precision": "Q4_K_M",
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
        (("general.architecture", 8, "t5"),
         {"architecture": "t5", "kind": "text encoder", "evidence": "metadata"}),
        (("general.architecture", 8, "wan"),
         {"architecture": "wan", "kind": "diffusion model", "evidence": "metadata"}),
        (("general.type", 8, "adapter"), {"kind": "lora", "evidence": "metadata"}),
        (("general.type", 8, "mmproj"), {"kind": "clip vision", "evidence": "metadata"}),
        (("general.base_model.0.name", 8, "B"), {"made_from": "B"}),
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
