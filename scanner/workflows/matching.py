"""How a need of a workflow stands: whether ComfyUI here would load it, or where it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from scanner.core.roots import FOLDER_CATEGORIES
from scanner.workflows.index import Index, Place
from scanner.workflows.loaders import ENDINGS, TINY_VAES
from scanner.workflows.uses import Need
from scanner.workflows.variants import Variant, variant_of

PRESENT, ELSEWHERE, OFFLINE, BROKEN = "present", "elsewhere", "offline", "broken"
OTHER_PRECISION, MISSING = "other_precision", "missing"

STATES = (PRESENT, ELSEWHERE, OTHER_PRECISION, BROKEN, OFFLINE, MISSING)
"""From what is there to what is nowhere."""

_EMBEDDING_ENDINGS = ("", ".safetensors", ".pt", ".bin")
"""The order in which ComfyUI tries endings (comfy/sd1_clip.py, load_embed)."""

_VIDEO_VAES = ("taehv", "lighttae")
"""VAELoader also lists files of `vae_approx` whose names begin so (nodes.py)."""

_ANYWHERE = ("loras", "embeddings")
"""Categories whose bare names may lie in any sub-folder."""

Shown = Callable[[str], str]


class Standing(NamedTuple):
    """How a need stands."""

    state: str
    """One of STATES."""
    reason: str = ""
    """Empty if it is present, else a few words."""
    found: Place | None = None
    notes: tuple[str, ...] = ()
    """What else a person should know, a sentence each."""


class _Candidate(NamedTuple):
    place: Place
    reason: str


def category_of_need(need: Need) -> str:
    """The category that a need reads, by its present name; empty if it is not known."""
    category = need.category or ""
    return FOLDER_CATEGORIES.get(category, category)


def stand(need: Need, index: Index, shown: Shown = str) -> Standing:
    """How `need` stands in an inventory. `shown` formats the times in reasons."""
    category = category_of_need(need)
    if category == "vae" and need.name in TINY_VAES:
        return _tiny_vae(need, index, shown)
    exact = _loaded(need, category, index)
    if exact:
        return _of_exact(need, exact, index, shown)
    candidates = list(_candidates(need, category, index))
    return _best(candidates, index, shown) or _of_precision(need, category, index, shown)


# What ComfyUI would load


def _loaded(need: Need, category: str, index: Index) -> list[Place]:
    """The places that ComfyUI takes the value for, those that it takes first at the front."""
    if need.bare and category in _ANYWHERE:
        found = list(_by_bare_name(need.name, category, index))
    elif "/" in need.name and index.is_windows:
        return []
    else:
        name = need.name.replace("\\", "/") if index.is_windows else need.name
        if category:
            found = list(index.named.get((category, name), ()))
        else:
            found = [p for p in index.by_file.get(_last(name).lower(), ()) if p.name == name]
        if category == "vae" and not found and name.startswith(_VIDEO_VAES):
            found = list(index.named.get(("vae_approx", name), ()))
    return sorted((p for p in found if p.is_searched), key=lambda p: p.is_shadowed)


def _by_bare_name(name: str, category: str, index: Index) -> Iterator[Place]:
    name = name.replace("\\", "/") if index.is_windows else name
    endings = _EMBEDDING_ENDINGS if category == "embeddings" else ("", *ENDINGS)
    for ending in endings:
        for place in index.by_file.get(_last(name).lower() + ending, ()):
            wanted, own = f"/{name}{ending}", f"/{place.name}"
            if index.is_windows:
                wanted, own = wanted.lower(), own.lower()
            if place.category == category and own.endswith(wanted):
                yield place


def _of_exact(need: Need, places: Sequence[Place], index: Index, shown: Shown) -> Standing:
    here = [place for place in places if not index.absence(place, shown)]
    if not here:
        first = places[0]
        return Standing(OFFLINE, index.absence(first, shown), first)
    first = here[0]
    notes = tuple(_notes(need, first, index))
    if fault := index.fault(first):
        return Standing(BROKEN, fault, first, notes)
    return Standing(PRESENT, "", first, notes)


def _notes(need: Need, place: Place, index: Index) -> Iterator[str]:
    wanted = _hashes(need)
    if _is_other_content(place, wanted):
        others = [p.path for digits in wanted for p in index.by_sha256.get(digits, ())]
        where = f"; the file with that one is {others[0]}" if others else ""
        yield (
            f"The workflow names a SHA-256 that begins with {sorted(wanted)[0][:10]}, the file's "
            f"begins with {str(place.sha256)[:10]}{where}."
        )
    if place.misplaced:
        yield f"Its header says that it is a {place.misplaced}, which this folder is not for."
    if place.status == "mismatch":
        yield place.problem or "Its content is not the one that its sidecar describes."


def _tiny_vae(need: Need, index: Index, shown: Shown) -> Standing:
    """VAELoader makes these of two files."""
    parts: list[Standing] = []
    for part in ("encoder", "decoder"):
        begin = f"{need.name}_{part}."
        places = [
            place
            for (category, name), found in index.named.items()
            if category == "vae_approx" and name.startswith(begin)
            for place in found
            if place.is_searched
        ]
        named = need._replace(name=f"{begin}safetensors", category="vae_approx", hints=())
        parts.append(
            _of_exact(named, places, index, shown) if places else stand(named, index, shown)
        )
    worst = max(parts, key=lambda each: STATES.index(each.state))
    if worst.state == PRESENT:
        return worst
    files = f"{need.name}_encoder and {need.name}_decoder in vae_approx"
    return worst._replace(reason=f"needs {files}: {worst.reason}")


# Where else it may be


def _candidates(need: Need, category: str, index: Index) -> Iterator[_Candidate]:
    wanted = _hashes(need)
    for digits in sorted(wanted):
        for place in index.by_sha256.get(digits, ()):
            yield _Candidate(place, f"the same content (SHA-256); {_where(place, category, index)}")
    name = need.name.replace("\\", "/").lower()
    same_file = [
        place
        for ending in (("", *ENDINGS) if need.bare else ("",))
        for place in index.by_file.get(_last(name) + ending, ())
        if not _is_other_content(place, wanted)
    ]
    for place in sorted(same_file, key=lambda each: _distance(each, name, category)):
        if place.is_searched and place.category == category and place.name.lower() == name:
            listed = index.listed(place)
            yield _Candidate(place, f"other separators or capitals: ComfyUI lists it as {listed}")
        else:
            yield _Candidate(place, _where(place, category, index))
    for place in index.unfinished.get(_last(name), ()):
        is_there = place.is_searched and place.category == category
        yield _Candidate(place, "" if is_there else _where(place, category, index))


def _distance(place: Place, name: str, category: str) -> tuple[bool, bool, bool, bool, str]:
    """Sorts places by how little a person has to do."""
    return (
        place.category != category,
        not place.is_searched,
        place.name.lower() != name,
        place.folder.kind == "custom_nodes",
        place.path,
    )


def _where(place: Place, category: str, index: Index) -> str:
    folder = place.folder
    if place.is_searched and (place.category == category or not category):
        return f"ComfyUI lists it as {index.listed(place)}"
    if place.is_searched:
        return f"in {place.category}, the node reads {category}"
    if place.category:
        return f"in {folder.path}, which ComfyUI does not search"
    if folder.kind == "downloads":
        return f"in the download folder {folder.path}"
    if folder.kind == "custom_nodes":
        return "inside a node pack"
    return f"in {folder.path}, which holds no models for ComfyUI"


def _best(candidates: Sequence[_Candidate], index: Index, shown: Shown) -> Standing | None:
    """The candidate that helps most: one that is here and whole, or else one that is away."""
    away: Standing | None = None
    broken: Standing | None = None
    for place, reason in candidates:
        absence, fault = index.absence(place, shown), index.fault(place)
        if not absence and not fault:
            return Standing(ELSEWHERE, reason, place, _further(candidates, place, index, shown))
        if absence and not fault:
            away = away or Standing(OFFLINE, absence, place)
        else:
            broken = broken or Standing(BROKEN, "; ".join(filter(None, (fault, reason))), place)
    return away or broken


def _further(
    candidates: Iterable[_Candidate], found: Place, index: Index, shown: Shown
) -> tuple[str, ...]:
    others = {
        place.path
        for place, _ in candidates
        if place.path != found.path and not index.absence(place, shown) and not index.fault(place)
    }
    return (f"Also at {', '.join(sorted(others)[:3])}.",) if others else ()


def _of_precision(need: Need, category: str, index: Index, shown: Shown) -> Standing:
    """The same model in another precision or format, or nothing."""
    wanted = variant_of(_last(need.name.replace("\\", "/")))
    notes: list[str] = []
    found = index.by_model.get(wanted.model, ()) if wanted.model and not need.bare else ()
    for variant, place in sorted(found, key=lambda each: _distance(each[1], "", category)):
        if category and place.category not in (category, ""):
            continue
        if index.fault(place):
            continue
        if _is_other_content(place, _hashes(need)) and variant == wanted:
            notes.append(f"{place.path} has this name and another SHA-256.")
            continue
        if absence := index.absence(place, shown):
            notes.append(f"{place.file_name} is {absence}.")
            continue
        if variant.precision == wanted.precision and variant.ending == wanted.ending:
            reason = f"under a similar name; {_where(place, category, index)}"
            return Standing(ELSEWHERE, reason, place)
        return Standing(OTHER_PRECISION, _difference(wanted, variant), place)
    return Standing(MISSING, "nowhere in the inventory", notes=tuple(notes[:3]))


def _difference(wanted: Variant, here: Variant) -> str:
    if wanted.precision == here.precision:
        return f"the same model as .{here.ending}"
    asked = f", not {wanted.precision}" if wanted.precision else ""
    if not here.precision:
        return f"the same model, its name says no precision{asked}"
    return f"the same model in {here.precision}{asked}"


def _hashes(need: Need) -> set[str]:
    return {hint.sha256 for hint in need.hints if hint.sha256}


def _is_other_content(place: Place, hashes: set[str]) -> bool:
    return bool(hashes) and place.sha256 is not None and place.sha256 not in hashes


def _last(name: str) -> str:
    return name.rpartition("/")[2]
