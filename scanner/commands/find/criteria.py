"""The criteria of `find`, parsed from its options. Every parser raises SettingsError."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

from scanner.comfyui.base_words import base_of_word
from scanner.commands.find.globs import Glob, filled
from scanner.commands.find.words import parse_arguments
from scanner.console.filters import CategoryFilter, RootFilter
from scanner.console.steps import _one_of
from scanner.core.digests import ALGORITHM
from scanner.core.roots import LEGACY_CATEGORIES
from scanner.core.statuses import GROUPS, MARKS, STATUSES
from scanner.core.wording import folded
from scanner.errors import SettingsError
from scanner.output.inventory_reader import base_of
from scanner.settings.values import parse_duration, parse_size

TYPES = ("file", "directory", "symlink", "other")

SORTS = ("path", "size", "age")

ANY = "any"

PACK = "pack"
"""The kind that stands for node packs, which are folders more often than files."""

SHORTEST_PREFIX = 4
"""Digits of a hash: fewer would find something by chance in every large inventory."""

_DIGITS = {ALGORITHM: 32, "xxh3_128": 32, "sha256": 64, "blake3": 64, "autov2": 10, "autov3": 64}
"""The most digits of a hash, by the names that may stand before it.

AutoV2 and AutoV3 are Civitai's: the first 10 digits of a file's sha256, and the sha256 of a
safetensors file without its header, of which most tools keep 12 digits.
"""

_FIELDS = {"fingerprint": ALGORITHM, "hash": "xxh3_128"}
"""The same names as fields of the inventory are called."""

_PACK_FORMS = frozenset(("pack", "nodepack", "customnode", "customnodepack"))

_WILDCARDS = {"*": ".*", "?": "."}

_GAP, _OPTIONAL_GAP, _GAP_BEFORE_VERSION = r"[\W_]+", r"[\W_]*", r"[\W_]*(?:v[\W_]*)?"

_STABLE_DIFFUSION = re.compile(r"stable[\W_]*diffusion")

_BASE_MODEL_TOKEN = re.compile(r"[*?]|[^\W_]|(?:(?![*?])[\W_])+")

_BOUND = re.compile(r"(<=|>=|<|>|=)(.*)", re.DOTALL)


class Span(NamedTuple):
    """Whole numbers from `least` to `most`, both among them; None is no bound."""

    least: int | None
    most: int | None

    def holds(self, number: int) -> bool:
        """True if `number` is one of them."""
        return (self.least is None or number >= self.least) and (
            self.most is None or number <= self.most
        )


class Digest(NamedTuple):
    """The first digits of a hash."""

    algorithm: str
    """Empty for any."""
    digits: str
    """Hexadecimal, lower case."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Criteria, parsed. All that are given must hold; of several values of one, any."""

    words: tuple[re.Pattern[str], ...] = ()
    """All of them must be in the name."""
    globs: tuple[Glob, ...] = ()
    roots: frozenset[str] | None = None
    """Ids; None for all."""
    categories: CategoryFilter | None = None
    kinds: frozenset[str] = frozenset()
    """The forms that `parse_kind` makes."""
    base_models: tuple[re.Pattern[str], ...] = ()
    formats: frozenset[str] = frozenset()
    """In lower case, without a dot."""
    sizes: Span | None = None
    """Bytes."""
    ages: Span | None = None
    """Nanoseconds."""
    statuses: frozenset[str] | None = None
    """Statuses and marks. None for entries with or without one; empty for any."""
    is_shadowed: bool = False
    """True for entries only that ComfyUI does not load, because it finds another one first."""
    types: frozenset[str] = frozenset()
    """Empty for files and links to files, and packs where they are asked for."""
    digests: tuple[Digest, ...] = ()
    text: str = ""
    """Folded."""
    sort: str = ""
    """One of SORTS; empty for the order of the inventory."""
    is_reversed: bool = False
    limit: int | None = None
    pack_folders: Mapping[str, str] = field(default_factory=dict)
    """Path by id of the roots of node packs, if what lies inside packs is not wanted."""
    named_folders: frozenset[str] = frozenset()
    """Folded names of folders that the arguments have in full."""

    @property
    def is_about_models(self) -> bool:
        """True if models are asked for, and no other files."""
        return bool(self.kinds or self.base_models or self.formats)


# Criteria from texts. All of these raise SettingsError, one sentence that names the option.


def parse_wanted(
    header: Mapping[str, Any],
    cwd: str,
    *,
    globs: Sequence[str] = (),
    roots: Sequence[str] = (),
    categories: Sequence[str] = (),
    kinds: Sequence[str] = (),
    base_models: Sequence[str] = (),
    formats: Sequence[str] = (),
    size: str | None = None,
    age: str | None = None,
    statuses: Sequence[str] = (),
    is_shadowed: bool = False,
    types: Sequence[str] = (),
    hashes: Sequence[str] = (),
    text: str | None = None,
    sort: str | None = None,
    is_reversed: bool = False,
    limit: int | None = None,
    is_all: bool = False,
) -> Wanted:
    """The criteria that the options of `find` set for the inventory with this header.

    `globs` are words, folders or patterns.

    Paths of roots may be relative to `cwd`. `is_reversed` alone sorts by path. A `limit` of 0 is
    none. What lies inside node packs is left out unless `is_all`, or unless a root, a status, a
    hash or packs are asked for. Raises SettingsError.
    """
    if sort is None and is_reversed:
        sort = "path"
    arguments = parse_arguments(globs, cwd, base_of(header))
    wanted = Wanted(
        words=arguments.words,
        globs=arguments.globs,
        named_folders=arguments.folders,
        roots=_root_ids(roots, header, cwd) if roots else None,
        categories=CategoryFilter(categories) if categories else None,
        kinds=frozenset().union(*map(parse_kind, kinds)),
        base_models=tuple(pattern for text in base_models for pattern in _base_models(text)),
        formats=frozenset(map(parse_format, formats)),
        sizes=None if size is None else parse_sizes(size),
        ages=None if age is None else parse_ages(age),
        statuses=parse_statuses(statuses) if statuses else None,
        is_shadowed=is_shadowed,
        types=frozenset(_one_of("--type", word, TYPES) for word in types),
        digests=tuple(map(parse_hash, hashes)),
        text="" if text is None else folded(filled("--text", text, "some text")),
        sort="" if sort is None else _one_of("--sort", sort, SORTS),
        is_reversed=is_reversed,
        limit=limit or None,
    )
    if is_all or roots or statuses or hashes or PACK in wanted.kinds:
        return wanted
    packs = {r["id"]: r["path"] for r in header["roots"] if r["kind"] == "custom_nodes"}
    return replace(wanted, pack_folders=packs)


def _root_ids(texts: Sequence[str], header: Mapping[str, Any], cwd: str) -> frozenset[str]:
    return RootFilter(texts, cwd, base_of(header)).ids(root["id"] for root in header["roots"])


def parse_kind(text: str) -> frozenset[str]:
    """The kind of model in the forms to compare with; an old name stands for that of today too."""
    form = _kind_form(filled("--kind", text, "a kind of model such as lora, checkpoint or pack"))
    if form in _PACK_FORMS:
        return frozenset((PACK,))
    return frozenset((form, _kind_form(LEGACY_CATEGORIES.get(form, form))))


def _base_models(text: str) -> list[re.Pattern[str]]:
    """Patterns for `text` as it stands, and for our word if a trainer or a site calls it so."""
    known = base_of_word(text)
    return [parse_base_model(text), *([parse_base_model(known.name)] if known else [])]


def parse_base_model(text: str) -> re.Pattern[str]:
    """A pattern that names of base models must hold, or match as a whole if `text` has `*` or `?`.

    Spaces, dots, dashes and underscores in the name are passed over, and a "v" before a number.
    Where `text` has one of them between two digits there must be one, and a number at either end of
    `text` is a whole number: "sd15" and "sd 1.5" are in "SD 1.5", but "2.1" is not in "Wan 2.2
    14B". SD is short for Stable Diffusion, in which headers differ.
    """
    expected = "a base model such as sdxl, flux.1 or wan*"
    tokens = _BASE_MODEL_TOKEN.findall(_base_model_form(filled("--base-model", text, expected)))
    pieces: list[str] = []
    before, is_apart = "", False
    for token in tokens:
        if _is_gap(token):
            is_apart = True
            continue
        if token in _WILDCARDS:
            pieces.append(_WILDCARDS[token])
        else:
            if before.isalnum():
                pieces.append(_gap(before, token, is_apart))
            pieces.append(re.escape(token))
        before, is_apart = token, False
    if not pieces:
        raise SettingsError(f"--base-model: expected {expected}, not {text!r}.")
    parts = [token for token in tokens if not _is_gap(token)]
    if not _WILDCARDS.keys().isdisjoint(parts):
        return re.compile(rf"\A{''.join(pieces)}\Z", re.DOTALL)
    start = r"(?<!\d)" if parts[0].isdecimal() else ""
    end = r"(?!\d)" if parts[-1].isdecimal() else ""
    return re.compile(f"{start}{''.join(pieces)}{end}")


def _is_gap(token: str) -> bool:
    return token not in _WILDCARDS and not token.isalnum()


def _gap(before: str, after: str, is_apart: bool) -> str:
    """A pattern of the characters that may stand in a name between two characters of `text`.

    `is_apart`: something stands between them in `text` too.
    """
    if not after.isdecimal():
        return _OPTIONAL_GAP
    if not before.isdecimal():
        return _GAP_BEFORE_VERSION
    return _GAP if is_apart else _OPTIONAL_GAP


def _base_model_form(text: str) -> str:
    return _STABLE_DIFFUSION.sub("sd", folded(text))


def parse_format(text: str) -> str:
    """A format of files: "safetensors", ".gguf"."""
    expected = "a format such as safetensors or gguf"
    return folded(filled("--format", text, expected)).strip().removeprefix(".")


def parse_sizes(text: str) -> Span:
    """`>1GB`, `<=100MB`, `1GB..2GB` (both included), `1GB..`, `=0`; in bytes."""
    return _span("--size", text, parse_size, "'>1GB', '<=100MB', '1GB..2GB' or '=0'")


def parse_ages(text: str) -> Span:
    """`>30d`, `<2h`, `7d..30d` (both included), `30d..`; in nanoseconds."""
    return _span("--age", text, _duration_ns, "'>30d', '<2h' or '7d..30d'")


def parse_statuses(texts: Iterable[str]) -> frozenset[str]:
    """The words that these words and groups stand for; empty where one of them is `any`."""
    choices = (*STATUSES, *MARKS, *GROUPS, ANY)
    words = [_one_of("--status", text, choices) for text in texts]
    if ANY in words:
        return frozenset()
    return frozenset(status for word in words for status in GROUPS.get(word, (word,)))


def parse_hash(text: str) -> Digest:
    """The first digits of a hash, with or without the name of its algorithm before them."""
    name, colon, digits = text.strip().lower().rpartition(":")
    algorithm = _FIELDS.get(name, name)
    most = _DIGITS.get(algorithm, 0) if colon else max(_DIGITS.values())
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_PREFIX},}}", digits) or len(digits) > most:
        names = ", ".join((*_DIGITS, *_FIELDS))
        raise SettingsError(
            f"--hash: expected at least {SHORTEST_PREFIX} hexadecimal digits, alone or after one "
            f"of {names} and a colon, not {text!r}."
        )
    return Digest(algorithm, digits)


def _span(option: str, text: str, parse: Callable[[str], int], expected: str) -> Span:
    stripped = text.strip()
    try:
        if match := _BOUND.fullmatch(stripped):
            number = parse(match[2])
            return {
                "<": Span(None, number - 1),
                "<=": Span(None, number),
                ">": Span(number + 1, None),
                ">=": Span(number, None),
                "=": Span(number, number),
            }[match[1]]
        least, dots, most = stripped.partition("..")
        if dots and (least or most):
            span = Span(parse(least) if least else None, parse(most) if most else None)
            if span.least is None or span.holds(span.least):
                return span
    except ValueError:
        pass
    raise SettingsError(f"{option}: expected {expected}, not {text!r}.")


def _duration_ns(text: str) -> int:
    return int(parse_duration(text) * 1e9)


def texts_of(value: object) -> list[str]:
    """The texts in a field that is one text or a list of them, or is not there."""
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


@lru_cache(maxsize=1024)
def _kind_form(text: str) -> str:
    """A kind or category as one word in the singular: "Upscale Models" is "upscalemodel"."""
    form = re.sub(r"[\W_]+", "", folded(text))
    return form[:-1] if form.endswith("s") and not form.endswith("ss") else form
