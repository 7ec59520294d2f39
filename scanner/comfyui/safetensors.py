"""The header of a safetensors file, checked as strictly as by the format's own library.

The format (https://github.com/huggingface/safetensors, README and `tensor.rs`): eight bytes with
the length of a JSON object, the object, then the tensors' data without holes or overlaps to the end
of the file. Patterns read the object instead of a JSON parser: a parser builds a tree that may be
many times as large as the text. Only an entry of a rare form is parsed by itself.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TypeGuard

from scanner.comfyui.tensors import LARGEST, data_end, elements_of, end_of, quoted, too_many

LONGEST_HEADER = 100_000_000
"""Most bytes of a header in the format."""

MOST_READ = 16 * 1024 * 1024
"""Most bytes of a header that are read. Headers of models with 5,000 tensors are under 1 MB;
larger ones contain pictures."""

MOST_TENSORS = 100_000
"""Most tensors whose spans are kept, at some 150 bytes each."""

LONGEST_NAME = 65535
"""Most bytes of a name that is read; safetensors has no limit."""

LONGEST_ENTRY = 65536
"""Most bytes that are read of one tensor's entry in a rare form."""

BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Bits per element of each dtype in safetensors 0.8."""

MOST_DIMENSIONS = 64
"""Most dimensions of a tensor that are read; safetensors has no limit."""

MOST_UNKNOWN = 16
"""Most dtypes in one header that are not among these: more are damage."""


class SafetensorsHeader:
    """One header. Nothing is read before `tensors` is iterated over."""

    format = "safetensors"

    def __init__(
        self, size: int, read_at: Callable[[int, int], bytes], wanted: Mapping[str, int]
    ) -> None:
        """`size` of the file in bytes; `wanted` metadata keys with the most bytes of each."""
        self.metadata: dict[str, str | int] = {}
        """The wanted metadata, filled while the tensors are iterated over."""
        self.end: int | None = None
        """Bytes that the file must have; None until the whole header was read and is valid."""
        self._size = size
        self._read_at = read_at
        self._wanted = {key.encode(): limit for key, limit in wanted.items()}

    def tensors(self) -> Iterator[tuple[bytes, str, tuple[int, ...], int]]:
        """Name, dtype, shape and number of elements of each tensor, in the header's order.

        Raises EOFError if the file ends within the header, ValueError if the header breaks a rule
        of the format, OverflowError if it is valid so far but too large to read. Each has a
        sentence for people. OSError is passed on.
        """
        length, text = self._text()
        try:
            spans = yield from self._entries(text)
        except ValueError:
            if len(text) == length:
                raise
            raise OverflowError(
                f"The header has {length} bytes, more than the {MOST_READ} that are read."
            ) from None
        self.end = 8 + length + _data_end(spans)

    def _text(self) -> tuple[int, bytes]:
        """The declared length of the header, and the part of its text that is read."""
        start = self._read_at(0, 9)
        if len(start) < 9:
            raise EOFError(f"The file ends after {self._size} bytes, before its header.")
        length = int.from_bytes(start[:8], "little")
        if not any(start[:8]):
            raise ValueError(
                "The file begins with zeros in place of a header: unfinished or lost data."
            )
        if length > LONGEST_HEADER:
            raise ValueError(
                f"The file declares a header of {length} bytes; the format allows {LONGEST_HEADER}."
            )
        if start[8:] not in _BEGINNINGS:
            raise ValueError("The header does not begin with a brace, as the format requires.")
        if 8 + length > self._size:
            raise EOFError(
                f"The file has {self._size} bytes, its header alone ends at {8 + length}."
            )
        wanted = min(length, MOST_READ)
        text = self._read_at(8, wanted)
        if len(text) < wanted:
            raise EOFError(f"The file ends after {8 + len(text)} bytes, within its header.")
        _check_utf8(text, is_whole=wanted == length)
        return length, text

    def _entries(
        self, text: bytes
    ) -> Generator[tuple[bytes, str, tuple[int, ...], int], None, list[int]]:
        """Yield the tensors; return the span of the data of each (begin << 64 | end, bytes)."""
        spans: list[int] = []
        places: dict[int, int] = {}
        opened = _OPEN.match(text)
        if opened is None:
            raise ValueError("The header does not begin with a brace, as the format requires.")
        at = opened.end()
        closed = _EMPTY.match(text)
        has_metadata = False
        unknown: set[str] = set()
        while closed is None:
            key = _KEY.match(text, at)
            if key is None:
                raise ValueError(f"The header is not a JSON object of tensors at byte {8 + at}.")
            name = _name(key, 1)
            if name == b"__metadata__":
                if has_metadata:
                    raise ValueError("The header has the metadata twice.")
                has_metadata = True
                at = self._take_metadata(text, key.end())
            else:
                dtype, lengths, elements, span, at = _tensor(name, text, key.end())
                if dtype not in BITS:
                    unknown.add(dtype)
                    if len(unknown) > MOST_UNKNOWN:
                        raise ValueError(f"Tensor {quoted(name)} has one more unknown dtype.")
                place = places.setdefault(hash(name), len(spans))
                if place < len(spans):
                    spans[place] = span  # a name twice: the library takes the last one
                elif place == MOST_TENSORS:
                    raise too_many(MOST_TENSORS)
                else:
                    spans.append(span)
                    yield name, dtype, lengths, elements
            separator = _SEPARATOR.match(text, at)
            if separator is None:
                raise ValueError(f"The header is not a JSON object of tensors at byte {8 + at}.")
            at = separator.end()
            if separator[1] == b"}":
                closed = separator
        if _TAIL.match(text, closed.end()) is None:
            raise ValueError("The header continues after its closing brace.")
        return spans

    def _take_metadata(self, text: bytes, at: int) -> int:
        """Keep the wanted metadata of the object at `at`; return the position after it."""
        seen: set[int] = set()
        empty = _NO_METADATA.match(text, at)
        if empty is not None:
            return empty.end()
        separator = b"{"
        while separator != b"}":
            member = _MEMBER.match(text, at)
            if member is None or member[1] != separator:
                raise ValueError("The metadata are not a JSON object of texts.")
            key = _name(member, 2)
            seen.add(hash(key))
            if len(seen) > MOST_TENSORS:
                raise too_many(MOST_TENSORS)
            limit = self._wanted.get(key)
            if limit is not None:
                self.metadata[key.decode()] = _string_start(text, member.start(3), limit)
            at = member.end()
            separator = b"}" if text[at : at + 1] == b"}" else b","
        return at + 1


_S = rb"[ \t\r\n]*+"

# Without lone surrogates, which no UTF-8 can hold.
_CHARACTERS = (
    rb'(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}'
    rb"|[dD][0-7][0-9a-fA-F]{2}|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+"
)

_STRING = rb'"' + _CHARACTERS + rb'"'

_NUMBER = rb"(?:0|[1-9][0-9]{0,19})" + _S

_NUMBERS = rb"\[" + _S + rb"((?:" + _NUMBER + rb"(?:," + _S + _NUMBER + rb"){0,31})?)\]"

_FIELD = (
    rb'"(dtype|shape|data_offsets)"' + _S + rb":" + _S
    + rb'(?:"([A-Z0-9_]{1,20})"|' + _NUMBERS + rb")" + _S
)  # fmt: skip

_FORMS = ((b"dtype", 0), (b"shape", 1), (b"data_offsets", 1))
"""The form of the value of each field: 0 for a text, 1 for numbers."""

_BEGINNINGS = (b"{", b" ", b"\t", b"\r", b"\n")
"""The format asks for a brace, the library also takes spaces before it."""

_OPEN = re.compile(_S + rb"\{")

_EMPTY = re.compile(_S + rb"\{" + _S + rb"\}")

_KEY = re.compile(_S + rb"(" + _STRING + rb")" + _S + rb":" + _S)

_TENSOR = re.compile(rb"\{" + _S + (rb"," + _S).join([_FIELD] * 3) + rb"\}")

_NO_METADATA = re.compile(rb"null|\{" + _S + rb"\}")

_MEMBER = re.compile(
    rb"([{,])" + _S + rb"(" + _STRING + rb")" + _S + rb":" + _S + rb"(" + _STRING + rb")" + _S
)

_SEPARATOR = re.compile(_S + rb"([,}])")

_TAIL = re.compile(_S + rb"\Z")

_PREFIX = re.compile(_CHARACTERS)


def _check_utf8(text: bytes, *, is_whole: bool) -> None:
    # In pieces: the decoded text may be four times as large.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), 65536):
            decoder.decode(text[start : start + 65536])
        decoder.decode(b"", final=is_whole)
    except UnicodeDecodeError:
        raise ValueError("The header is not valid UTF-8.") from None


def _name(match: re.Match[bytes], group: int) -> bytes:
    # Tested before the group is taken, because that makes a copy.
    if match.end(group) - match.start(group) > LONGEST_NAME:
        raise OverflowError(
            f"The header has a name of more than the {LONGEST_NAME} bytes that are read."
        )
    quoted = match[group]
    if b"\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted)).encode()
    except ValueError:
        raise ValueError("The header has a name that is not a JSON string.") from None


def _string_start(text: bytes, at: int, limit: int) -> str:
    """The first `limit` bytes of the JSON string at `at`."""
    start = _PREFIX.match(text, at + 1, at + 1 + limit)
    assert start is not None, "it also matches an empty text"
    # Not with orjson, which needs twelve times the memory of the text.
    try:
        return str(json.loads('"' + start[0].decode("utf-8", "ignore") + '"'))
    except ValueError:
        raise ValueError("A text in the metadata is not a JSON string.") from None


def _tensor(name: bytes, text: bytes, at: int) -> tuple[str, tuple[int, ...], int, int, int]:
    """dtype, shape, elements and span (begin << 64 | end) of the tensor at `at`, and the end of its
    text."""
    match = _TENSOR.match(text, at)
    parts = match.groups() if match is not None else (b"",) * 9
    fields = {parts[0]: parts[1:3], parts[3]: parts[4:6], parts[6]: parts[7:9]}
    dtype, shape, offsets = (fields.get(key, (None, None))[form] for key, form in _FORMS)
    if match is None or dtype is None or shape is None or offsets is None:
        return _checked(name, *_rare_entry(name, text, at))
    return _checked(name, dtype.decode(), _numbers(shape), _numbers(offsets), match.end())


def _checked(
    name: bytes, dtype: str, shape: list[int], offsets: list[int], end: int
) -> tuple[str, tuple[int, ...], int, int, int]:
    """The result of `_tensor`, of values that belong together."""
    bits = BITS.get(dtype)
    if bits is None and not _DTYPE.fullmatch(dtype):
        raise ValueError(f"Tensor {quoted(name)} has no valid dtype, shape and data_offsets.")
    if len(shape) > MOST_DIMENSIONS:
        raise OverflowError(
            f"Tensor {quoted(name)} has more than the {MOST_DIMENSIONS} dimensions that are read."
        )
    elements = elements_of(name, shape)
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= LARGEST:
        raise ValueError(f"Tensor {quoted(name)} has data_offsets that are not a begin and an end.")
    length = offsets[1] - offsets[0]
    if bits is not None and length * 8 != elements * bits:
        raise ValueError(
            f"Tensor {quoted(name)} has {length} bytes, but {elements} elements of {bits} bits."
        )
    return dtype, tuple(shape), elements, offsets[0] << 64 | offsets[1], end


_DTYPE = re.compile(r"[A-Z][A-Z0-9_]{1,19}")
"""The form of a dtype. A later version of the library may know one that is unknown here."""

_FIELDS = ("dtype", "shape", "data_offsets")

DEEPEST = 126
"""Most brackets in brackets of an entry; the library allows 127 in the whole header."""

_NESTED = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')


def _rare_entry(name: bytes, text: bytes, at: int) -> tuple[str, list[int], list[int], int]:
    """dtype, shape, data_offsets and end of an entry with further fields, or otherwise rare.

    The library takes fields of any name, escaped characters, and a list in place of an object.
    """
    wrong = ValueError(f"Tensor {quoted(name)} has no valid dtype, shape and data_offsets.")
    for most in (1024, LONGEST_ENTRY):  # nearly all are short, and there may be many
        piece = text[at : at + most]
        entry = piece.decode("utf-8", "ignore")
        length = _length_of(entry)
        if length >= 0 or len(piece) < most:
            break
    if length == 0 or (length < 0 and len(piece) < LONGEST_ENTRY):
        raise wrong
    if length < 0:
        raise OverflowError(
            f"Tensor {quoted(name)} has an entry of more than the {LONGEST_ENTRY} bytes that are "
            "read."
        )
    try:
        value = json.loads(
            entry[:length],
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_float,
            object_pairs_hook=_pairs,
        )
        json.dumps(value, ensure_ascii=False).encode()  # no lone surrogates
        end = at + len(entry[:length].encode())
    except (ValueError, RecursionError):
        raise wrong from None
    if isinstance(value, list) and len(value) == len(_FIELDS):
        value = dict(zip(_FIELDS, value, strict=True))
    if not isinstance(value, dict):
        raise wrong
    dtype, shape, offsets = map(value.get, _FIELDS)
    if not (isinstance(dtype, str) and _is_numbers(shape) and _is_numbers(offsets)):
        raise wrong
    return dtype, shape, offsets, end


def _length_of(entry: str) -> int:
    """Characters of the JSON object or list at the start of `entry`; 0 if there is none, -1 if it
    does not end. Its brackets are counted before it is parsed: a parser may be made to nest too
    deep."""
    depth = 0
    if entry[:1] not in ("{", "["):
        return 0
    for match in _NESTED.finditer(entry):
        if match[0][0] != '"':
            depth += 1 if match[0] in "[{" else -1
            if depth > DEEPEST:
                return 0
            if depth == 0:
                return match.end()
    return -1


def _integer(digits: str) -> int | float:
    # The library takes -0 for no whole number.
    return _float(digits) if digits.startswith("-") else int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("no number in JSON")
    return number


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [key for key, _ in pairs if key in _FIELDS]
    if len(names) != len(set(names)):
        raise ValueError("a field twice")
    return dict(pairs)


def _is_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(each) is int for each in value)


def _numbers(text: bytes) -> list[int]:
    return [int(part) for part in text.split(b",")] if text else []


def _data_end(spans: list[int]) -> int:
    """Bytes of data. Raises ValueError if tensors overlap or leave a hole."""
    end = data_end(spans)
    position = 0
    for span in spans:
        if span >> 64 > position:
            raise ValueError(
                f"No tensor has the bytes from {position} to {span >> 64} of the data."
            )
        position = end_of(span)
    return end
