"""Names of one model in several precisions. Pure.

The last run of words for a precision in a name may differ, and nothing else: comfy-cli compares
names in the same way (`model_variants`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WORD = re.compile(r"[^\s._-]+")

_GGUF = re.compile(r"i?q\d")

_PRECISION = re.compile(
    r"(?:(?:nv|mx)?fp\d{1,2}|bf16|f16|f32|u?int[48]|nf4|e\dm\d(?:fn|fnuz)?)(?:mixed|scaled)?"
    r"|i?q\d"
)

_AFTER = frozenset(("scaled", "mixed", "convrot"))
"""Words that say more about a precision right after it."""

_AFTER_GGUF = frozenset(["0", "1", "k", "s", "m", "l", "xl", "xs", "xxs", "nl"])
"""Words after `Q4` or `IQ4`, as in `Q4_K_M`."""


class Variant(NamedTuple):
    """What a file name says of its model and of its precision."""

    model: str
    """The name without its precision, folders and ending, in small letters."""
    precision: str
    """The words for it; empty if there are none."""
    ending: str


def variant_of(file_name: str) -> Variant:
    """The parts of a file name, without folders."""
    stem, dot, ending = file_name.lower().rpartition(".")
    if not dot:
        stem, ending = ending, ""
    words = list(_WORD.finditer(stem))
    begin, end = _last_run([word[0] for word in words])
    precision = stem[words[begin].start() : words[end - 1].end()] if begin < end else ""
    model = "-".join(word[0] for word in (*words[:begin], *words[end:]))
    return Variant(model, precision, ending)


def _last_run(words: list[str]) -> tuple[int, int]:
    """Where the last run of words for a precision begins and ends; equal numbers if none is."""
    begin = end = 0
    allowed: frozenset[str] = frozenset()
    for number, word in enumerate(words):
        is_precision = _PRECISION.fullmatch(word) is not None
        if not is_precision and (number != end or word not in allowed):
            continue
        if number != end or begin == end:
            begin = number
        end = number + 1
        if is_precision:
            allowed = _AFTER | _AFTER_GGUF if _GGUF.fullmatch(word) else _AFTER
    return begin, end
