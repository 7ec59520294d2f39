"""What `find` and `packs` take from an inventory: criteria, the test of one entry, and streams.

Nothing here touches a scanned folder: the inventory is read line by line, so that a million entries
need the memory of one. Only a sorted search keeps entries: as many as its limit, or all it found.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from scanner.errors import SettingsError
from scanner.extra_paths import LEGACY_CATEGORIES
from scanner.fingerprint import ALGORITHM
from scanner.inventory import UnreadableInventoryError, base_of, read_entries, read_header
from scanner.portable import mtime_of, readable
from scanner.roots import KINDS
from scanner.settings import parse_duration, parse_size

TYPES = ("file", "directory", "symlink", "other")
SORTS = ("path", "size", "age")

BROKEN = ("truncated", "damaged", "pointer", "page", "corrupt")
UNFINISHED = ("unsettled", "partial", "truncated")
STATUSES = ("unsettled", "partial", *BROKEN)
STATUS_GROUPS = {"broken": BROKEN, "unfinished": UNFINISHED}
ANY = "any"

PACK = "pack"
"""The kind that stands for node packs, which are folders more often than files."""

SHORTEST_PREFIX = 4
"""Digits of a hash: fewer would find something by chance in every large inventory."""

_DIGITS = {ALGORITHM: 32, "xxh3_128": 32, "sha256": 64, "autov2": 10, "autov3": 64}
"""The most digits of a hash, by the names that may stand before it.

AutoV2 and AutoV3 are Civitai's: the first 10 digits of a file's sha256, and the sha256 of a
safetensors file without its header, of which most tools keep 12 digits.
"""
_FIELDS = {"fingerprint": ALGORITHM, "hash": "xxh3_128"}
"""The same names as fields of the inventory are called."""

_PACK_FORMS = frozenset(("pack", "nodepack", "customnode", "customnodepack"))

_COMPANIONS = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".mp4", ".webm"),
    *(".txt", ".md", ".html", ".json", ".yaml", ".yml", ".toml", ".info", ".csv", ".log", ".pdf"),
)
"""Endings of what lies beside models and is none: previews, notes, what managers know of them."""

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
        """Whether `number` is one of them."""
        return (self.least is None or number >= self.least) and (
            self.most is None or number <= self.most
        )


class Glob(NamedTuple):
    """A pattern of the last components of a path."""

    parts: tuple[re.Pattern[str] | None, ...]
    """One for each component, None for `**`; the last one is never None."""
    above: tuple[str, ...]
    """Of an absolute pattern: the components of the base, which relative paths lack."""


class Digest(NamedTuple):
    """The first digits of a hash."""

    algorithm: str
    """Empty for any."""
    digits: str
    """Hexadecimal, lower case."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Criteria, parsed. All that are given must hold; of several values of one, any."""

    globs: tuple[Glob, ...] = ()
    roots: frozenset[str] | None = None
    """Ids; None for all."""
    categories: tuple[re.Pattern[str], ...] = ()
    kinds: frozenset[str] = frozenset()
    """As `parse_kind` makes them."""
    base_models: tuple[re.Pattern[str], ...] = ()
    formats: frozenset[str] = frozenset()
    """In lower case, without a dot."""
    sizes: Span | None = None
    """Bytes."""
    ages: Span | None = None
    """Nanoseconds."""
    statuses: frozenset[str] | None = None
    """None whether there is one or not; empty for any."""
    types: frozenset[str] = frozenset()
    """Empty for files and links to files, and packs where they are asked for."""
    digests: tuple[Digest, ...] = ()
    text: str = ""
    """Folded."""
    sort: str = ""
    """One of SORTS; empty for the order of the inventory."""
    is_reversed: bool = False
    limit: int | None = None


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
    types: Sequence[str] = (),
    hashes: Sequence[str] = (),
    text: str | None = None,
    sort: str | None = None,
    is_reversed: bool = False,
    limit: int | None = None,
) -> Wanted:
    """What the options of `find` ask of the inventory with this header.

    `cwd` is what paths of roots may be relative to. Reversed alone is sorted by path.
    """
    if limit is not None and limit < 1:
        raise SettingsError(f"--limit: expected a number of 1 or more, not {limit}.")
    if sort is None and is_reversed:
        sort = "path"
    return Wanted(
        globs=tuple(parse_glob(glob, base_of(header)) for glob in globs),
        roots=parse_roots(roots, header, cwd) if roots else None,
        categories=tuple(map(parse_category, categories)),
        kinds=frozenset().union(*map(parse_kind, kinds)),
        base_models=tuple(map(parse_base_model, base_models)),
        formats=frozenset(map(parse_format, formats)),
        sizes=None if size is None else parse_sizes(size),
        ages=None if age is None else parse_ages(age),
        statuses=parse_statuses(statuses) if statuses else None,
        types=frozenset(_one_of("--type", word, TYPES) for word in types),
        digests=tuple(map(parse_hash, hashes)),
        text="" if text is None else _folded(_filled("--text", text, "some text")),
        sort="" if sort is None else _one_of("--sort", sort, SORTS),
        is_reversed=is_reversed,
        limit=limit,
    )


def parse_glob(text: str, base: str | None) -> Glob:
    """A pattern: of a name, or with a slash in it of the last components of a path.

    `*`, `?` and `[...]` stay within a component; a component `**` stands for any number of them,
    at the end for at least one, and a slash at the end for `/**`. An absolute pattern is one of
    absolute paths, also where the inventory shows them relative to `base`.
    """
    pattern = _filled("GLOB", text, "a pattern such as *.safetensors or loras/**")
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
    parts = tuple(None if name == "**" else _pattern(name) for name in names)
    if not above or not os.path.isabs(pattern):
        return Glob(parts, ())
    return Glob(parts, tuple(_folded(above).rstrip("/").split("/")))


def parse_roots(texts: Iterable[str], header: Mapping[str, Any], cwd: str) -> frozenset[str]:
    """Ids of the roots of the inventory that have one of these kinds, paths or ids.

    A kind that the inventory has no root of is no error: there is nothing to find then.
    """
    known = [(root["id"], root["kind"], root["path"]) for root in header["roots"]]
    found: set[str] = set()
    for text in texts:
        path = readable(os.path.normpath(os.path.join(cwd, text)))
        told = readable(text).rstrip("/")
        ids = {
            id_
            for id_, kind, shown in known
            if told in (id_, kind, shown) or path == id_.removeprefix(f"{kind}:")
        }
        if not ids and told not in KINDS:
            names = ", ".join(id_ for id_, _, _ in known) or "none"
            raise SettingsError(
                f"--root: expected a kind ({', '.join(KINDS)}), or a path or id of the roots in "
                f"the inventory ({names}), not {text!r}."
            )
        found |= ids
    return frozenset(found)


def parse_category(text: str) -> re.Pattern[str]:
    """A pattern of categories; an old name stands for the one of today, as in ComfyUI."""
    name = _folded(_filled("--category", text, "a category such as loras or *_models"))
    return _pattern(LEGACY_CATEGORIES.get(name, name))


def parse_kind(text: str) -> frozenset[str]:
    """The kind of model in the forms to compare with; an old name stands for that of today too."""
    form = _kind_form(_filled("--kind", text, "a kind of model such as lora, checkpoint or pack"))
    if form in _PACK_FORMS:
        return frozenset((PACK,))
    return frozenset((form, _kind_form(LEGACY_CATEGORIES.get(form, form))))


def parse_base_model(text: str) -> re.Pattern[str]:
    """What a name of a base model must hold, or be as a whole where there is `*` or `?` in it.

    Spaces, dots, dashes and underscores in the name are passed over, and a "v" before a number.
    Where `text` has one of them between two digits there must be one, and a number at either end of
    `text` is a whole number: "sd15" and "sd 1.5" are in "SD 1.5", but "2.1" is not in "Wan 2.2
    14B". SD is short for Stable Diffusion, in which headers differ.
    """
    expected = "a base model such as sdxl, flux.1 or wan*"
    tokens = _BASE_MODEL_TOKEN.findall(_base_model_form(_filled("--base-model", text, expected)))
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
    told = [token for token in tokens if not _is_gap(token)]
    if not _WILDCARDS.keys().isdisjoint(told):
        return re.compile(rf"\A{''.join(pieces)}\Z", re.DOTALL)
    start = r"(?<!\d)" if told[0].isdecimal() else ""
    end = r"(?!\d)" if told[-1].isdecimal() else ""
    return re.compile(f"{start}{''.join(pieces)}{end}")


def _is_gap(token: str) -> bool:
    return token not in _WILDCARDS and not token.isalnum()


def _gap(before: str, after: str, is_apart: bool) -> str:
    """What may stand in a name between two characters; `is_apart`: they are not neighbours."""
    if not after.isdecimal():
        return _OPTIONAL_GAP
    if not before.isdecimal():
        return _GAP_BEFORE_VERSION
    return _GAP if is_apart else _OPTIONAL_GAP


def _base_model_form(text: str) -> str:
    return _STABLE_DIFFUSION.sub("sd", _folded(text))


def parse_format(text: str) -> str:
    """A format of files: "safetensors", ".gguf"."""
    expected = "a format such as safetensors or gguf"
    return _folded(_filled("--format", text, expected)).strip().removeprefix(".")


def parse_sizes(text: str) -> Span:
    """`>1GB`, `<=100MB`, `1GB..2GB` (both included), `1GB..`, `=0`; in bytes."""
    return _span("--size", text, parse_size, "'>1GB', '<=100MB', '1GB..2GB' or '=0'")


def parse_ages(text: str) -> Span:
    """`>30d`, `<2h`, `7d..30d` (both included), `30d..`; in nanoseconds."""
    return _span("--age", text, _duration_ns, "'>30d', '<2h' or '7d..30d'")


def parse_statuses(texts: Iterable[str]) -> frozenset[str]:
    """The words that these words and groups stand for; empty where one of them is `any`."""
    choices = (*STATUSES, *STATUS_GROUPS, ANY)
    words = [_one_of("--status", text, choices) for text in texts]
    if ANY in words:
        return frozenset()
    return frozenset(status for word in words for status in STATUS_GROUPS.get(word, (word,)))


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
    told = text.strip()
    try:
        if found := _BOUND.fullmatch(told):
            number = parse(found[2])
            return {
                "<": Span(None, number - 1),
                "<=": Span(None, number),
                ">": Span(number + 1, None),
                ">=": Span(number, None),
                "=": Span(number, number),
            }[found[1]]
        least, dots, most = told.partition("..")
        if dots and (least or most):
            span = Span(parse(least) if least else None, parse(most) if most else None)
            if span.least is None or span.holds(span.least):
                return span
    except ValueError:
        pass
    raise SettingsError(f"{option}: expected {expected}, not {text!r}.")


def _duration_ns(text: str) -> int:
    return int(parse_duration(text) * 1e9)


def _one_of(option: str, text: str, choices: Sequence[str]) -> str:
    word = text.strip().lower()
    if word not in choices:
        raise SettingsError(f"{option}: expected one of {', '.join(choices)}, not {text!r}.")
    return word


def _filled(option: str, text: str, expected: str) -> str:
    """`text` as the inventory would show it."""
    if not text.strip():
        raise SettingsError(f"{option}: expected {expected}, not {text!r}.")
    return readable(text)


# The test of one entry


def matches(entry: Mapping[str, Any], wanted: Wanted, now_ns: int) -> bool:
    """Whether an entry of an inventory is wanted; ages are reckoned to `now_ns`.

    What an entry does not have (a size, a time, a category) fits no criterion about it. Raises
    KeyError, TypeError, ValueError or AttributeError where the entry is damaged.
    """
    # Cheapest first: nearly all entries of a search fall here.
    return (
        _has_type(entry, wanted)
        and (wanted.roots is None or entry["root"] in wanted.roots)
        and (wanted.statuses is None or _has_status(entry, wanted.statuses))
        and (wanted.sizes is None or ("size" in entry and wanted.sizes.holds(entry["size"])))
        and (not wanted.categories or _has_category(entry, wanted.categories))
        and (not wanted.digests or _has_digest(entry, wanted.digests))
        and (not wanted.base_models or _has_base_model(entry, wanted.base_models))
        and (not wanted.formats or _has_format(entry, wanted.formats))
        and (not wanted.kinds or _has_kind(entry, wanted.kinds))
        and (not wanted.globs or _has_path(entry["path"], wanted.globs))
        and (wanted.ages is None or _has_age(entry, wanted.ages, now_ns))
        and (not wanted.text or _has_text(entry, wanted.text))
    )


def _has_type(entry: Mapping[str, Any], wanted: Wanted) -> bool:
    if wanted.types:
        return entry["type"] in wanted.types
    return is_file(entry) or (PACK in wanted.kinds and PACK in entry)


def is_file(entry: Mapping[str, Any]) -> bool:
    """Whether it is a file or a link to one."""
    return entry["type"] == "file" or entry.get("leads_to") == "file"


def _has_status(entry: Mapping[str, Any], statuses: frozenset[str]) -> bool:
    status = entry.get("status")
    return status is not None and (not statuses or status in statuses)


def _has_category(entry: Mapping[str, Any], categories: Iterable[re.Pattern[str]]) -> bool:
    category = _folded(entry.get("category", ""))
    return bool(category) and any(pattern.match(category) for pattern in categories)


def _has_digest(entry: Mapping[str, Any], digests: Iterable[Digest]) -> bool:
    known = list(_digests(entry))
    return any(
        wanted.algorithm in ("", algorithm)
        and (
            digits.startswith(wanted.digits)
            # Tools keep 12 digits of it, and people look for all 64.
            or (algorithm == "autov3" and wanted.digits.startswith(digits))
        )
        for wanted in digests
        for algorithm, digits in known
    )


def _digests(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(algorithm, digits) of every hash of an entry."""
    for field in ("fingerprint", "hash"):
        if field in entry:
            algorithm, _, digits = entry[field].partition(":")
            yield algorithm, digits
    if "sha256" in entry:
        for algorithm in ("sha256", "autov2"):
            yield algorithm, entry["sha256"].lower()
    if autov3 := entry.get("model", {}).get("autov3"):
        yield "autov3", autov3.lower()


def _has_base_model(entry: Mapping[str, Any], patterns: Iterable[re.Pattern[str]]) -> bool:
    model = entry.get("model", {})
    # The architecture is all that many files say of what they are made for.
    names = texts_of(model.get("base_model")) or texts_of(model.get("architecture"))
    forms = [_base_model_form(name) for name in names]
    return any(pattern.search(form) for pattern in patterns for form in forms)


def _has_format(entry: Mapping[str, Any], formats: frozenset[str]) -> bool:
    """By a word of what its content says, as "pytorch (pickle in zip)". The ending of its name
    counts where that says nothing, as in broken files, and of pickles: .ckpt, .pt, .pth and .bin
    are all the same."""
    words = set(re.findall(r"\w+", _folded(entry.get("model", {}).get("format", ""))))
    if not formats.isdisjoint(words):
        return True
    stem, _, ending = _name(entry["path"]).rpartition(".")
    return (not words or "pickle" in words) and bool(stem) and _folded(ending) in formats


def _has_kind(entry: Mapping[str, Any], kinds: frozenset[str]) -> bool:
    if PACK in kinds and PACK in entry:
        return True
    told = entry.get("model", {}).get("kind")
    if told and _kind_form(told) in kinds:
        return True
    category = entry.get("category")
    return (
        category is not None
        and _kind_form(category) in kinds
        and not entry["path"].lower().endswith(_COMPANIONS)
    )


def _has_path(path: str, globs: Iterable[Glob]) -> bool:
    folded = _folded(path)
    name = _name(folded)
    names: list[str] = []
    for glob in globs:
        last = glob.parts[-1]
        assert last is not None
        if not last.match(name):
            continue
        if len(glob.parts) == 1:
            return True
        names = names or folded.split("/")
        above = () if not glob.above or os.path.isabs(path) else glob.above
        if _ends_with([*above, *names], glob.parts):
            return True
    return False


def _ends_with(names: Sequence[str], parts: Sequence[re.Pattern[str] | None]) -> bool:
    """Whether the last of `names` match `parts`, each one or, for None, any number of them.

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
        text in _folded(told)
        for field in ("title", "trigger_words", "description")
        for told in texts_of(model.get(field))
    ) or text in _folded(entry["path"])


def texts_of(value: object) -> list[str]:
    """The texts in a field that is one text or a list of them, or is not there."""
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def _folded(text: str) -> str:
    """A form in which what people take for the same text is the same: capitals, and accents as
    macOS writes them in names."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(_folded(text)))


@lru_cache(maxsize=1024)
def _kind_form(text: str) -> str:
    """A kind or category as one word in the singular: "Upscale Models" is "upscalemodel"."""
    form = re.sub(r"[\W_]+", "", _folded(text))
    return form[:-1] if form.endswith("s") and not form.endswith("ss") else form


# Streams


def header_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header of the inventory at `path`. Raises as `read_entries` does."""
    header = read_header(path)
    if header is None:
        next(read_entries(path), None)  # says what is wrong
        raise UnreadableInventoryError(f"{readable(os.fspath(path))} is being replaced; try again")
    return header


def find_entries(
    path: str | os.PathLike[str], wanted: Wanted, now_ns: int
) -> Iterator[dict[str, Any]]:
    """The entries of the inventory at `path` that are wanted, at most as many as the limit.

    Sorted by path they come without regard to capitals, by size the largest first, by age the
    youngest; reversed the other way round; those without a size or time last in any case.
    Raises as `read_entries` does.
    """
    with _damage_told(path):
        found = (entry for entry in read_entries(path) if matches(entry, wanted, now_ns))
        if not wanted.sort:
            yield from islice(found, wanted.limit)
            return
        key = _sort_key(wanted)
        if wanted.limit is None:
            yield from sorted(found, key=key, reverse=wanted.is_reversed)
            return
        take = heapq.nlargest if wanted.is_reversed else heapq.nsmallest
        yield from take(wanted.limit, found, key=key)


def _sort_key(wanted: Wanted) -> Callable[[dict[str, Any]], Any]:
    def by_path(entry: dict[str, Any]) -> list[str]:
        return _folded(entry["path"]).split("/")

    def by_size(entry: dict[str, Any]) -> tuple[bool, int]:
        is_known = "size" in entry
        return is_known == wanted.is_reversed, -entry["size"] if is_known else 0

    def by_age(entry: dict[str, Any]) -> tuple[bool, int]:
        is_known = "mtime" in entry or "mtime_ns" in entry
        return is_known == wanted.is_reversed, -mtime_of(entry)

    return {"path": by_path, "size": by_size, "age": by_age}[wanted.sort]


def packs_of(
    path: str | os.PathLike[str], *, is_enabled: bool | None = None
) -> list[dict[str, Any]]:
    """The node packs in the inventory at `path`, by name; only those that are enabled or not.

    Each is what the inventory says of the pack, with its `path`, `type` and `root`, the number of
    `files` (with links to files) at or below it, and their `bytes`. A pack that does not say is
    taken as enabled. Raises as `read_entries` does.
    """
    packs: list[dict[str, Any]] = []
    open_packs: list[tuple[str, dict[str, Any]]] = []
    """Those that the current entry may lie in: what lies below a folder follows it at once."""
    with _damage_told(path):
        for entry in read_entries(path):
            shown = entry["path"]
            while open_packs and not shown.startswith(open_packs[-1][0]):
                open_packs.pop()
            if PACK in entry:
                packs.append(_pack(entry))
                open_packs.append((f"{shown}/", packs[-1]))
            if is_file(entry):
                for _, pack in open_packs:
                    pack["files"] += 1
                    pack["bytes"] += entry["size"]
    wanted = [pack for pack in packs if is_enabled in (None, is_pack_enabled(pack))]
    return sorted(wanted, key=lambda pack: (_folded(pack_name(pack)), pack["path"]))


def _pack(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("path", "path_b64", "type", "root", "alias_of", "alias_of_b64")
    place = {field: entry[field] for field in fields if field in entry}
    return {**entry[PACK], **place, "files": 0, "bytes": 0}


def is_pack_enabled(pack: Mapping[str, Any]) -> bool:
    """Whether ComfyUI loads it; where that is not told, it does."""
    return pack.get("enabled") is not False


def pack_name(pack: Mapping[str, Any]) -> str:
    """What a pack calls itself, else the name of its folder or file."""
    told = pack.get("name") or pack.get("id")
    return told if isinstance(told, str) else _name(pack["path"]).removesuffix(".disabled")


@contextmanager
def _damage_told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Where an entry lacks what all have, or has it in another form, say that and no more."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableInventoryError(
            f"the inventory at {readable(os.fspath(path))} is damaged: "
            f"{type(error).__name__}: {error}"
        ) from error
