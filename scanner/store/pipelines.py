"""Diffusers folders: models whose components lie in folders of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scanner.comfyui.companions import PIPELINE, PIPELINE_NAME
from scanner.comfyui.model_files import wants_facts
from scanner.comfyui.model_sets import (
    Component,
    main_component,
    pipeline_facts,
    pipeline_set,
)
from scanner.core.paths import join
from scanner.core.snapshot import CONTAINERS, FILE, FILE_LINK, Listing, Snapshot
from scanner.store.descriptions import PART_OF, Fields, mark, told_in
from scanner.store.metadata import MetadataTable


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A diffusers folder at one moment."""

    folder: str
    carrier: tuple[str, str]
    """Folder and name of the entry that has the facts: the folder itself, or `model_index.json` if
    the folder is a root, which is no entry."""
    class_name: str
    classes: Mapping[str, str]
    """The class of each component."""
    components: Mapping[str, Listing | None]
    """The listings of the folders of components by path, None where there is one that was not
    listed."""

    def mark_parts(self, folder: str, listing: Listing, fields: Fields) -> None:
        """Name this set in the entries of its files in `folder`, which is a part of it."""
        if folder == self.folder:
            if self.carrier != (folder, PIPELINE_NAME):
                fields.setdefault(PIPELINE_NAME, {})[PART_OF] = folder
            return
        # A shard names the index beside it, and the index the folder.
        names = [name for name in _files(listing) if PART_OF not in fields.get(name, {})]
        carriers = [name for name in names if "set" in fields.get(name, {})]
        mark([*filter(wants_facts, names), *carriers], join(*self.carrier), "", fields)

    def fields(self, of_files: Callable[[str, Listing], Fields]) -> dict[str, Any]:
        """The fields of the carrier. `of_files` gives those of the files in a folder."""
        size = 0
        components: dict[str, Component | None] = {}
        facts: dict[str, Mapping[str, Any]] = {}
        for name in self.classes:
            path = join(self.folder, name)
            listing = self.components.get(path)
            if listing is None:
                if path in self.components:
                    components[name] = None
                continue
            known = of_files(path, listing)
            components[name] = Component(_files(listing), _missing_of(known))
            size += sum(row.size for row in listing.rows() if wants_facts(row.name))
            models = [own["model"] for own in known.values() if "model" in own]
            # Of several variants, the one whose tensors say most.
            facts[name] = max(models, key=lambda model: "base_model" in model, default={})
        found = pipeline_set(os.path.basename(self.folder), self.classes, components)
        main = facts.get(main_component(facts), {})
        return {**found.fields(size), "model": pipeline_facts(self.class_name, main)}


def pipelines_in(metadata: MetadataTable, snapshot: Snapshot) -> dict[str, Pipeline]:
    """The diffusers folders in `snapshot` whose `model_index.json` was read, by path."""
    found = {}
    for folder in sorted(metadata.pipelines):
        if pipeline := _pipeline(folder, metadata, snapshot):
            found[folder] = pipeline
    return found


def _pipeline(folder: str, metadata: MetadataTable, snapshot: Snapshot) -> Pipeline | None:
    directory = snapshot.get(folder)
    read = metadata.of(join(folder, PIPELINE_NAME)) if directory is not None else None
    if directory is None or read is None:
        return None
    listing = directory.listing
    rows = {row.name: row for row in listing.rows()}
    index = rows.get(PIPELINE_NAME)
    tells = told_in(read, PIPELINE)
    if index is None or not read.is_of(index.size, index.mtime) or not tells:
        return None
    classes = {str(name): str(value) for name, value in dict(tells.get("components", {})).items()}
    components = {
        path: snapshot[path].listing if path in snapshot else None
        for name in classes
        if name in rows and rows[name].type in CONTAINERS
        for path in (join(folder, name),)
    }
    above, name = os.path.split(folder)
    is_entry = above in snapshot and name in snapshot[above].listing.split_names()
    carrier = (above, name) if is_entry else (folder, PIPELINE_NAME)
    return Pipeline(folder, carrier, str(tells.get("class", "")), classes, components)


def _files(listing: Listing) -> list[str]:
    """Names of the files and links to files."""
    pairs = zip(listing.split_names(), listing.types, strict=True)
    return [name for name, letter in pairs if letter in (FILE, FILE_LINK)]


def _missing_of(fields: Fields) -> list[str]:
    return [name for own in fields.values() for name in own.get("set", {}).get("missing", ())]
