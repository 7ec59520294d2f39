"""The sentence of a search that found nothing: how much was searched, and what may be meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from scanner.commands.find.criteria import PACK, _kind_form, parse_format, texts_of
from scanner.commands.find.page import hidden_text
from scanner.commands.find.search import Searched, format_words
from scanner.console.filters import CategoryFilter
from scanner.core.wording import folded
from scanner.output.inventory_reader import damage_reported, read_entries

MOST_NAMES = 12
"""Most names that a sentence lists."""


class _There(NamedTuple):
    """What an inventory holds, by the words that people ask with."""

    categories: set[str]
    kinds: set[str]
    formats: set[str]


def nothing_text(
    path: str | os.PathLike[str], searched: Searched, criteria: Mapping[str, Any]
) -> str:
    """The sentence after a search of the inventory at `path` with `criteria`, the values of the
    options. Reads the inventory once more where a category, a kind, a format or a word may be
    unknown."""
    entries = "1 entry" if searched.entries == 1 else f"{searched.entries:,} entries"
    parts = [f"Nothing found among {entries}"]
    if searched.hidden:
        parts.append(hidden_text(searched.hidden))
    asked = {name for name in ("categories", "kinds", "formats", "globs") if criteria.get(name)}
    if asked and searched.entries:
        there = _what_is_there(path)
        parts += _unknown("category", criteria.get("categories"), there.categories, _has_category)
        parts += _unknown("kind", criteria.get("kinds"), there.kinds, _has_kind)
        parts += _unknown("format", criteria.get("formats"), there.formats, _has_format)
        parts += _meant(criteria.get("globs") or (), there)
    return "; ".join(parts)


def _what_is_there(path: str | os.PathLike[str]) -> _There:
    there = _There(set(), {PACK}, set())
    with damage_reported(path):
        for entry in read_entries(path):
            model = entry.get("model", {})
            if category := entry.get("category"):
                there.categories.add(category)
            there.kinds.update(texts_of(model.get("kind")))
            if entry["type"] != "directory":
                there.formats.update(format_words(entry))
    there.kinds.update(there.categories)
    return there


def _has_category(text: str, there: Iterable[str]) -> bool:
    wanted = CategoryFilter([text])
    return any(map(wanted.selects, there))


def _has_kind(text: str, there: Iterable[str]) -> bool:
    return _kind_form(text) in map(_kind_form, there)


def _has_format(text: str, there: Iterable[str]) -> bool:
    return parse_format(text) in there


def _unknown(
    what: str,
    texts: Iterable[str] | None,
    there: set[str],
    has: Callable[[str, Iterable[str]], bool],
) -> list[str]:
    """For each of `texts` that names nothing that is there: what may be meant, or what there is."""
    return [_instead(what, text, there) for text in texts or () if not has(text, there)]


def _instead(what: str, text: str, there: set[str]) -> str:
    close = _closest(text, there)
    if close:
        return f"{what} {text}: did you mean {close}?"
    names = sorted(there)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{what} {text}: there {'is' if len(names) == 1 else 'are'} " + (
        f"{', '.join(names[:MOST_NAMES])}{more}" if names else "none"
    )


def _closest(text: str, there: Iterable[str]) -> str:
    """The name most like `text`; empty if none is."""
    forms = {folded(name): name for name in sorted(there)}
    word = folded(text)
    close = difflib.get_close_matches(word, forms, n=1)
    held = [form for form in forms if len(word) > 2 and word in form]
    return forms[[*close, *held][0]] if close or held else ""


def _meant(words: Iterable[str], there: _There) -> list[str]:
    """The option that a word may stand for."""
    for word in words:
        if re.search(r"[*?[/]", word):
            continue
        if _has_category(word, there.categories):
            return [f"{word} is a category: did you mean --category {word}?"]
        if _has_kind(word, there.kinds):
            return [f"{word} is a kind: did you mean --kind {word}?"]
    return []
