"""Headers as no program writes them: `python -m tests.support.fuzz_headers 1000000 [seed]`.

A million takes two or three minutes. A case that fails is printed with its seed and its number, and
stands in the error as bytes.
"""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from scanner.comfyui.model_facts import HEAD, TEXT, WORD, WORDS, Facts, facts_of

# Files made by hand


def safetensors_file(header: dict[str, Any] | bytes, data: int = 0) -> bytes:
    """A file with this header, whatever it says, and so many bytes of data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def tensor(dtype: str, shape: Sequence[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def gguf_file(
    pairs: Sequence[tuple[str | bytes, int, Any]] = (),
    tensors: Sequence[tuple[str | bytes, Sequence[int], int, int]] = (),
    data: int = 0,
    *,
    version: int = 3,
    order: str = "<",
    alignment: int = 32,
) -> bytes:
    """Pairs are (key, type, value), of arrays [type of members, values]; tensors (name, dimensions,
    type, offset). The data, `data` bytes of them, are aligned."""
    length = "I" if version == 1 else "Q"

    def text(value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return struct.pack(order + length, len(raw)) + raw

    def packed(kind: int, value: Any) -> bytes:
        if kind == 8:
            return text(value)
        if kind == 9:
            members, values = value
            begin = struct.pack(order + "I" + length, members, len(values))
            return begin + b"".join(packed(members, each) for each in values)
        return struct.pack(order + dict(enumerate("BbHhIif?__Qqd"))[kind], value)

    parts = [b"GGUF", struct.pack(f"{order}I{length}{length}", version, len(tensors), len(pairs))]
    for key, kind, value in pairs:
        parts += [text(key), struct.pack(order + "I", kind), packed(kind, value)]
    for name, dimensions, kind, offset in tensors:
        code = f"{order}I{len(dimensions)}{length}IQ"
        parts += [text(name), struct.pack(code, len(dimensions), *dimensions, kind, offset)]
    whole = b"".join(parts)
    return whole + bytes(-len(whole) % alignment) + bytes(data)


def zip_file(comment: bytes = b"", *, is_64: bool = False) -> bytes:
    """An archive of one member, with the table of contents of a small or a large one."""
    name, content = b"archive/data.pkl", b"\x80\x02}."
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 4, 4, len(name), 0)
    table = struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 4, 4, len(name), 0, 0, 0, 0, 0, 0
    )
    body = local + name + content
    whole = body + table + name
    size, begin = len(table) + len(name), len(body)
    if is_64:
        record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, begin)
        whole, end = whole + record, len(whole)
        whole += struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
        size = begin = 0xFFFFFFFF
    return (
        whole + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size, begin, len(comment)) + comment
    )


LFS = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0123456789abcdef" * 4
    + b"\nsize 6938040682\n"
)  # fmt: skip

_METADATA = {
    "modelspec.title": "A title",
    "modelspec.trigger_phrase": "ohwx, style",
    "ss_tag_frequency": json.dumps({"10_cat": {"cat": 10, 'a "quoted" one': 3, "\u732b": 7}}),
    "sshs_model_hash": "0123456789abcdef" * 4,
    "sd_merge_models": json.dumps({"00": {"name": "one"}, "01": {"name": "two"}}),
    "modelspec.thumbnail": "data:image/jpeg;base64," + "QUJD" * 20,
}
_PAIRS: list[tuple[str, int, Any]] = [
    ("general.architecture", 8, "flux"),
    ("general.file_type", 4, 15),
    ("general.alignment", 4, 32),
    *((f"number.{kind}", kind, 1) for kind in (0, 1, 2, 3, 5, 6, 7, 10, 11, 12)),
    ("tokenizer.ggml.tokens", 9, [8, ["a", "b", "", "token"]]),
    ("tokenizer.ggml.scores", 9, [6, [0.5, 1.5]]),
    ("nested", 9, [9, [[8, ["x"]], [4, [1, 2]]]]),
]
_TENSORS = [("double_blocks.0.a", (256, 2), 12, 0), ("b", (8,), 0, 288)]

CORPUS: dict[str, bytes] = {
    "plain.safetensors": safetensors_file({"a": tensor("F16", [2, 3], 0, 12)}, 12),
    "lora.safetensors": safetensors_file(
        {
            "__metadata__": _METADATA,
            "lora_unet_a.lora_up.weight": tensor("F32", [4, 1], 0, 16),
            "lora_unet_a.lora_down.weight": tensor("BF16", [1, 4], 16, 24),
            "lora_unet_a.alpha": tensor("F32", [], 24, 28),
        },
        28,
    ),
    "small.sft": safetensors_file(
        {
            "x": tensor("F4", [4], 0, 2),
            "y": tensor("F6_E2M3", [4], 2, 5),
            "z": tensor("U8", [0], 5, 5),
        },
        5,
    ),
    "empty.safetensors": safetensors_file(b"{}"),
    "flux.gguf": gguf_file(_PAIRS, _TENSORS, 320),
    "one.gguf": gguf_file(_PAIRS[:2], [("a", (32,), 8, 0)], 64, version=1),
    "big.gguf": gguf_file(_PAIRS, _TENSORS, 320, order=">"),
    "old.ckpt": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + bytes(60),
    "new.pt": zip_file(),
    "large.pth": zip_file(b"a comment", is_64=True),
    "pointer.bin": LFS,
    "page.safetensors": b"\xef\xbb\xbf<!-- x --><!DOCTYPE html><html><title>404</title></html>",
    "error.ckpt": b'{"error": "Access denied"}',
    "text.pth": b"Entry not found",
    "zeros.safetensors": bytes(200),
}  # fmt: skip


# What must hold of every answer

_STATUSES = {"", "truncated", "damaged", "pointer", "page"}
_TEXTS = {
    "format", "architecture", "base_model", "title", "author", "description", "quantization",
    "autov3", "license", "resolution", "air", "kind", "byte_order", "unread", "lfs_sha256",
    "made_from", "family", "precision", "evidence",
}  # fmt: skip
_NUMBERS = {"tensors", "parameters", "lfs_size"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SENTENCE = re.compile(r"(?:The|Tensor|No|A) [^\n]{5,600}\.", re.DOTALL)

MOST_SECONDS = 2.0
"""Of processor time for one case; they take less than a thousandth of it."""


class Counted:
    """`read_at` of bytes in memory, with what was asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0

    def __call__(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert 0 <= length <= 2**27, "asked for more than a header may have"
        piece = self.data[offset : offset + length]
        self.bytes_read += len(piece)
        return piece


def checked(name: str, data: bytes, size: int | None = None) -> Facts:
    """The facts, after everything that holds of all of them has been found to hold."""
    read_at = Counted(data)
    started = time.process_time()
    facts = facts_of(name, len(data) if size is None else size, read_at)
    seconds = time.process_time() - started
    assert seconds < MOST_SECONDS, f"took {seconds:.1f} s"
    assert read_at.bytes_read <= 2 * len(data) + HEAD + 70_000
    assert type(facts) is Facts
    assert facts.status in _STATUSES
    assert bool(facts.status) == bool(facts.problem)
    assert not facts.problem or _SENTENCE.fullmatch(facts.problem), facts.problem
    orjson.dumps(facts.model)
    model = dict(facts.model)
    words = model.pop("trigger_words", [])
    assert len(words) <= WORDS
    families = model.pop("family", "") if isinstance(model.get("family"), list) else []
    assert all(type(family) is str and family for family in families)
    for word in words:
        assert 0 < len(word) <= WORD
        assert not _CONTROLS.search(word)
    dtypes = model.pop("dtypes", {})
    assert sum(dtypes.values()) == model.get("parameters", 0)
    assert len(dtypes) <= 1000
    for fact, value in model.items():
        if fact in _NUMBERS:
            assert type(value) is int
            assert value >= 0
        else:
            assert fact in _TEXTS
            assert type(value) is str
            assert 0 < len(value) <= TEXT
            assert not _CONTROLS.search(value)
    return facts


# How headers are spoiled

_WHOLE_NUMBERS = [
    0, 1, 2, 7, 8, 9, 31, 32, 255, 256, 1024, 65535, 65536, 100_000, 100_001, 100_000_000,
    100_000_001, 2**30, 2**30 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1,
    2**63, 2**64 - 1,
]  # fmt: skip
_WRITTEN = [
    *(str(number).encode() for number in _WHOLE_NUMBERS),
    b"-1", b"-0", b"01", b"1.0", b"1e3", b"1e999", b"NaN", b"-Infinity", b"9" * 19, b"9" * 21,
    b"1" + b"0" * 4000, b"true", b"null", b'""', b"[]", b"{}",
]  # fmt: skip
_BYTES = b'\x00\x01\x7f\x80\xff"\\{}[],: \n\t<-'
_VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**63, 2**64, 10**400, 1.5, float("nan"), "", "F16", "F99", "\ud800",
    "\x00", "\u202e", "x" * 3000, [], {}, [[]], [-1], [2**63, 2**63], [0, 2**64], {"a": {}},
]  # fmt: skip

Mutation = Callable[[random.Random, bytearray], None]


def _flip(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray) -> None:
    data[chance.randrange(len(data))] = chance.choice(_BYTES)


def _cut(chance: random.Random, data: bytearray) -> None:
    del data[chance.randrange(len(data)) :]


def _remove(chance: random.Random, data: bytearray) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, 33)]


def _repeat(chance: random.Random, data: bytearray) -> None:
    start, at = chance.randrange(len(data)), chance.randrange(len(data))
    data[at:at] = data[start : start + chance.randrange(1, 65)] * chance.choice([1, 1, 2, 50])


def _splice(chance: random.Random, data: bytearray) -> None:
    other = chance.choice(list(CORPUS.values()))
    start, at = chance.randrange(len(other)), chance.randrange(len(data))
    data[at : at + chance.choice([0, 32])] = other[start : start + chance.randrange(1, 200)]


def _extend(chance: random.Random, data: bytearray) -> None:
    data += bytes(chance.choice([1, 7, 8, 32, 1000]))


def _number(chance: random.Random, data: bytearray) -> None:
    width, order = chance.choice([(4, "little"), (8, "little"), (8, "big")])
    at = chance.choice([0, 4, 8, 16, chance.randrange(len(data))])
    value = chance.choice(_WHOLE_NUMBERS) % 2 ** (8 * width)
    data[at : at + width] = value.to_bytes(width, order)


def _digits(chance: random.Random, data: bytearray) -> None:
    found = list(re.finditer(rb"\d+", data))
    if found:
        match = chance.choice(found)
        other = chance.choice(found)[0] if chance.random() < 0.3 else chance.choice(_WRITTEN)
        data[match.start() : match.end()] = other
        _right_length(data, len(other) - len(match[0]))


def _right_length(data: bytearray, more: int) -> None:
    """Makes what follows the length the header again, so that the mutation is met."""
    length = int.from_bytes(data[:8], "little") + more
    if 0 <= length < 2**63 and data[8:9] == b"{":
        data[:8] = length.to_bytes(8, "little")


def _json(chance: random.Random, data: bytearray) -> None:
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        return
    for _ in range(chance.randrange(1, 4)):
        header = _spoiled(chance, header)
    text = json.dumps(header)
    if chance.random() < 0.2:  # a name twice
        text = text.replace('"y"', '"x"').replace('"shape"', '"dtype"', 1)
    if chance.random() < 0.05:
        text = text.replace("1", "[" * 5000 + "]" * 5000, 1)
    raw = text.encode("utf-8", "surrogatepass")
    data[:] = len(raw).to_bytes(8, "little") + raw + data[8 + length :]


def _spoiled(chance: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        match chance.randrange(6):
            case 0:
                del value[key]
            case 1:
                value[str(chance.choice(["", "__metadata__", "a", "shape", "\ud800"]))] = value.pop(
                    key
                )
            case _:
                value[key] = _spoiled(chance, value[key])
        return value
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        value[at] = _spoiled(chance, value[at])
        return value
    if isinstance(value, int) and chance.random() < 0.5:
        return value + chance.choice([-1, 1, 8])
    return copy.deepcopy(chance.choice(_VALUES))


MUTATIONS: list[Mutation] = [
    _flip, _set, _cut, _remove, _repeat, _splice, _extend, _number, _digits, _json, _json,
]  # fmt: skip


def mutant(chance: random.Random, data: bytes) -> bytes:
    """`data` after one to four mutations."""
    spoiled = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        if spoiled:
            chance.choice(MUTATIONS)(chance, spoiled)
    return bytes(spoiled[:100_000])


def fuzz(count: int, seed: int) -> Counter[str]:
    """Checks `count` mutants of the corpus; raises AssertionError with the first that fails.

    Returns how often each status was met.
    """
    names = list(CORPUS)

    def case(chance: random.Random) -> Tried:
        name = chance.choice(names)
        data = mutant(chance, CORPUS[name])
        if chance.random() < 0.1:
            name = chance.choice(names)
        # A file may shrink or grow between its stat and its reading.
        size = len(data) + chance.choice([0, 0, 0, 0, 0, 0, 1, 4096, 2**40, -(len(data) // 2)])
        return f"{name}, {size} bytes", data, lambda: checked(name, data, size).status

    return tried(count, seed, case)


Tried = tuple[str, bytes, Callable[[], str]]
"""One case: its name in messages, what is read, and a check that returns the outcome."""


def tried(count: int, seed: int, case: Callable[[random.Random], Tried]) -> Counter[str]:
    """Check `count` cases; raises AssertionError with the first that fails. How often each outcome
    was met."""
    met: Counter[str] = Counter()
    for number in range(count):
        name, data, check = case(random.Random(f"{seed}/{number}"))
        try:
            met[check()] += 1
        except Exception as error:
            raise AssertionError(
                f"seed {seed}, case {number}, {name}: {error!r}: {data!r}"
            ) from error
    return met


def main(fuzz: Callable[[int, int], Counter[str]]) -> None:
    """Run `fuzz` as the command line says, and print the outcomes."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    begun = time.monotonic()
    outcomes = fuzz(cases, first)
    print(f"{cases} cases in {time.monotonic() - begun:.0f} s, seed {first}: {dict(outcomes)}")


if __name__ == "__main__":
    main(fuzz)
