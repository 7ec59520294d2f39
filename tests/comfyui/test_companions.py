"""Files next to models: whose they are, what is read of them, and that they are anybody's work."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from scanner.comfyui.companion_reader import MOST_READ, MOST_SHARDS, read_companion, told_by
from scanner.comfyui.companions import INDEX, PIPELINE, SIDECAR, Companion, companion_of
from scanner.comfyui.model_sets import sets_in
from scanner.comfyui.sidecar_facts import claimed_sha256, mismatch, with_claims
from tests.support.fakes import FakeFileSystem
from tests.support.fuzz_companions import fuzz
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


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("a.civitai.info", "a.safetensors"),
        ("a.metadata.json", "a.safetensors"),
        ("a.cm-info.json", "a.safetensors"),
        ("a.json", "a.safetensors"),
        ("a.sha256", "a.safetensors"),
        ("a.safetensors.sha256", "a.safetensors"),
        ("a.ckpt.json", "a.ckpt"),
        ("a.safetensors.rgthree-info.json", "a.safetensors"),
        ("A.SHA256", ""),
        ("a.CIVITAI.INFO", "a.safetensors"),
        ("b.metadata.json", "b.metadata.gguf"),
        ("b.civitai.info", ""),
        ("workflow.json", ""),
        (".json", ""),
        ("a.txt", ""),
        ("a.safetensors", ""),
    ],
)
def test_a_sidecar_is_that_of_the_model_with_its_name(name: str, of: str) -> None:
    names = {"a.safetensors", "a.ckpt", "b.metadata.gguf", name}
    assert companion_of(name, names) == (Companion(SIDECAR, of) if of else None)


def test_indexes_are_known_by_their_names() -> None:
    assert companion_of("model_index.json", ()) == Companion(PIPELINE)
    for name in ("m.safetensors.index.json", "m.bin.index.json", "m.safetensors.index.fp16.json"):
        assert companion_of(name, ()) == Companion(INDEX)


@pytest.mark.parametrize("name", ["m.safetensors", "M.SAFETENSORS", "\u0130.safetensors", "m.bin"])
def test_an_index_next_to_the_model_in_one_file_names_no_set(name: str) -> None:
    index, shards = f"{name}.Index.json", ("a-1", "a-2")
    assert companion_of(index, ()) == Companion(INDEX)
    assert sets_in([name, index], {index: shards}) == []
    assert [found.missing for found in sets_in([index], {index: shards})] == [shards]


CIVITAI = {
    "base_model": "Pony",
    "trigger_words": ["ink style", "by inker"],
    "title": "Ink",
    "version": "v1.0",
    "url": "https://civitai.com/models/122359?modelVersionId=135867",
    "sha256": SHA256,
}
"""What the answer of Civitai's API claims, in whatever file it stands."""


@pytest.mark.parametrize(
    ("document", "claims"),
    [
        (civitai_info(), CIVITAI),
        (lora_manager(), {**CIVITAI, "base_model": "Illustrious", "title": "Ink (mine)"}),
        (
            stability_matrix(),
            {
                "base_model": "NoobAI",
                "trigger_words": ["ink"],
                "title": "Ink",
                "version": "v2",
                "url": "https://civitai.com/models/7?modelVersionId=8",
                "sha256": SHA256,
            },
        ),
        (rgthree(), CIVITAI),
        (
            {**rgthree(), "raw": {}},
            {"base_model": "Pony", "trigger_words": ["ink"], "sha256": SHA256},
        ),
        (automatic1111(), {"base_model": "SDXL", "trigger_words": ["ink", "style"]}),
        ({"base_model": "Unknown", "sd version": "Other"}, {}),
        ({"nodes": [], "links": []}, {}),
    ],
)
def test_each_program_has_its_own_words(document: dict[str, Any], claims: dict[str, Any]) -> None:
    told = told_by(SIDECAR, "ink.safetensors", as_bytes(document))
    assert told == (SIDECAR, {"of": "ink.safetensors", **claims} if claims else {}, "")


@pytest.mark.parametrize(
    "content",
    [
        SHA256.encode(),
        f"{SHA256.upper()}  ink.safetensors\n".encode(),
        f"sha256:{SHA256}\r\n".encode(),
        f"{SHA256} *ink.safetensors".encode(),
    ],
)
def test_the_file_of_sha256sum_is_a_claim(content: bytes) -> None:
    told = told_by(SIDECAR, "ink.safetensors", content)
    assert told.tells == {"of": "ink.safetensors", "sha256": SHA256}


def test_of_several_files_of_a_version_that_of_the_same_name_counts() -> None:
    document = as_bytes(civitai_info())
    assert told_by(SIDECAR, "training.zip", document).tells["sha256"] == "f" * 64
    assert "sha256" not in told_by(SIDECAR, "renamed.safetensors", document).tells


WRONG: list[Any] = [
    [], "text", 1, None, {"civitai": []}, {"modelId": "1", "id": {}}, {"files": {"hashes": 1}},
    {"modelId": -1, "files": [1, {"hashes": [], "name": []}]}, {"trainedWords": [[], {}, 1, None]},
    {"trainedWords": "ink"}, {"Hashes": [], "sha256": {}}, {"base_model": ["SDXL"]},
    {"model": "x", "modelId": 2**70}, {"activation text": []}, {"raw": {"civitai": 1}},
]  # fmt: skip


@pytest.mark.parametrize("document", WRONG)
@pytest.mark.parametrize("kind", [SIDECAR, INDEX, PIPELINE])
def test_a_document_of_another_form_tells_nothing(document: Any, kind: str) -> None:
    told = told_by(kind, "ink.safetensors", as_bytes(document))
    assert (told.tells, told.problem) == ({}, "")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[" * 40_000, b'{"a":"\\ud800"}', bytes(1000)]
)
def test_what_is_no_json_is_told_in_a_sentence(content: bytes) -> None:
    told = told_by(SIDECAR, "a.safetensors", content)
    assert (told.tells, told.problem) == ({}, "The file is not valid JSON.")


def test_texts_are_short_and_clean() -> None:
    document = civitai_info("P\x00o\u202eny", trainedWords=["w" * 9999, *map(str, range(999))])
    document["model"]["name"] = "n" * 10_000
    told = told_by(SIDECAR, "a.safetensors", as_bytes(document)).tells
    assert told["base_model"] == "P o ny"
    assert len(told["title"]) == 500
    assert len(told["trigger_words"]) == 20
    assert max(map(len, told["trigger_words"])) == 100


def test_an_index_names_shards_of_its_own_folder() -> None:
    content = index_of("b.safetensors", "a.safetensors", "../c.safetensors", "d/e", "..", "")
    assert told_by(INDEX, "", content).tells == {"shards": ["a.safetensors", "b.safetensors"]}
    many = index_of(*(f"{number}.safetensors" for number in range(MOST_SHARDS + 1)))
    assert told_by(INDEX, "", many).tells == {}


def test_components_that_are_left_out_are_none() -> None:
    components: dict[str, list[str | None]] = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "safety_checker": [None, None],
        "../x": ["a", "b"],
    }
    content = model_index(**components)
    assert told_by(PIPELINE, "", content).tells == {
        "class": "StableDiffusionXLPipeline",
        "components": {"unet": "UNet2DConditionModel"},
    }


def test_a_large_file_is_not_read() -> None:
    files = FakeFileSystem()
    files.makedirs("/m")
    files.write("/m/a.json", b" " * (MOST_READ + 1))
    files.asked.clear()
    read = read_companion(files, "/m/a.json", SIDECAR, "a.safetensors")
    assert read is not None
    assert read.facts.tells == {}
    assert read.facts.problem == (
        "The file has 4194305 bytes, more than the 4194304 that are read."
    )
    assert not [path for operation, path in files.asked if operation == "open"]


@pytest.mark.parametrize("piece", [b"[],", b'{"":[]},', b'{"":', b"[", b"1.5,", b'"%d",'])
def test_memory_stays_small(piece: bytes) -> None:
    pieces = (piece.replace(b"%d", b"%d" % number) for number in range(MOST_READ // 8))
    content = b'{"files":[' + b"".join(pieces)[: MOST_READ - 20] + b'""]}'
    tracemalloc.start()
    told_by(SIDECAR, "a.safetensors", content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MOST_READ


def test_spoiled_files_break_nothing() -> None:
    """`make fuzz` runs many more."""
    met = fuzz(5000, 1)
    assert min(met["problem"], met["tells"], met["nothing"]) > 100, met


# Together with the header

PONY = {"ink.civitai.info": {"of": "ink.safetensors", "base_model": "Pony"}}


@pytest.mark.parametrize(
    ("model", "word", "base"),
    [
        ({}, "Pony", "SDXL (Pony)"),
        ({"format": "pickle"}, "SD 1.5", "SD 1.5"),
        ({"base_model": "SDXL", "family": "SDXL"}, "Illustrious", "SDXL (Illustrious)"),
        ({"base_model": "SDXL 1.0", "family": "SDXL"}, "NoobAI", "SDXL (NoobAI)"),
        ({"base_model": "SDXL", "family": ["SD 1.5", "SDXL"]}, "Pony", "SDXL (Pony)"),
        (
            {"base_model": "Wan 2.x T2V 14B", "family": "Wan", "kind": "diffusion model"},
            "Wan Video 2.2 T2V-A14B",
            "Wan 2.2 T2V 14B",
        ),
        # Never the opposite of what the tensors say, and nothing less.
        ({"base_model": "SD 1.5", "family": "SD 1.5"}, "Pony", ""),
        ({"base_model": "Flux.1 fill", "family": "Flux.1"}, "Flux.1 D", ""),
        ({"base_model": "SDXL refiner", "family": "SDXL"}, "Pony", ""),
        ({"base_model": "SDXL (Pony)", "family": "SDXL"}, "SDXL 1.0", ""),
        ({"base_model": "Flux.1", "family": "Flux.1", "kind": "lora"}, "Flux.1 S", ""),
        ({"base_model": "SDXL", "family": "SDXL"}, "A new one", ""),
        # A word that is not known is better than none; a path is none.
        ({}, "A new one", "A new one"),
        ({}, "D:\\models\\x", ""),
        ({}, "x.safetensors", ""),
    ],
)  # fmt: skip
def test_a_sidecar_refines_and_never_contradicts(
    model: dict[str, Any], word: str, base: str
) -> None:
    refined = with_claims(model, {"ink.civitai.info": {"base_model": word}})
    if base:
        assert refined["base_model"] == base
        assert refined["evidence"] == "sidecar"
    else:
        assert refined == model


def test_what_people_edit_comes_first() -> None:
    claims = {
        "ink.civitai.info": {"title": "A", "version": "1", "base_model": "Pony"},
        "ink.metadata.json": {"title": "B", "base_model": "Illustrious"},
    }
    refined = with_claims({"title": "ink-000007", "trigger_words": ["1girl"]}, claims)
    assert refined == {
        "title": "B",
        "version": "1",
        "trigger_words": ["1girl"],
        "base_model": "SDXL (Illustrious)",
        "family": "SDXL",
        "evidence": "sidecar",
    }


def test_a_hash_is_a_claim_of_one_file() -> None:
    claims = {
        "ink.json": {"of": "ink.safetensors", "sha256": "a"},
        "ink.sha256": {"of": "ink.safetensors", "sha256": "b"},
    }
    assert claimed_sha256("ink.safetensors", claims) == ("b", "ink.sha256")
    assert claimed_sha256("ink.ckpt", claims) == ("", "")
    assert mismatch("a" * 64, "ink.sha256", "a" * 64) == {}
    assert mismatch("a" * 64, "ink.sha256", "") == {}
    assert mismatch("a" * 64, "ink.sha256", "b" * 64)["status"] == "mismatch"
