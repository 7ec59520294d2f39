"""Sets: models that lie in several files. Pure.

Shards of safetensors and PyTorch have an index, or names such as `x-00002-of-00003.safetensors`, as
the parts of a GGUF have. A diffusers folder has `model_index.json` and a folder for each component.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scanner.comfyui.companion_reader import MOST_SHARDS
from scanner.comfyui.companions import whole_of_index
from scanner.comfyui.model_files import wants_facts
from scanner.core.wording import count_text

SHARDS, GGUF_PARTS, DIFFUSERS = "shards", "gguf parts", "diffusers"

INCOMPLETE = "incomplete"

_PART = re.compile(r"(.+)-(\d{2,6})-of-(\d{2,6})\.(safetensors|sft|gguf|bin|pt|pth)", re.IGNORECASE)

NAMED = 3
"""Most missing parts that the sentence names; the field `missing` has all of them."""

_WITHOUT_WEIGHTS = ("scheduler", "tokenizer", "processor", "extractor", "guider", "watermark")
"""Parts of the names of classes in diffusers and transformers that have no weights."""

_MAIN = ("transformer", "unet", "prior", "decoder")
"""Components of a pipeline that say what it is, in order of priority."""


class ModelSet(NamedTuple):
    """A model in several files."""

    kind: str
    carrier: str
    """Name of the entry that has the facts: the index, else the first part, or the folder."""
    parts: tuple[str, ...]
    """Those that are there, sorted: names, or of a diffusers folder paths below it."""
    missing: tuple[str, ...]
    """At most `MOST_SHARDS` of those that are not there."""
    total: int
    """Number of all parts."""

    def fields(self, size: int) -> dict[str, Any]:
        """The fields of the carrier's entry. `size` is that of the parts that are there, bytes."""
        told: dict[str, Any] = {"kind": self.kind, "parts": self.total, "bytes": size}
        if not self.missing:
            return {"set": told}
        absent = self.total - len(self.parts)
        more = ", ..." if absent > NAMED else ""
        return {
            "set": {**told, "missing": list(self.missing)},
            "status": INCOMPLETE,
            "problem": f"{absent:,} of {count_text(self.total, 'part')} not there: "
            f"{', '.join(self.missing[:NAMED])}{more}.",
        }


def sets_in(names: Sequence[str], indexes: Mapping[str, Sequence[str]]) -> list[ModelSet]:
    """The sets of shards and parts in a folder with these names.

    `indexes` has the shards that each index in the folder names, as far as it was read.
    """
    here = set(names)
    sets: list[ModelSet] = []
    taken: set[str] = set()
    for index, shards in sorted(indexes.items()):
        if found := _by_index(index, shards, here):
            sets.append(found)
            taken.update(shards)
    groups: defaultdict[tuple[str, str, str], dict[int, str]] = defaultdict(dict)
    for name in names:
        if "-of-" in name and name not in taken and (match := _PART.fullmatch(name)):
            stem, number, total, suffix = match.groups()
            groups[stem, total, suffix].setdefault(int(number), name)
    for (stem, total, suffix), found_parts in groups.items():
        # Shards of data sets are counted from 0.
        if int(total) >= 2 and 0 not in found_parts and max(found_parts) <= int(total):
            sets.append(_by_names(stem, total, suffix, found_parts, here))
    return sets


def _by_index(index: str, shards: Sequence[str], here: Collection[str]) -> ModelSet | None:
    if len(shards) < 2 or whole_of_index(index) in here:
        return None  # the same model may lie there in one file
    parts = tuple(name for name in shards if name in here)
    missing = tuple(name for name in shards if name not in here)
    return ModelSet(SHARDS, index, parts, missing, len(shards))


def _by_names(
    stem: str, total: str, suffix: str, found: Mapping[int, str], here: Collection[str]
) -> ModelSet:
    parts = tuple(found[number] for number in sorted(found))
    width = len(total)
    absent = (number for number in range(1, int(total) + 1) if number not in found)
    missing = tuple(
        f"{stem}-{number:0{width}}-of-{total}.{suffix}"
        for number, _ in zip(absent, range(MOST_SHARDS), strict=False)
    )
    index = f"{stem}.{suffix}.index.json"
    carrier = index if index in here else parts[0]
    kind = GGUF_PARTS if suffix.lower() == "gguf" else SHARDS
    return ModelSet(kind, carrier, parts, missing, int(total))


class Component(NamedTuple):
    """The folder of a component of a pipeline."""

    names: Sequence[str]
    """Its files."""
    missing: Sequence[str]
    """Parts of sets in it that are not there."""


def needs_weights(class_name: str) -> bool:
    """True if a component of this class has weights."""
    low = class_name.lower()
    return bool(low) and not any(part in low for part in _WITHOUT_WEIGHTS)


def pipeline_set(
    folder: str, classes: Mapping[str, str], components: Mapping[str, Component | None]
) -> ModelSet:
    """The diffusers folder of this name as a set.

    `classes` has the class of each component. `components` has those whose folder is there, None if
    it could not be listed: then nothing of it is missing.
    """
    parts: list[str] = []
    missing: list[str] = []
    for name, class_name in sorted(classes.items()):
        if not needs_weights(class_name):
            continue
        if name not in components:
            missing.append(name)
            continue
        component = components[name]
        if component is None:
            continue
        weights = [each for each in component.names if wants_facts(each)]
        parts += (f"{name}/{each}" for each in weights)
        absent = [f"{name}/{each}" for each in component.missing]
        missing += absent if weights or absent else [name]
    return ModelSet(DIFFUSERS, folder, tuple(parts), tuple(missing), len(parts) + len(missing))


# Facts


def merged(models: Sequence[Mapping[str, Any]], *, is_whole: bool) -> dict[str, Any]:
    """The facts of a set from those of its parts, which each tell what its own tensors show.

    `is_whole`: all parts are there and were read; only then there are sums.
    """
    known = [model for model in models if model]
    ordered = sorted(known, key=lambda model: -int(model.get("parameters", 0)))
    facts: dict[str, Any] = {}
    for model in ordered:
        for fact, value in model.items():
            facts.setdefault(fact, value)
    for sums in ("tensors", "parameters", "dtypes"):
        facts.pop(sums, None)
    for fact in ("kind", "base_model", "family", "evidence"):
        facts.pop(fact, None)
    if is_whole and all("parameters" in model for model in known):
        facts.update(_sums(known))
    return {**facts, **_identity(ordered)}


def _sums(models: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    dtypes: Counter[str] = Counter()
    tensors = parameters = 0
    for model in models:
        tensors += model.get("tensors", 0)
        parameters += model.get("parameters", 0)
        dtypes.update(model.get("dtypes", {}))
    return {"tensors": tensors, "parameters": parameters, "dtypes": dict(dtypes.most_common())}


def _identity(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Kind and base model on which the parts agree: some of them show neither."""
    kinds = {str(model["kind"]) for model in models if model.get("kind")}
    kind = next((word for word in _WHOLE if word in kinds), "") if len(kinds) > 1 else ""
    kind = kind or (next(iter(kinds)) if len(kinds) == 1 else "")
    of_kind = [model for model in models if kind and model.get("kind") == kind]
    told = next((model for model in of_kind if model.get("base_model")), {})
    agree = all(
        not model.get("family") or model["family"] == told.get("family") for model in of_kind
    )
    found = {"kind": kind}
    if agree:
        found.update((f, told[f]) for f in ("base_model", "family", "evidence") if f in told)
    return {fact: value for fact, value in found.items() if value}


_WHOLE = ("checkpoint", "text encoder")
"""Kinds that have parts of other kinds in them: a text encoder may have a vision tower."""


def pipeline_facts(class_name: str, main: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a diffusers folder, whose main component has the facts `main`."""
    of_main = ("base_model", "family", "precision", "evidence")
    facts = {fact: main[fact] for fact in of_main if fact in main}
    named = {"architecture": class_name} if class_name else {}
    return {"format": DIFFUSERS, "kind": "checkpoint", **named, **facts}


def main_component(names: Collection[str]) -> str:
    """The component that says what a pipeline is; empty if there is none."""
    return next((name for name in _MAIN if name in names), "")
