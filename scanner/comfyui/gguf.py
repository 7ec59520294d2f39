"""The header of a GGUF file, versions 1 to 3, of either byte order.

The format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; limits as in its `gguf.cpp`):
magic, version, counts, typed key-value pairs, then names, shapes, types and offsets of the tensors,
then their data. The pairs contain the vocabulary of a text encoder, several MB of texts that are
not needed here. They are skipped with a small buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator, Mapping

from scanner.comfyui.tensors import LARGEST, add_once, data_end, elements_of, quoted

MAGIC = b"GGUF"

CHUNK = 256 * 1024
"""Bytes per read: a vocabulary takes some 40 reads."""

MOST_READ = 64 * 1024 * 1024
"""Most bytes read of one header; the largest vocabularies have some 10 MB."""

MOST_ITEMS = 100_000
"""Most pairs, tensors, and nested arrays that are read."""

MOST_LENGTH = 2**30
"""Most bytes of a text, and most members of an array, that ggml accepts."""

DEEPEST = 8
"""Most levels of nested arrays, and most dimensions of a tensor. ggml has no nested arrays and 4
dimensions."""

KNOWN_VERSIONS = range(1, 4)

PLAUSIBLE = 1000
"""Versions and tensor types below this may exist in future; others are damage."""

TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 28: ("F64", 1, 8),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 4: ("Q4_2", 16, 10), 5: ("Q4_3", 16, 12),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 29: ("IQ1_M", 256, 56),
    31: ("Q4_0_4_4", 32, 18), 32: ("Q4_0_4_8", 32, 18), 33: ("Q4_0_8_8", 32, 18),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 36: ("IQ4_NL_4_4", 32, 18),
    37: ("IQ4_NL_4_8", 32, 18), 38: ("IQ4_NL_8_8", 32, 18), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
"""Name, elements per block and bytes per block of each tensor type."""

FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 4: "Q4_1_SOME_F16", 5: "Q4_2", 6: "Q4_3",
    7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
    14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M",
    32: "BF16", 33: "Q4_0_4_4", 34: "Q4_0_4_8", 35: "Q4_0_8_8", 36: "TQ1_0", 37: "TQ2_0",
    38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0",
}  # fmt: skip
"""Names of `general.file_type`, as `llama_ftype` in llama.cpp."""

_FORMATS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIifBQqd", strict=True))
"""The `struct` code of each numeric value type (7 is a boolean of one byte)."""

_UINT32, _STRING, _ARRAY = 4, 8, 9

_ALIGNMENT = b"general.alignment"


class GgufHeader:
    """One header. Nothing is read before `tensors` is iterated over."""

    format = "gguf"

    def __init__(
        self, size: int, read_at: Callable[[int, int], bytes], wanted: Mapping[str, int]
    ) -> None:
        """`size` of the file in bytes; `wanted` metadata keys with the most bytes of each."""
        self.metadata: dict[str, str | int] = {}
        """The wanted texts and integers, filled while the tensors are iterated over."""
        self.end: int | None = None
        """Bytes that the file must have; None until the whole header was read and is valid."""
        self._reader = _Reader(size, read_at)
        self._wanted = {key.encode(): limit for key, limit in wanted.items()}
        self._alignment = 32

    def tensors(self) -> Iterator[tuple[bytes, str, tuple[int, ...], int]]:
        """Name, type, shape and number of elements of each tensor, in the header's order. A shape
        begins with the rows, as that of safetensors; in GGUF itself it ends with them.

        Raises EOFError if the file ends within the header, ValueError if the header breaks a rule
        of the format, OverflowError if it is valid so far but too large to read or of a newer
        version. Each has a sentence for people. OSError is passed on.
        """
        reader = self._reader
        if reader.take(4) != MAGIC:
            raise ValueError("The file does not begin with GGUF.")
        version = reader.number("I")
        if version and not version & 0xFFFF:
            # The format has no mark of the byte order. A version is small, so its zeros show it.
            reader.order = ">"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
            self.metadata["byte_order"] = "big"
        if not 0 < version < PLAUSIBLE:
            raise ValueError(f"The file claims to be version {version} of GGUF.")
        if version not in KNOWN_VERSIONS:
            raise OverflowError(f"Version {version} of GGUF is newer than what can be read.")
        if version == 1:
            reader.length = "I"
        tensors = reader.count("tensors")
        self._read_pairs(reader.count("pairs"))
        spans = yield from self._tensors(tensors)
        begin = -(-reader.position // self._alignment) * self._alignment
        data = data_end(spans)
        # Without data, no padding is needed.
        self.end = begin + data if data else reader.position

    def _read_pairs(self, count: int) -> None:
        seen: set[int] = set()
        for _ in range(_readable(count, "pairs")):
            key = self._reader.name()
            add_once(seen, key, MOST_ITEMS)
            kind = self._reader.number("I")
            limit = self._wanted.get(key, 0)
            if kind == _STRING and limit:
                self.metadata[key.decode()] = self._reader.string(limit)
            elif kind in _FORMATS:
                value = self._reader.number(_FORMATS[kind])
                if limit and isinstance(value, int):
                    self.metadata[key.decode()] = value
                if key == _ALIGNMENT:
                    if kind != _UINT32 or value < 1 or value & (value - 1):
                        raise ValueError("The alignment of the data is not a power of two.")
                    self._alignment = value
            else:
                self._reader.skip_value(kind)

    def _tensors(
        self, count: int
    ) -> Generator[tuple[bytes, str, tuple[int, ...], int], None, list[int]]:
        """Yield the tensors; return the span of the data of each (begin << 64 | end, bytes)."""
        reader = self._reader
        seen: set[int] = set()
        spans: list[int] = []
        for _ in range(_readable(count, "tensors")):
            name = reader.name()
            add_once(seen, name, MOST_ITEMS)
            dimensions = reader.number("I")
            if dimensions > DEEPEST:
                raise ValueError(f"Tensor {quoted(name)} has {dimensions} dimensions.")
            shape = [reader.number(reader.length) for _ in range(dimensions)]
            kind, offset = reader.number("I"), reader.number("Q")
            dtype, elements, size = _size(name, shape, kind)
            if offset + size > LARGEST or offset % self._alignment:
                raise ValueError(f"Tensor {quoted(name)} has data at the invalid offset {offset}.")
            spans.append(offset << 64 | offset + size)
            yield name, dtype, tuple(reversed(shape)), elements
        return spans


def _size(name: bytes, shape: list[int], kind: int) -> tuple[str, int, int]:
    """Type, elements and bytes of a tensor; 0 bytes if the type is unknown."""
    elements = elements_of(name, shape)
    if kind not in TYPES:
        if kind >= PLAUSIBLE:
            raise ValueError(f"Tensor {quoted(name)} has the unknown type {kind}.")
        return f"type {kind}", elements, 0
    dtype, block, width = TYPES[kind]
    if (shape[0] if shape else 1) % block:
        raise ValueError(f"Tensor {quoted(name)} has rows that are not whole blocks of {dtype}.")
    return dtype, elements, elements // block * width


def _readable(count: int, what: str) -> int:
    if count > MOST_ITEMS:
        raise OverflowError(f"The header has {count} {what}, more than the {MOST_ITEMS} read.")
    return count


class _Reader:
    """Reads numbers and texts of a file in order, through one buffer."""

    def __init__(self, size: int, read_at: Callable[[int, int], bytes]) -> None:
        self.position = 0
        self.order = "<"
        self.length = "Q"
        """The `struct` code of lengths: `I` in version 1."""
        self._size = size
        self._read_at = read_at
        self._buffer = b""
        self._begin = 0
        self._read = 0
        self._nested = 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes. Raises EOFError if the file ends before that."""
        at = self.position - self._begin
        if at + length > len(self._buffer):
            self._fill(length)
            at = 0
        self.position += length
        return self._buffer[at : at + length]

    def number(self, code: str) -> int:
        """The next number (an integer unless `code` is f or d)."""
        packed = struct.Struct(self.order + code)
        value: int = packed.unpack(self.take(packed.size))[0]
        return value

    def count(self, what: str) -> int:
        count = self.number(self.length)
        if count > MOST_LENGTH:
            raise ValueError(f"The header claims to have {count} {what}.")
        return count

    def name(self) -> bytes:
        length = self.count("bytes in a name")
        if length > 65535:
            raise ValueError(f"The header has a name of {length} bytes.")
        name = self.take(length)
        try:
            name.decode()
        except UnicodeDecodeError:
            raise ValueError("The header has a name that is not valid UTF-8.") from None
        return name

    def string(self, limit: int) -> str:
        """The first `limit` bytes of the next text."""
        length = self.count("bytes in a text")
        start = self.take(min(length, limit))
        self.skip(length - len(start))
        return start.decode("utf-8", "replace")

    def skip(self, length: int) -> None:
        self.position += length
        if self.position > self._size:
            raise self._ended()

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind in _FORMATS:
            self.skip(struct.calcsize(self.order + _FORMATS[kind]))
        elif kind == _STRING:
            self._skip_strings(1)
        elif kind == _ARRAY and depth < DEEPEST:
            members, count = self.number("I"), self.count("members in an array")
            if members in _FORMATS:
                self.skip(count * struct.calcsize(self.order + _FORMATS[members]))
            elif members == _STRING:
                self._skip_strings(count)
            else:
                self._nested += count
                if self._nested > MOST_ITEMS:
                    raise OverflowError(f"The header has more than {MOST_ITEMS} arrays in arrays.")
                for _ in range(count):
                    self.skip_value(members, depth + 1)
        else:
            raise ValueError(f"The header has a value of the unknown type {kind}.")

    def _skip_strings(self, count: int) -> None:
        """Skip `count` texts: a vocabulary has hundreds of thousands, too many for a call each."""
        packed = struct.Struct(self.order + self.length)
        width, length_at = packed.size, packed.unpack_from
        while count:
            if self.position + width > self._begin + len(self._buffer):
                self._fill(width)
            buffer, at = self._buffer, self.position - self._begin
            last = len(buffer) - width
            length = 0
            while count and at <= last:
                (length,) = length_at(buffer, at)
                at += width + length
                count -= 1
            if length > MOST_LENGTH:
                raise ValueError(f"The header claims to have {length} bytes in a text.")
            self.position = self._begin + at
            self.skip(0)

    def _fill(self, length: int) -> None:
        wanted = max(length, CHUNK)
        self._buffer = self._read_at(self.position, min(wanted, self._size - self.position))
        self._begin = self.position
        self._read += len(self._buffer)
        if len(self._buffer) < length:
            raise self._ended()
        if self._read > MOST_READ:
            raise OverflowError(f"The header is larger than the {MOST_READ} bytes that are read.")

    def _ended(self) -> EOFError:
        return EOFError(f"The file ends after {self._size} bytes, within its header.")
