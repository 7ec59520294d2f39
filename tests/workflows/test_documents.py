"""JSON texts as people and programs leave them, and the form that programs send."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from scanner.workflows.api_form import is_api_form
from scanner.workflows.document import LARGEST, parse, read_document, read_text
from scanner.workflows.uses import Use, Workflow, WorkflowError

UI = {"nodes": [{"id": 1, "type": "VAELoader", "widgets_values": ["a.safetensors"]}], "links": []}
API = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "a.safetensors"}}}


def read(text: str) -> Workflow:
    return read_text(text.encode())


def names(workflow: Workflow) -> list[tuple[str, str | None]]:
    return [(use.name, use.category) for use in workflow.uses]


# The form that programs send


def send(**nodes: tuple[str, dict[str, Any]]) -> Workflow:
    document = {
        key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()
    }
    return read_document(document)


def test_inputs_name_models_of_their_categories() -> None:
    workflow = send(
        a=("CheckpointLoaderSimple", {"ckpt_name": "x\\y.ckpt"}),
        b=("CLIPVisionLoader", {"clip_name": "v.pt"}),
        c=("TripleCLIPLoader", {"clip_name1": "1.pt", "clip_name3": "3.pt"}),
        d=("UpscaleModelLoader", {"model_name": "u.pth"}),
        e=("LatentUpscaleModelLoader", {"model_name": "l.pth"}),
        f=("ModelPatchLoader", {"name": "p.pt"}),
        g=("Unknown", {"lora_name_2": "o.pt", "lora_02": "q.pt", "width": 8}),
    )
    assert names(workflow) == [
        ("x\\y.ckpt", "checkpoints"),
        ("v.pt", "clip_vision"),
        ("1.pt", "text_encoders"),
        ("3.pt", "text_encoders"),
        ("u.pth", "upscale_models"),
        ("l.pth", "latent_upscale_models"),
        ("p.pt", "model_patches"),
        ("o.pt", "loras"),
        ("q.pt", None),
    ]
    assert workflow.form == "api"


def test_links_are_no_names() -> None:
    assert not send(a=("VAELoader", {"vae_name": ["12.pt", 0]})).uses


def test_nodes_of_subgraphs_have_their_path_in_the_number() -> None:
    workflow = read_document({"12:3": API["1"]})
    assert workflow.uses == (Use("a.safetensors", "vae", "12:3 VAELoader", True, nested=True),)


def test_what_is_no_node_is_left_out() -> None:
    odd: list[Any] = [None, 3, "x", [], {}, {"class_type": 3, "inputs": {}}, {"class_type": "A"}]
    odd += [{"class_type": "A", "inputs": None}, {"class_type": None, "inputs": {}}]
    document = {str(number): value for number, value in enumerate(odd)} | {"x": API["1"]}
    assert names(read_document(document)) == [("a.safetensors", "vae")]
    for value in odd:
        assert not is_api_form({"1": value})


# What the values of any node may name


@pytest.mark.parametrize("value", ["taesd", "taesdxl", "taesd3", "taef1"])
def test_tiny_decoders_are_needs_of_their_own(value: str) -> None:
    assert names(send(a=("VAELoader", {"vae_name": value}))) == [(value, "vae")]


@pytest.mark.parametrize("value", ["pixel_space", "", "None", "Baked VAE", "[none]", 3, None, True])
def test_words_of_vae_loaders_are_no_needs(value: Any) -> None:
    assert not send(a=("VAELoader", {"vae_name": value})).uses


@pytest.mark.parametrize("value", ["None", "none", "[None]", "", "a\nb.pt", "a\0.pt", "x" * 2000])
def test_words_of_loaders_are_no_needs(value: str) -> None:
    assert not send(a=("LoraLoader", {"lora_name": value})).uses


def test_a_folder_of_diffusers_has_no_ending() -> None:
    workflow = send(a=("DiffusersLoader", {"model_path": "sdxl-turbo"}))
    assert names(workflow) == [("sdxl-turbo", "diffusers")]


def test_embeddings_stand_in_prompts() -> None:
    text = "a cat, (embedding:bad hands:1.2), embedding:sub/EasyNegative. [embedding:x.pt]"
    workflow = send(a=("CLIPTextEncode", {"text": text}))
    assert names(workflow) == [
        ("bad", "embeddings"),
        ("sub/EasyNegative", "embeddings"),
        ("x.pt", "embeddings"),
    ]
    assert all(use.bare for use in workflow.uses)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Prompt with LoRA", [("ink one", "loras"), ("b.safetensors", "loras")]),
        ("CLIPTextEncode", []),
        ("CLIPTextEncodeFlux", []),
    ],
)
def test_tags_of_loras_mean_something_to_packs_only(kind: str, expected: list[Any]) -> None:
    text = "a cat <lora:ink one:0.8> <lora:b.safetensors:1:0.5> <lora:> <lora:c"
    assert names(send(a=(kind, {"text": text}))) == expected


def test_rgthree_and_lora_manager_keep_objects() -> None:
    rgthree = {
        "lora_1": {"on": True, "lora": "a.safetensors", "strength": 1},
        "lora_2": {"on": False, "lora": "b.safetensors", "strength": 0.5, "strengthTwo": None},
        "lora_3": {"on": True, "lora": "None", "strength": 1},
    }
    manager = {
        "loras": {
            "__value__": [
                {"name": "c", "strength": 1, "active": True},
                {"name": "d", "strength": "0.7", "active": False},
            ]
        }
    }
    power = send(a=("Power Lora Loader (rgthree)", rgthree))
    assert [(use.name, use.active, use.bare) for use in power.uses] == [
        ("a.safetensors", True, False),
        ("b.safetensors", False, False),
    ]
    listed = send(a=("Lora Loader (LoraManager)", manager))
    assert [(use.name, use.active, use.bare) for use in listed.uses] == [
        ("c", True, True),
        ("d", False, True),
    ]
    assert {use.category for use in (*power.uses, *listed.uses)} == {"loras"}


def test_what_is_switched_off_switches_off_what_it_holds() -> None:
    value = {"stack": [{"on": False, "model": "a.gguf", "more": ["b.gguf"]}, {"model": "c.gguf"}]}
    workflow = send(a=("Stack", {"value": value}))
    assert [(use.name, use.active) for use in workflow.uses] == [
        ("a.gguf", False),
        ("b.gguf", False),
        ("c.gguf", True),
    ]


@pytest.mark.parametrize(
    "value",
    ["https://example.org/a.safetensors", ".safetensors", "a\nb.safetensors", "a.png", "1.5"],
)
def test_other_texts_are_no_names(value: str) -> None:
    assert not send(a=("Any", {"text": value})).uses


# How files are written


@pytest.mark.parametrize("document", [UI, API], ids=["ui", "api"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda each: each,
        lambda each: {"prompt": each},
        lambda each: {"workflow": each, "other": 1},
        lambda each: {"prompt": each, "extra_data": {"extra_pnginfo": {}}},
        lambda each: {"extra_data": {"extra_pnginfo": {"workflow": each}}},
        lambda each: {"output": each},
        lambda each: {"workflow": json.dumps(each)},
        lambda each: [each],
        lambda each: [0, "job", each, {}],
        lambda each: {"workflow": "{damaged", "prompt": each},
        lambda each: {"workflow": {"nodes": []}, "prompt": each},
    ],
)
def test_workflows_in_the_wraps_of_other_programs(document: Any, wrap: Any) -> None:
    assert names(read(json.dumps(wrap(document)))) == [("a.safetensors", "vae")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    document = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "\u732b\U0001f408.pt"}}}
    text = json.dumps(document, ensure_ascii=False)
    assert names(read_text(text.encode(encoding))) == [("\u732b\U0001f408.pt", "vae")]


def test_half_of_a_surrogate_pair_is_a_name_like_others() -> None:
    assert len(read('{"nodes": [{"type": "X", "widgets_values": ["\\ud800.pt"]}]}').uses) == 1
    wrapped = json.dumps(
        {"workflow": '{"nodes": [{"type": "X", "widgets_values": ["\ud800.pt"]}]}'}
    )
    assert len(read(wrapped).uses) == 1


def test_what_python_writes_and_json_forbids() -> None:
    text = '{"nodes": [{"id": NaN, "type": "VAELoader", "widgets_values": ["a.pt", Infinity]}]}'
    assert names(read(text)) == [("a.pt", "vae")]


def test_keys_that_stand_twice() -> None:
    text = '{"1": {"class_type": "VAELoader", "inputs": {"vae_name": "a.pt", "vae_name": "b.pt"}}}'
    assert names(read(text)) == [("b.pt", "vae")]


def test_huge_numbers() -> None:
    text = '{"nodes": [{"id": %s, "mode": %s, "type": "VAELoader", "widgets_values": ["a.pt"]}]}'
    assert names(read(text % ("9" * 4000, "1e999"))) == [("a.pt", "vae")]
    with pytest.raises(WorkflowError, match=r"^it is no JSON \("):
        read(text % ("9" * 5000, "0"))


SENTENCES = [
    (b"", "it is no JSON"),
    (b"\xef\xbb\xbf", "it is no JSON"),
    (b"\xff\xfe{", "it is no JSON"),
    (b"\xff\xfe", "it is no JSON"),
    (b"{'nodes': []}", "it is no JSON"),
    (b'{"nodes": [', "it is no JSON"),
    (b'{"nodes": []} {}', "it is no JSON"),
    (b"\0" * 100, "it is no JSON"),
    (b"[" * 1_000_000, "it is nested too deeply"),
    (b'{"nodes":' * 1_000_000, "it is nested too deeply"),
    (b"null", "it holds no workflow of ComfyUI"),
    (b"3", "it holds no workflow of ComfyUI"),
    (b'"{}"', "it holds no workflow of ComfyUI"),
    (b"[]", "it holds no workflow of ComfyUI"),
    (b"{}", "it holds no workflow of ComfyUI"),
    (b'{"a": {"class_type": "x"}}', "it holds no workflow of ComfyUI"),
    (b'{"nodes": {"1": {}}}', "it holds no workflow of ComfyUI"),
    (b'{"workflow": {"workflow": {"workflow": {"workflow": {"workflow": {"nodes": []}}}}}}',
     "it holds no workflow of ComfyUI"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), SENTENCES, ids=range(len(SENTENCES)))
def test_odd_texts_end_in_a_sentence(text: bytes, sentence: str) -> None:
    with pytest.raises(WorkflowError, match=f"^{sentence}") as caught:
        read_text(text)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_text_of_50_mb_is_read_and_one_of_more_than_64_is_not() -> None:
    value = "a cat, embedding:one, " + "x, " * (50 << 20 >> 2)
    text = json.dumps({**UI, "nodes": [{"id": 1, "type": "Text", "widgets_values": [value]}]})
    begun = time.process_time()
    assert names(read(text)) == [("one", "embeddings")]
    assert time.process_time() - begun < 10
    with pytest.raises(WorkflowError, match=r"^it is larger than 64 MB$"):
        read_text(bytes(LARGEST + 1))


def test_wraps_within_wraps_end() -> None:
    """Each level is JSON in a text of the level around it."""
    text = json.dumps(UI)
    for _ in range(6):
        text = json.dumps({"workflow": text, "prompt": text})
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read(text)
    document: Any = [UI]
    for _ in range(8):
        document = [document] * 64
    with pytest.raises(WorkflowError, match=r"^it holds no workflow of ComfyUI$"):
        read_document(document)


def test_a_deep_value_within_a_workflow_is_searched_to_a_depth() -> None:
    value: Any = "deep.pt"
    for _ in range(500):
        value = [value]
    document = {"1": {"class_type": "A", "inputs": {"x": ["flat.pt", value, value]}}}
    assert [use.name for use in read_document(document).uses] == ["flat.pt"]


def test_parse_is_what_other_rooms_use() -> None:
    assert parse(b"\xef\xbb\xbf[NaN, 1]")[1] == 1


# Needs


def test_uses_of_one_name_and_category_are_one_need() -> None:
    workflow = send(
        a=("LoraLoader", {"lora_name": "x.pt"}),
        b=("Any", {"thing": "x.pt"}),
        c=("VAELoader", {"vae_name": "x.pt"}),
        d=("LoraLoader", {"lora_name": "x.pt"}),
    )
    assert [(need.name, need.category, need.nodes) for need in workflow.needs()] == [
        ("x.pt", "loras", ("a LoraLoader", "b Any", "d LoraLoader")),
        ("x.pt", "vae", ("c VAELoader",)),
    ]


def test_a_need_is_bare_only_if_all_its_uses_are() -> None:
    uses = [Use("a", "loras", "1 A", True, bare=bare) for bare in (True, False)]
    assert Workflow("ui", tuple(uses)).needs()[0].bare is False
    assert Workflow("ui", tuple(uses[:1])).needs()[0].bare is True
