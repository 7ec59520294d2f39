"""Headers of safetensors are read as the format's own package reads them."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.comfyui import safetensors as safetensors_header
from scanner.comfyui.model_facts import Facts, facts_of
from scanner.comfyui.safetensors import BITS, LONGEST_HEADER
from tests.support.fuzz_headers import CORPUS, mutant, safetensors_file, tensor
from tests.support.headers import MIB, facts, model, package

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
            "evidence": "tensors",
            "precision": "fp16",
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
        found = facts(data)
        if found.status:
            with pytest.raises(Exception):  # noqa: B017 (of its own kind)
                deserialize(data)
        elif found.model.get("dtypes", {}).keys() <= BITS.keys() and "unread" not in found.model:
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


def entry_with(more: bytes) -> bytes:
    """A header of one tensor whose entry has this besides."""
    return b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],' + more + b"}}"


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
    ("header", "data", "words"),
    [
        ({"a": tensor("F16", [2], 0, 4)}, 5, "more than the"),
        ({"a": tensor("F16", [2], 0, 3)}, 3, "3 bytes, but 2 elements of 16 bits"),
        ({"a": tensor("F4", [3], 0, 1)}, 1, "1 bytes, but 3 elements of 4 bits"),
        ({"a": tensor("F16", [-2], 0, 4)}, 4, "no valid dtype"),
        ({"a": tensor("F16", [2.0], 0, 4)}, 4, "no valid dtype"),  # type: ignore[list-item]
        ({"a": tensor("F16", [True], 0, 2)}, 4, "no valid dtype"),
        ({"a": tensor("F16", [10**4000], 0, 4)}, 4, "more elements than any file"),
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
        (b'{"__metadata__":{},"__metadata__":{}}', 0, "the metadata twice"),
        ({"a": tensor("f16?", [2], 0, 4)}, 4, "no valid dtype"),
        (
            {str(n): tensor(f"N{n:02}", [0], 0, 0) for n in range(17)},
            0,
            "Tensor '16' has one more unknown dtype",
        ),
        (entry_with(b'"x":"\\ud800"'), 0, "no valid dtype"),
        (entry_with(b'"x":NaN'), 0, "no valid dtype"),
        (entry_with(b'"x":1e999'), 0, "no valid dtype"),
        (entry_with(b'"dtype":"U8"'), 0, "no valid dtype"),
        (entry_with(b'"x":' + b"[" * 126 + b"]" * 126), 0, "no valid dtype"),
        (entry_with(b'"x":"'), 0, "no valid dtype"),
        (b'{"a":["U8",[-0],[0,0]]}', 0, "no valid dtype"),
        (b'{"a":["U8",[0]]}', 0, "no valid dtype"),
        (b'{"a":["U8",[true],[0,0]]}', 0, "no valid dtype"),
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


ONE = b'"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": {**tensor("F16", [2], 0, 4), "more": 1}}, 4),
        (
            {"a": {**tensor("F16", [2], 0, 4), "a\u732b": {"b": [None, "]}", -1.5, {"c": '\\"'}]}}},
            4,
        ),
        (entry_with(b'"x":1,"x":2'), 0),
        (entry_with(b'"x":"' + b"y" * 5000 + b'"'), 0),
        (entry_with(b'"x":' + b"[" * 125 + b"]" * 125), 0),
        (b'{"a":["U8",[0],[0,0]]}', 0),
        (b'{"a":{"d\\u0074ype":"\\u00558","shape":[0],"data_offsets":[0,0]}}', 0),
        ({"a": tensor("F16", [1] * 33, 0, 2)}, 2),
        (b" {" + ONE + b"}", 0),
        (b"\n\t\r {}", 0),
        (b"{" + ONE + b"," + ONE + b"}", 0),
        (b"{" + ONE + b"," + ONE.replace(b'"a"', b'"\\u0061"') + b"}", 0),
        (b'{"__metadata__":{"a":"1","a":"2"}}', 0),
        (b'{"' + b"x" * 70_000 + ONE[2:] + b"}", 0),
    ],
)
def test_what_the_package_opens_is_not_damaged(header: dict[str, Any] | bytes, data: int) -> None:
    whole = safetensors_file(header, data)
    package("safetensors").deserialize(whole)
    assert facts(whole).status == ""
    # And the rest of the checks goes on.
    if data:
        assert facts(whole[:-1]).status == "truncated"
        assert facts(whole + b"x").status == "damaged"


def test_the_last_of_a_name_twice_counts_as_in_the_package() -> None:
    deserialize = package("safetensors").deserialize
    first = b'{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]},'
    right = safetensors_file(first + b'"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2)
    deserialize(right)
    assert facts(right).status == ""
    wrong = safetensors_file(first + b'"a":{"dtype":"U8","shape":[2],"data_offsets":[7,9]}}', 9)
    with pytest.raises(Exception, match="offset"):
        deserialize(wrong)
    assert facts(wrong).status == "damaged"


def test_a_dtype_of_a_later_package_is_no_damage() -> None:
    whole = safetensors_file({"a": tensor("F99", [2], 0, 4), "b": tensor("U8", [1], 4, 5)}, 5)
    assert facts(whole).status == ""
    assert facts(whole).model["dtypes"] == {"F99": 2, "U8": 1}
    assert facts(whole[:-1]).status == "truncated"


def test_an_entry_larger_than_what_is_read_is_no_fault() -> None:
    whole = safetensors_file({"a": {"more": "x" * 70_000, **tensor("U8", [1], 0, 1)}}, 1)
    package("safetensors").deserialize(whole)
    found = facts(whole)
    assert found.status == ""
    assert "more than the 65536 bytes" in found.model["unread"]


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


# No harm


WIDE = b"\xf0\x9f\x98\x80"
TINY = b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}'

# Text of a header, whether no fault is found in what is read of it, and what it costs beside itself
# in MiB.
NASTY: dict[str, tuple[Callable[[], bytes], bool, int]] = {
    # A tenth of what is read, and of its memory.
    "tensors": (lambda: joined(TINY % (n, n, n + 1) for n in range(10_000)), True, 3),
    "scattered": (lambda: joined(TINY % (n, 9999 - n, 10000 - n) for n in range(10_000)), True, 3),
    "escapes": (lambda: b'{"__metadata__":{"a":"' + b'\\"' * (8 * MIB - 20) + b'"}}', True, 1),
    "wide text": (
        lambda: b'{"__metadata__":{"modelspec.title":"' + WIDE * (4 * MIB - 20) + b'"}}', True, 1
    ),
    "long name": (lambda: b'{"' + WIDE * (4 * MIB - 20) + b'":0}', True, 1),
    "lists": (lambda: b'{"a":' + b"[" * (16 * MIB - 20), False, 1),
    "many lists": (lambda: b'{"a":[' + b"[]," * (5 * MIB), True, 1),
    "digits": (lambda: b'{"a":{"dtype":"U8","shape":[' + b"1" * (16 * MIB - 50), True, 1),
    "numbers": (lambda: b'{"a":{"dtype":"U8","shape":[' + b"1," * (8 * MIB - 50), True, 1),
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
