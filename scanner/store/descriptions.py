"""The fields of a folder's entries that follow from its sidecars and sets of files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scanner.comfyui.companions import INDEX, SIDECAR, SIDECAR_SUFFIXES, described_by
from scanner.comfyui.model_sets import ModelSet, merged, sets_in
from scanner.comfyui.sidecar_facts import claimed_sha256, mismatch, with_claims
from scanner.core.digests import SHA256
from scanner.core.paths import join
from scanner.core.snapshot import FILE, FILE_LINK, Listing
from scanner.store.metadata import FileMetadata

NO_FIELDS = ("version", "companion", "tells")
"""What is saved and is no field: the version of the reader, and what a file tells of others."""

PART_OF, SIDECAR_OF = "part_of", "sidecar_of"

Fields = dict[str, dict[str, Any]]
"""The fields of entries by name."""


def describe(
    folder: str, listing: Listing, known: Mapping[str, FileMetadata], fields: Fields
) -> None:
    """Add to `fields` what the sidecars and sets in `folder` say.

    `known` has the metadata of the files that are as they were read. The values of `part_of` and
    `sidecar_of` are absolute paths.
    """
    names = frozenset(
        name
        for name, letter in zip(listing.split_names(), listing.types, strict=True)
        if letter in (FILE, FILE_LINK)
    )
    claims: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name in names:
        if name.lower().endswith(SIDECAR_SUFFIXES) and (model := described_by(name, names)):
            fields.setdefault(name, {})[SIDECAR_OF] = join(folder, model)
            if told := told_in(known.get(name), SIDECAR):
                claims.setdefault(model, {})[name] = told
    for model, of_model in claims.items():
        _claim(model, of_model, known.get(model), fields)
    sizes = dict(zip(listing.split_names(), listing.sizes, strict=True))
    for found in sets_of(listing, known):
        _carry(folder, found, sizes, fields)


def told_in(metadata: FileMetadata | None, kind: str) -> Mapping[str, Any]:
    """What a file of this kind of companion tells; empty if nothing, or if it is none."""
    facts = metadata.facts if metadata is not None else None
    if not facts or facts.get("companion") != kind:
        return {}
    tells = facts.get("tells")
    return tells if isinstance(tells, dict) else {}


def sets_of(listing: Listing, known: Mapping[str, FileMetadata]) -> list[ModelSet]:
    """The sets of shards and parts in a folder."""
    indexes = {
        name: shards
        for name, metadata in known.items()
        if isinstance(shards := told_in(metadata, INDEX).get("shards"), list)
    }
    if not indexes and "-of-" not in listing.names:
        return []
    names = [
        name
        for name, letter in zip(listing.split_names(), listing.types, strict=True)
        if letter in (FILE, FILE_LINK)
    ]
    return sets_in(names, indexes)


def _claim(
    model: str,
    claims: Mapping[str, Mapping[str, Any]],
    metadata: FileMetadata | None,
    fields: Fields,
) -> None:
    own = fields.setdefault(model, {})
    if refined := with_claims(own.get("model", {}), claims):
        own["model"] = refined
    claimed, sidecar = claimed_sha256(model, claims)
    if not claimed:
        return
    own["claimed_sha256"] = claimed
    digest = metadata.digests.get(SHA256, b"").hex() if metadata is not None else ""
    if "status" not in own:
        own.update(mismatch(claimed, sidecar, digest))


def _carry(folder: str, found: ModelSet, sizes: Mapping[str, int], fields: Fields) -> None:
    """Give the facts of a set to its carrier, and to its parts the path of that."""
    models = [fields.get(name, {}).get("model", {}) for name in found.parts]
    facts = merged(models, is_whole=not found.missing and all(models))
    own = fields.get(found.carrier, {})
    fields[found.carrier] = {
        **found.fields(sum(sizes[name] for name in found.parts)),
        **own,
        **({"model": facts} if facts else {}),
    }
    if "status" in own and "problem" not in own:
        fields[found.carrier].pop("problem", None)
    mark(found.parts, join(folder, found.carrier), found.carrier, fields)


def mark(parts: Iterable[str], carrier: str, but: str, fields: Fields) -> None:
    """Name the set of each part, and leave the facts to the carrier. `but` is no part."""
    for name in parts:
        if name != but:
            own = fields.setdefault(name, {})
            own.pop("model", None)
            own[PART_OF] = carrier
