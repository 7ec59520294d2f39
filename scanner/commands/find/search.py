"""The test of one inventory entry against the criteria, and the search."""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from scanner.commands.find.criteria import (
    PACK,
    Digest,
    Span,
    Wanted,
    _base_model_form,
    _kind_form,
    _name,
    texts_of,
)
from scanner.commands.find.globs import Glob
from scanner.core.serialize import mtime_of
from scanner.core.statuses import words_of
from scanner.core.wording import folded
from scanner.output.inventory_reader import damage_reported, is_file, read_entries, size_in

_COMPANIONS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".mp4", ".webm"),
    *(".txt", ".md", ".html", ".json", ".yaml", ".yml", ".toml", ".info", ".csv", ".log", ".pdf"),
    ".sha256",
)
"""Endings of files that lie beside models: previews, notes, metadata of model managers."""


SET, PART_OF, SIDECAR_OF = "set", "part_of", "sidecar_of"
"""Fields of a model in several files, of its parts, and of files that describe a model."""


def matches(entry: Mapping[str, Any], wanted: Wanted, now_ns: int) -> bool:
    """True if an entry of an inventory is wanted. Ages are measured from `now_ns`.

    An entry without a size, a time or a category fits no criterion about it. Raises KeyError,
    TypeError, ValueError or AttributeError for a damaged entry.
    """
    # Cheapest first: nearly all entries of a search fall here.
    return (
        (not wanted.is_shadowed or "shadowed_by" in entry)
        and _has_type(entry, wanted)
        and (wanted.roots is None or entry["root"] in wanted.roots)
        and (wanted.statuses is None or _has_status(entry, wanted.statuses))
        and (
            wanted.sizes is None
            or ((size := size_of(entry)) is not None and wanted.sizes.holds(size))
        )
        and (wanted.categories is None or wanted.categories.selects(entry.get("category", "")))
        and (not wanted.digests or _has_digest(entry, wanted.digests))
        and (not wanted.base_models or _has_base_model(entry, wanted.base_models))
        and (not wanted.formats or _has_format(entry, wanted.formats))
        and (not wanted.kinds or _has_kind(entry, wanted.kinds))
        and (not wanted.words or _has_words(entry["path"], wanted.words))
        and (not wanted.globs or _has_path(entry["path"], wanted.globs))
        and (wanted.ages is None or _has_age(entry, wanted.ages, now_ns))
        and (not wanted.text or _has_text(entry, wanted.text))
    )


def _has_type(entry: Mapping[str, Any], wanted: Wanted) -> bool:
    is_about_models = wanted.is_about_models
    # A model in several files is one model. Its parts, and files that describe it, are none.
    if is_about_models and (PART_OF in entry or SIDECAR_OF in entry):
        return False
    if wanted.types:
        return entry["type"] in wanted.types
    if wanted.is_shadowed:
        return True  # a file, or a folder of the category diffusers
    if is_file(entry) or (PACK in wanted.kinds and PACK in entry):
        return True
    if SET in entry and is_about_models:
        return True
    return wanted.statuses is not None and "status" in entry


def size_of(entry: Mapping[str, Any]) -> int | None:
    """Bytes of an entry; of a model in several files those of all its parts. None if unknown."""
    size: int | None = entry[SET]["bytes"] if SET in entry else size_in(entry)
    return size


def _has_status(entry: Mapping[str, Any], statuses: frozenset[str]) -> bool:
    words = words_of(entry)
    return bool(words) and (not statuses or not statuses.isdisjoint(words))


def _has_digest(entry: Mapping[str, Any], digests: Iterable[Digest]) -> bool:
    hashes = list(_digests(entry))
    return any(
        wanted.algorithm in ("", algorithm)
        and (
            digits.startswith(wanted.digits)
            # Tools keep 12 digits of it, and people look for all 64.
            or (algorithm == "autov3" and wanted.digits.startswith(digits))
        )
        for wanted in digests
        for algorithm, digits in hashes
    )


def _digests(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(algorithm, digits) of every hash of an entry."""
    for field in ("fingerprint", "hash"):
        if field in entry:
            algorithm, _, digits = entry[field].partition(":")
            yield algorithm, digits
    if sha256 := entry.get("sha256") or entry.get("claimed_sha256"):
        for algorithm in ("sha256", "autov2"):
            yield algorithm, sha256.lower()
    if blake3 := entry.get("blake3"):
        yield "blake3", blake3
    if autov3 := entry.get("model", {}).get("autov3"):
        yield "autov3", autov3.lower()


def _has_base_model(entry: Mapping[str, Any], patterns: Iterable[re.Pattern[str]]) -> bool:
    model = entry.get("model", {})
    # The architecture is all that some files say of what they are made for.
    names = [*texts_of(model.get("base_model")), *texts_of(model.get("family"))] or texts_of(
        model.get("architecture")
    )
    forms = [_base_model_form(version) for name in names for version in _versions(name)]
    return any(pattern.search(form) for pattern in patterns for form in forms)


def _versions(name: str) -> list[str]:
    """The names that a base model may have: the tensors of "Wan 2.x" are of 2.1 or of 2.2."""
    return [name.replace("2.x", version) for version in ("2.1", "2.2")] if "2.x" in name else [name]


def _has_format(entry: Mapping[str, Any], formats: frozenset[str]) -> bool:
    return not formats.isdisjoint(format_words(entry))


def format_words(entry: Mapping[str, Any]) -> set[str]:
    """The words of its format, as "pytorch (pickle in zip)". The ending of its name counts if there
    is no format, as in broken files, and for pickles: .ckpt, .pt, .pth and .bin are all the
    same."""
    words = set(re.findall(r"\w+", folded(entry.get("model", {}).get("format", ""))))
    stem, _, ending = _name(entry["path"]).rpartition(".")
    if stem and (not words or "pickle" in words):
        words.add(folded(ending))
    return words


def _has_kind(entry: Mapping[str, Any], kinds: frozenset[str]) -> bool:
    if PACK in kinds and PACK in entry:
        return True
    kind = entry.get("model", {}).get("kind")
    if kind and _kind_form(kind) in kinds:
        return True
    category = entry.get("category")
    return (
        category is not None
        and _kind_form(category) in kinds
        and (SET in entry or not entry["path"].lower().endswith(_COMPANIONS))
    )


def _has_words(path: str, words: Iterable[re.Pattern[str]]) -> bool:
    name = folded(_name(path))
    return all(word.search(name) for word in words)


def is_hidden(entry: Mapping[str, Any], wanted: Wanted) -> bool:
    """True if an entry lies inside a node pack and nobody asked for that."""
    top = wanted.pack_folders.get(entry["root"])
    if top is None or (wanted.is_about_models and "model" in entry):
        return False
    pack, slash, below = entry["path"][len(top) :].lstrip("/").partition("/")
    if not slash:
        return False
    if not wanted.named_folders:
        return True
    names = (_name(top), pack, *below.split("/")[:-1])
    return wanted.named_folders.isdisjoint(map(folded, names))


def _has_path(path: str, globs: Iterable[Glob]) -> bool:
    low = folded(path)
    name = _name(low)
    names: list[str] = []
    for glob in globs:
        last = glob.parts[-1]
        assert last is not None
        if not last.match(name):
            continue
        if len(glob.parts) == 1:
            return True
        names = names or low.split("/")
        above = () if not glob.above or os.path.isabs(path) else glob.above
        if _ends_with([*above, *names], glob.parts):
            return True
    return False


def _ends_with(names: Sequence[str], parts: Sequence[re.Pattern[str] | None]) -> bool:
    """True if the last of `names` match `parts`. None matches any number of names.

    Goes back to the last None only, or the start, which is enough: it takes no more steps than
    names times parts.
    """
    name = part = 0
    after_any = resume = 0
    while name < len(names):
        pattern = parts[part] if part < len(parts) else _NOTHING
        if pattern is None:
            part += 1
            after_any, resume = part, name
        elif pattern.match(names[name]):
            name, part = name + 1, part + 1
        else:
            resume += 1
            name, part = resume, after_any
    return part == len(parts)


_NOTHING = re.compile(r"(?!)")


def _has_age(entry: Mapping[str, Any], ages: Span, now_ns: int) -> bool:
    return ("mtime" in entry or "mtime_ns" in entry) and ages.holds(now_ns - mtime_of(entry))


def _has_text(entry: Mapping[str, Any], text: str) -> bool:
    model = entry.get("model", {})
    return any(
        text in folded(value)
        for field in ("title", "trigger_words", "description")
        for value in texts_of(model.get(field))
    ) or text in folded(entry["path"])


@dataclass(slots=True)
class Searched:
    """Counts of a search, once it has ended."""

    entries: int = 0
    """Entries that were looked at."""
    hidden: int = 0
    """Entries inside node packs that fit all criteria and were left out."""


def find_entries(
    path: str | os.PathLike[str], wanted: Wanted, now_ns: int, searched: Searched | None = None
) -> Iterator[dict[str, Any]]:
    """The entries of the inventory at `path` that are wanted, at most as many as the limit.

    Sorted by path they come without regard to capitals, by size the largest first, by age the
    youngest; reversed the other way round; those without a size or time last in any case. Counts
    in `searched`. Raises as `read_entries` does.
    """
    with damage_reported(path):
        entries = _matching(read_entries(path), wanted, now_ns, searched or Searched())
        if not wanted.sort:
            yield from islice(entries, wanted.limit)
            return
        key = _sort_key(wanted)
        if wanted.limit is None:
            yield from sorted(entries, key=key, reverse=wanted.is_reversed)
            return
        take = heapq.nlargest if wanted.is_reversed else heapq.nsmallest
        yield from take(wanted.limit, entries, key=key)


def _matching(
    entries: Iterable[dict[str, Any]], wanted: Wanted, now_ns: int, searched: Searched
) -> Iterator[dict[str, Any]]:
    for entry in entries:
        searched.entries += 1
        if matches(entry, wanted, now_ns):
            if wanted.pack_folders and is_hidden(entry, wanted):
                searched.hidden += 1
            else:
                yield entry


def _sort_key(wanted: Wanted) -> Callable[[dict[str, Any]], Any]:
    def by_path(entry: dict[str, Any]) -> list[str]:
        return folded(entry["path"]).split("/")

    def by_size(entry: dict[str, Any]) -> tuple[bool, int]:
        size = size_of(entry)
        return (size is not None) == wanted.is_reversed, -(size or 0)

    def by_age(entry: dict[str, Any]) -> tuple[bool, int]:
        is_known = "mtime" in entry or "mtime_ns" in entry
        return is_known == wanted.is_reversed, -mtime_of(entry)

    return {"path": by_path, "size": by_size, "age": by_age}[wanted.sort]
