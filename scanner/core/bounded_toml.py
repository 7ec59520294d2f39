"""Reading TOML that others wrote, in bounded time and memory."""

from __future__ import annotations

import re
from typing import Any

MOST_BYTES = 1 << 18
"""Longest text that is parsed: a real file has a few kB."""

MOST_DOTS = 32
"""Most dots in one key. The parser's time and memory grow with their square: 30,000 take 3.7 GB."""

_NO_KEYS = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']|'{1,2}(?!'))*(?:'{3,5}|\Z)"
    r'|"(?:[^"\\\n]|\\[^\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*",
    re.DOTALL,
)
"""Strings and comments. Each alternative also takes what is not closed, so that no text is searched
twice."""

_AROUND_DOT = re.compile(r"[ \t]*\.[ \t]*")

_BETWEEN_KEYS = re.compile(r"[\s,=\[\]{}]+")


def loads(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError, whose text says what is wrong: `tomllib.TOMLDecodeError` with
    the line where the syntax is."""
    import tomllib  # most starts read no TOML

    if len(text) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES // 1024} KiB")
    bare = _AROUND_DOT.sub(".", _NO_KEYS.sub("q", text))
    if any(word.count(".") > MOST_DOTS for word in _BETWEEN_KEYS.split(bare)):
        raise ValueError(f"a key has more than {MOST_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (OverflowError, MemoryError) as error:
        raise ValueError(f"a value is too large: {error}") from None
