"""Patterns of paths, as `find` takes them."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from scanner.console.filters import pattern_of
from scanner.core.serialize import readable
from scanner.core.wording import folded
from scanner.errors import SettingsError


class Glob(NamedTuple):
    """A pattern of the last components of a path."""

    parts: tuple[re.Pattern[str] | None, ...]
    """One for each component, None for `**`; the last one is never None."""
    above: tuple[str, ...]
    """The components of the base, for an absolute pattern: relative paths lack them."""


def parse_glob(text: str, base: str | None) -> Glob:
    """A pattern: of a name, or with a slash in it of the last components of a path.

    `*`, `?` and `[...]` stay within a component; a component `**` stands for any number of them,
    at the end for at least one, and a slash at the end for `/**`. An absolute pattern is one of
    absolute paths, also where the inventory shows them relative to `base`.
    """
    pattern = filled("WORD", text, "a word, a folder, or a pattern such as *.safetensors")
    above = readable(base or "")
    if os.sep != "/":
        pattern, above = pattern.replace(os.sep, "/"), above.replace(os.sep, "/")
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    if pattern.endswith("/") or not names:
        names.append("**")
    if names[-1] == "**":
        names.append("*")
    if pattern.startswith("/"):
        names.insert(0, "")
    parts = tuple(None if name == "**" else pattern_of(name) for name in names)
    if not above or not os.path.isabs(pattern):
        return Glob(parts, ())
    return Glob(parts, tuple(folded(above).rstrip("/").split("/")))


def filled(option: str, text: str, expected: str) -> str:
    """`text` as the inventory would show it. Raises SettingsError for an empty one."""
    if not text.strip():
        raise SettingsError(f"{option}: expected {expected}, not {text!r}.")
    return readable(text)
