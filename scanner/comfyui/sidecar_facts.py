"""The facts of a model together with the claims of its sidecars. Pure.

Sidecars are written by people and sites. What they say of title, version and trigger words replaces
what the header says. Of the base model they may say more than the tensors do, never the opposite:
Pony, Illustrious and NoobAI have the tensors of SDXL. Their SHA-256 is a claim until the file is
hashed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scanner.comfyui.base_words import Base, base_of_word, is_version
from scanner.comfyui.companions import priority

EVIDENCE = "sidecar"

MISMATCH = "mismatch"

_TEXTS = ("title", "version", "url", "trigger_words")

Claims = Mapping[str, Any]
"""What `companion_reader` found in one sidecar."""


def with_claims(model: Mapping[str, Any], claims: Mapping[str, Claims]) -> dict[str, Any]:
    """`model` refined by the sidecars in `claims`, by their names."""
    ordered = in_order(claims)
    refined = dict(model)
    for fact in _TEXTS:
        found = next((told[fact] for _, told in ordered if told.get(fact)), None)
        if found:
            refined[fact] = found
    for _, told in ordered:
        if better := _better(refined, str(told.get("base_model", ""))):
            refined.update(better, evidence=EVIDENCE)
            break
    return refined


def claimed_sha256(model_name: str, claims: Mapping[str, Claims]) -> tuple[str, str]:
    """The SHA-256 that a sidecar claims of the file, and the name of the sidecar; empty if none.

    A file made for that alone (`.sha256`) comes first.
    """
    found = [
        (str(told["sha256"]), name)
        for name, told in in_order(claims)
        if told.get("sha256") and told.get("of") == model_name
    ]
    return min(found, key=lambda item: not item[1].lower().endswith(".sha256"), default=("", ""))


def in_order(claims: Mapping[str, Claims]) -> Sequence[tuple[str, Claims]]:
    """The sidecars with their names, in the order of priority."""
    return sorted(claims.items(), key=lambda item: (priority(item[0]), item[0]))


def mismatch(claimed: str, sidecar: str, digest: str) -> dict[str, str]:
    """Status and problem of a file whose SHA-256 is not the claimed one; empty if it is."""
    if not claimed or not digest or claimed == digest:
        return {}
    return {
        "status": MISMATCH,
        "problem": f"Its SHA-256 begins with {digest[:10]}, but {sidecar} claims {claimed[:10]}.",
    }


_NO_WORD = re.compile(r"[/\\]|\.(?:safetensors|sft|ckpt|pth?|bin|gguf)\Z|.{61}", re.IGNORECASE)
"""What is no word for a base model: a path, a file name, a longer text."""


def _better(model: Mapping[str, Any], word: str) -> dict[str, Any]:
    """The fields that `word` refines; empty if it says nothing new, or the opposite."""
    known = base_of_word(word)
    families = _families(model)
    base = str(model.get("base_model", ""))
    if known is None:
        is_word = word and not _NO_WORD.search(word)
        return {"base_model": word} if is_word and not families and not base else {}
    if not families:
        family_of_base = base_of_word(base) if base else known
        if family_of_base is None or family_of_base.family != known.family:
            return {}
    elif known.family not in families:
        return {}
    if known.name == base or not _says_more(known, base, families, str(model.get("kind", ""))):
        return {}
    return {"base_model": known.name, "family": known.family}


def _families(model: Mapping[str, Any]) -> list[str]:
    family = model.get("family")
    if isinstance(family, str):
        return [family]
    return [str(each) for each in family] if isinstance(family, list) else []


def _says_more(known: Base, base: str, families: Iterable[str], kind: str) -> bool:
    """True if `known` is a branch or version of `base`, or `base` names no more than a family.

    A model that is trained for another fits all versions of it, so of a LoRA's base the versions
    say nothing that its tensors leave open.
    """
    if not base:
        return True
    if "(" in known.name:
        return "refiner" not in base
    if "(" in base:
        return False
    if base in families or base == known.family:
        return known.name != known.family and kind in ("", "checkpoint", "diffusion model")
    return is_version(known.name, base) or known.name.startswith(f"{base} ")
