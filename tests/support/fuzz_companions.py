"""Files next to models, spoiled at random: sidecars, indexes of shards, `model_index.json`.

`python -m tests.support.fuzz_companions [CASES] [SEED]` runs many; `fuzz` is what a test runs.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from typing import Any

import orjson

from scanner.comfyui.companion_reader import (
    MOST_COMPONENTS,
    MOST_SHARDS,
    NAME,
    Told,
    told_by,
)
from scanner.comfyui.companions import INDEX, PIPELINE, SIDECAR, companion_of
from scanner.comfyui.model_facts import TEXT, WORD, WORDS
from scanner.comfyui.model_sets import sets_in
from scanner.comfyui.sidecar_facts import claimed_sha256, with_claims
from tests.support.fuzz_headers import _CONTROLS, MUTATIONS, Tried, _spoiled, main, tried
from tests.support.sidecars import (
    SHA256,
    as_bytes,
    automatic1111,
    civitai_info,
    index_of,
    lora_manager,
    model_index,
    rgthree,
    stability_matrix,
)

MODEL = "ink.safetensors"

CORPUS: dict[str, tuple[str, bytes]] = {
    "ink.civitai.info": (SIDECAR, as_bytes(civitai_info())),
    "ink.metadata.json": (SIDECAR, as_bytes(lora_manager())),
    "ink.cm-info.json": (SIDECAR, as_bytes(stability_matrix())),
    "ink.safetensors.rgthree-info.json": (SIDECAR, as_bytes(rgthree())),
    "ink.json": (SIDECAR, as_bytes(automatic1111())),
    "ink.sha256": (SIDECAR, f"{SHA256}  {MODEL}\n".encode()),
    "m.safetensors.index.json": (
        INDEX,
        index_of("m-00001-of-00003.safetensors", "m-00002-of-00003.safetensors", "x.bin"),
    ),
    "model_index.json": (
        PIPELINE,
        model_index(unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "X"], a=[None]),
    ),
}
"""Kind and content by name."""

_TEXTS = {"base_model", "title", "version", "url", "sha256", "of", "class"}

MOST_SECONDS = 2.0
"""Of processor time for one case; they take less than a thousandth of it."""


def checked(name: str, kind: str, content: bytes) -> Told:
    """What the file tells, after everything that holds of all of them has been found to hold."""
    started = time.process_time()
    told = told_by(kind, MODEL, content)
    seconds = time.process_time() - started
    assert seconds < MOST_SECONDS, f"took {seconds:.1f} s"
    assert told.companion == kind
    assert not (told.tells and told.problem)
    tells = dict(orjson.loads(orjson.dumps(told.tells)))
    assert tells == told.tells
    for word in tells.pop("trigger_words", []):
        assert 0 < len(word) <= WORD
        assert not _CONTROLS.search(word)
    assert len(told.tells.get("trigger_words", ())) <= WORDS
    shards, components = tells.pop("shards", []), tells.pop("components", {})
    assert len(shards) <= MOST_SHARDS
    assert len(components) <= MOST_COMPONENTS
    for part in (*shards, *components):
        assert 0 < len(part) <= NAME
        assert not set("/\\\0") & set(part)
        assert part not in (".", "..")
    assert tells.keys() <= _TEXTS
    for value in (*tells.values(), *components.values()):
        assert len(value) <= TEXT
        assert not _CONTROLS.search(value)
    _used(name, told)
    return told


def _used(name: str, told: Told) -> None:
    """Use it as the inventory does."""
    model = {"base_model": "SDXL", "family": "SDXL", "kind": "lora"}
    if told.companion == SIDECAR:
        refined = with_claims(model, {name: told.tells})
        assert refined["family"] == "SDXL", "a sidecar contradicted the tensors"
        digest, _ = claimed_sha256(MODEL, {name: told.tells})
        assert not digest or (len(digest) == 64 and int(digest, 16) >= 0)
    if told.companion == INDEX:
        shards = told.tells.get("shards", [])
        for found in sets_in([name, *shards[:1]], {name: shards} if shards else {}):
            assert found.total >= len(found.parts) + len(found.missing)
            orjson.dumps(found.fields(0))


def _mutant(chance: random.Random, content: bytes) -> bytes:
    spoiled = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4])):
        if chance.random() < 0.5:
            try:
                document: Any = json.loads(bytes(spoiled))
            except (ValueError, RecursionError):
                continue
            text = json.dumps(_spoiled(chance, document))
            spoiled = bytearray(text.encode("utf-8", "surrogatepass"))
        elif spoiled:
            chance.choice(MUTATIONS)(chance, spoiled)
    return bytes(spoiled[:100_000])


def fuzz(count: int, seed: int) -> Counter[str]:
    """Check `count` mutants of the corpus; raises AssertionError with the first that fails.

    Returns how often each outcome was met.
    """
    names = list(CORPUS)

    def case(chance: random.Random) -> Tried:
        name = chance.choice(names)
        kind, content = CORPUS[name]
        data = _mutant(chance, content)
        if chance.random() < 0.1:
            kind = chance.choice([SIDECAR, INDEX, PIPELINE])
        companion_of("".join(chance.sample(name, len(name))), {MODEL, name})

        def check() -> str:
            told = checked(name, kind, data)
            return "problem" if told.problem else "tells" if told.tells else "nothing"

        return f"{name} as {kind}", data, check

    return tried(count, seed, case)


if __name__ == "__main__":
    main(fuzz)
