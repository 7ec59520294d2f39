"""Workflows as ComfyUI's page saves them: which names count, in which nodes, at which depth."""

from __future__ import annotations

from typing import Any

import pytest

from scanner.workflows.ui_graph import MOST_DEPTH, MOST_NODES, is_ui_graph, read_ui_graph
from scanner.workflows.uses import Hint, Use, Workflow, WorkflowError

CHECKPOINT = "CheckpointLoaderSimple"
LORA = "LoraLoaderModelOnly"


def node(number: int | str, kind: str, values: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": number, "type": kind, "widgets_values": values, **fields}


def widget(name: str, link: int | None = None) -> dict[str, Any]:
    """An input that is a widget, perhaps linked."""
    return {"name": name, "widget": {"name": name}, "link": link}


def graph(*nodes: dict[str, Any], subgraphs: Any = (), **fields: Any) -> dict[str, Any]:
    definitions = {"definitions": {"subgraphs": list(subgraphs)}} if subgraphs else {}
    return {"nodes": list(nodes), "links": [], **definitions, **fields}


def subgraph(name: str, *nodes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": name, "nodes": list(nodes), "links": [], "inputs": [], **fields}


def from_outside(link: int, slot: int) -> dict[str, Any]:
    """A link within a subgraph that begins at its input number `slot`."""
    return {"id": link, "origin_id": -10, "origin_slot": slot, "target_id": 0, "target_slot": 0}


def read(*nodes: dict[str, Any], **fields: Any) -> Workflow:
    return read_ui_graph(graph(*nodes, **fields))


def named(workflow: Workflow) -> list[tuple[str, str | None]]:
    return [(use.name, use.category) for use in workflow.uses]


def names(workflow: Workflow) -> list[str]:
    return [use.name for use in workflow.uses]


def test_a_loader_names_a_model_of_its_category() -> None:
    workflow = read(node(4, CHECKPOINT, ["sd.safetensors"]))
    assert workflow.form == "ui"
    assert workflow.uses == (
        Use("sd.safetensors", "checkpoints", "4 CheckpointLoaderSimple", True),
    )


def test_each_widget_of_a_loader_has_its_own_category() -> None:
    workflow = read(
        node(1, "CheckpointLoader", ["v1.yaml", "a.ckpt"]),
        node(2, "DualCLIPLoader", ["l.safetensors", "t5.safetensors", "flux"]),
        node(3, "CLIPVisionLoader", ["v.safetensors"]),
    )
    assert named(workflow) == [
        ("v1.yaml", "configs"),
        ("a.ckpt", "checkpoints"),
        ("l.safetensors", "text_encoders"),
        ("t5.safetensors", "text_encoders"),
        ("v.safetensors", "clip_vision"),
    ]


def test_nodes_of_packs_are_known_by_their_widgets_or_the_name_alone() -> None:
    workflow = read(
        node(1, "Some Pack", ["x.safetensors", 1], inputs=[widget("lora_name"), widget("w")]),
        node(2, "Other Pack", ["folder\\y.gguf", "fp8", 3]),
    )
    assert named(workflow) == [("x.safetensors", "loras"), ("folder\\y.gguf", None)]


def test_values_may_be_an_object() -> None:
    workflow = read(node(1, "VHS", {"vae_name": "a.safetensors", "file": "b.pth", "rate": 8}))
    assert named(workflow) == [("a.safetensors", "vae"), ("b.pth", None)]


@pytest.mark.parametrize("mode", [2, 4])
def test_muted_and_bypassed_nodes_are_not_active(mode: int) -> None:
    workflow = read(
        node(1, CHECKPOINT, ["a.ckpt"], mode=mode), node(2, CHECKPOINT, ["b.ckpt"], mode=0)
    )
    assert [use.active for use in workflow.uses] == [False, True]


def test_a_name_in_an_active_and_a_muted_node_is_needed() -> None:
    workflow = read(node(1, CHECKPOINT, ["a.ckpt"], mode=2), node(2, CHECKPOINT, ["a.ckpt"]))
    (need,) = workflow.needs()
    assert need.active
    assert need.nodes == ("1 CheckpointLoaderSimple", "2 CheckpointLoaderSimple")


# Subgraphs


def test_nested_subgraphs_are_read_once_for_each_instance() -> None:
    workflow = read(
        node(1, "outer"),
        node(2, "inner"),
        subgraphs=[
            subgraph("inner", node(7, CHECKPOINT, ["a.ckpt"])),
            subgraph("outer", node(5, "inner"), node(6, LORA, ["b.pt", 1])),
        ],
    )
    assert [(use.name, use.node, use.nested) for use in workflow.uses] == [
        ("a.ckpt", "1:5:7 CheckpointLoaderSimple", True),
        ("b.pt", "1:6 LoraLoaderModelOnly", True),
        ("a.ckpt", "2:7 CheckpointLoaderSimple", True),
    ]


def test_a_subgraph_without_an_instance_is_no_need() -> None:
    assert not read(subgraphs=[subgraph("s", node(1, CHECKPOINT, ["a.ckpt"]))]).uses


@pytest.mark.parametrize("mode", [2, 4])
def test_an_instance_that_is_off_turns_off_all_inside(mode: int) -> None:
    workflow = read(
        node(1, "outer", mode=mode),
        subgraphs=[
            subgraph("outer", node(5, "inner")),
            subgraph("inner", node(7, CHECKPOINT, ["a.ckpt"])),
        ],
    )
    assert [(use.name, use.active) for use in workflow.uses] == [("a.ckpt", False)]


PROMOTING = subgraph(
    "s",
    node(7, LORA, ["inside.pt", 1], inputs=[{"name": "model", "link": 1}, widget("lora_name", 2)]),
    node(8, "VAELoader", ["own.pt"], inputs=[widget("vae_name", 3)]),
    inputs=[{"name": "model"}, {"name": "lora_name"}, {"name": "vae_name"}],
    links=[from_outside(1, 0), from_outside(2, 1), from_outside(3, 2)],
)
"""A subgraph whose inputs are a model, and two widgets."""


@pytest.mark.parametrize(
    "values", [["given.pt", "vae.pt"], {"lora_name": "given.pt", "vae_name": "vae.pt"}]
)
def test_values_of_the_instance_win_in_the_order_of_the_inputs(values: Any) -> None:
    workflow = read(node(1, "s", values), subgraphs=[PROMOTING])
    assert [(use.name, use.category, use.promoted) for use in workflow.uses] == [
        ("given.pt", "loras", True),
        ("vae.pt", "vae", True),
    ]


@pytest.mark.parametrize("values", [None, [], ["one too few.pt"], ["a.pt", "b.pt", "c.pt"]])
def test_values_that_do_not_fit_the_inputs_are_not_believed(values: Any) -> None:
    workflow = read(node(1, "s", values), subgraphs=[PROMOTING])
    assert [(use.name, use.promoted) for use in workflow.uses] == [
        ("inside.pt", False),
        ("own.pt", False),
    ]


def test_an_input_that_the_instance_calls_a_widget_has_a_value() -> None:
    """It feeds a subgraph inside, where nothing says that it is a widget."""
    inner = subgraph(
        "s",
        node(7, LORA, ["inside.pt"], inputs=[widget("lora_name", 2)]),
        inputs=[{"name": "prompt"}, {"name": "lora_name"}],
        links=[from_outside(1, 0), from_outside(2, 1)],
    )
    instance = node(1, "s", ["a cat", "given.pt"], inputs=[widget("prompt")])
    assert names(read(instance, subgraphs=[inner])) == ["given.pt"]


def test_proxied_widgets_keep_their_values_inside() -> None:
    """Pages of 2025 listed them in `proxyWidgets`, and kept no values at the instance."""
    proxies = {"proxyWidgets": [["7", "lora_name"], ["8", "vae_name"]]}
    workflow = read(node(1, "s", [], properties=proxies), subgraphs=[PROMOTING])
    assert names(workflow) == ["inside.pt", "own.pt"]


def test_each_instance_has_values_of_its_own() -> None:
    workflow = read(
        node(1, "s", ["a.pt", "v.pt"]), node(2, "s", ["b.pt", "v.pt"]), subgraphs=[PROMOTING]
    )
    assert names(workflow) == ["a.pt", "v.pt", "b.pt", "v.pt"]


def test_values_pass_through_two_levels() -> None:
    outer = subgraph(
        "o",
        node(5, "s", None, inputs=[widget("lora_name", 4), widget("vae_name", 5)]),
        inputs=[{"name": "vae_name"}, {"name": "lora_name"}],
        links=[from_outside(4, 1), from_outside(5, 0)],
    )
    workflow = read(node(1, "o", ["vae.pt", "lora.pt"]), subgraphs=[PROMOTING, outer])
    assert [(use.name, use.category, use.node) for use in workflow.uses] == [
        ("lora.pt", "loras", "1:5:7 LoraLoaderModelOnly"),
        ("vae.pt", "vae", "1:5:8 VAELoader"),
    ]


def test_a_primitive_gives_the_value_of_the_widget_it_is_linked_to() -> None:
    workflow = read(
        node(1, "PrimitiveNode", ["chosen.ckpt", "fixed"]),
        node(2, CHECKPOINT, ["stale.ckpt"], inputs=[widget("ckpt_name", 9)]),
        links=[[9, 1, 0, 2, 0, "COMBO"]],
    )
    assert ("chosen.ckpt", "checkpoints") in named(workflow)
    assert "stale.ckpt" not in names(workflow)
    assert [(need.name, need.category) for need in workflow.needs()] == [
        ("chosen.ckpt", "checkpoints")
    ]


def test_a_value_from_a_node_that_is_worked_out_leaves_the_widget() -> None:
    workflow = read(
        node(1, "Picker", [3]),
        node(2, CHECKPOINT, ["last.ckpt"], inputs=[widget("ckpt_name", 9)]),
        links=[[9, 1, 0, 2, 0, "COMBO"]],
    )
    assert names(workflow) == ["last.ckpt"]


# Hints


def test_hints_help_for_their_name_only() -> None:
    digest = "AB" * 32
    model = {
        "name": "a.safetensors",
        "url": "https://example.org/a",
        "directory": "checkpoints",
        "hash": digest,
        "hash_type": "SHA256",
    }
    workflow = read(node(1, CHECKPOINT, ["other.safetensors"], properties={"models": [model]}))
    assert names(workflow) == ["other.safetensors"]
    assert workflow.needs()[0].hints == ()
    assert workflow.hints == (
        Hint("a.safetensors", "https://example.org/a", "checkpoints", digest.lower()),
    )


def test_a_hint_gives_the_category_where_the_node_does_not() -> None:
    models = [{"name": "a.bin", "url": "https://example.org/a", "directory": "mmaudio"}]
    workflow = read(node(1, "Pack", ["a.bin"], properties={"models": models}))
    assert named(workflow) == [("a.bin", "mmaudio")]
    workflow = read(node(1, "Pack", ["a.bin"]), models=models)
    assert [(need.name, need.category, len(need.hints)) for need in workflow.needs()] == [
        ("a.bin", "mmaudio", 1)
    ]


def test_hints_are_needs_where_the_page_kept_no_values() -> None:
    models = [{"name": "a.safetensors", "url": None, "directory": "loras"}]
    workflow = read(node(1, LORA, None, properties={"models": models}))
    assert named(workflow) == [("a.safetensors", "loras")]


@pytest.mark.parametrize(
    "model", [None, 3, {}, {"name": ""}, {"name": 3}, {"name": ["a"]}, "a.safetensors"]
)
def test_odd_hints_are_none(model: Any) -> None:
    assert read(node(1, "Pack", [1], properties={"models": [model]})).hints == ()


@pytest.mark.parametrize("digest", ["ab" * 20, "", None, 3])
def test_hashes_of_other_kinds_are_none(digest: Any) -> None:
    models = [{"name": "a.pt", "hash": digest, "hash_type": "SHA256"}]
    assert read(models=models).hints == (Hint("a.pt", None, None, None),)
    models = [{"name": "a.pt", "hash": "ab" * 32, "hash_type": "BLAKE3"}]
    assert read(models=models).hints == (Hint("a.pt", None, None, None),)


# What is no need


def test_notes_and_addresses_are_no_needs() -> None:
    workflow = read(
        node(1, "MarkdownNote", ["a.safetensors"]),
        node(2, "Note", ["- [b.safetensors](https://example.org/b.safetensors)"]),
        node(3, "Downloader", ["https://example.org/c.safetensors"]),
        node(4, "Text", ["put d.safetensors\ninto models/e.safetensors"]),
    )
    assert names(workflow) == []


# Graphs that are too large, or lead back into themselves


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_subgraphs_that_hold_themselves_end(levels: int) -> None:
    ring = [
        subgraph(str(level), node(1, str((level + 1) % levels)), node(2, CHECKPOINT, ["a.ckpt"]))
        for level in range(levels)
    ]
    workflow = read(node(0, "0"), subgraphs=ring)
    assert len(workflow.uses) == levels


def test_subgraphs_that_double_at_each_level_end_in_a_sentence() -> None:
    bomb = [
        subgraph(str(level), node(1, str(level + 1)), node(2, str(level + 1)))
        for level in range(60)
    ]
    with pytest.raises(WorkflowError, match=f"more than {MOST_NODES:,} nodes"):
        read(node(0, "0"), subgraphs=bomb)


@pytest.mark.parametrize(
    "inner",
    [
        node(1, "Text", ["x" * 1_000_000]),
        node(1, "Text", [["y"] * 100_000]),
        node(1, "Text", [], inputs=[widget("a")] * 20_000),
        node(1, "Text", [], properties={"models": [{"name": "a"}] * 10_000}),
    ],
    ids=["text", "list", "inputs", "hints"],
)
def test_large_nodes_of_many_instances_end_in_a_sentence(inner: dict[str, Any]) -> None:
    instances = [node(number, "s") for number in range(2000)]
    with pytest.raises(WorkflowError, match="more than 128 million characters"):
        read(*instances, subgraphs=[subgraph("s", inner)])


def test_a_large_value_that_is_given_to_many_nodes_ends_in_a_sentence() -> None:
    many = [node(number, "Text", [], inputs=[widget("t", 1)]) for number in range(2000)]
    inner = subgraph("s", *many, inputs=[{"name": "t"}], links=[from_outside(1, 0)])
    with pytest.raises(WorkflowError, match="more than 128 million characters"):
        read(node(1, "s", ["x" * 1_000_000]), subgraphs=[inner])


def test_many_inputs_of_many_instances_end_in_a_sentence() -> None:
    inputs = [{"name": str(number)} for number in range(10_000)]
    with pytest.raises(WorkflowError, match="more than 128 million characters"):
        read(
            *(node(number, "s", inputs=inputs[:1]) for number in range(2000)),
            subgraphs=[subgraph("s", inputs=inputs)],
        )


def test_a_deep_chain_ends_at_a_depth() -> None:
    chain = [
        subgraph(str(level), node(1, str(level + 1)), node(2, LORA, [f"{level}.pt"]))
        for level in range(1000)
    ]
    workflow = read(node(0, "0"), subgraphs=chain)
    assert len(workflow.uses) == MOST_DEPTH


def test_a_workflow_of_many_nodes_is_read() -> None:
    workflow = read(*(node(number, CHECKPOINT, [f"{number}.ckpt"]) for number in range(5000)))
    assert len(workflow.needs()) == 5000


# Odd values, each where another is expected

ODD: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], {}, [None], [[]], {"a": None}, 10**400]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    "field", ["id", "type", "mode", "inputs", "properties", "widgets_values", "outputs"]
)
def test_odd_fields_of_nodes_break_nothing(field: str, value: Any) -> None:
    broken = {**node(1, CHECKPOINT, ["a.ckpt"], inputs=[widget("ckpt_name", 3)]), field: value}
    workflow = read(broken, node(2, CHECKPOINT, ["b.ckpt"]), links=[[3, 1, 0, 1, 0, "*"]])
    assert "b.ckpt" in names(workflow)


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("field", ["links", "definitions", "models", "groups", "extra", "inputs"])
def test_odd_fields_of_the_graph_break_nothing(field: str, value: Any) -> None:
    document: dict[str, Any] = {**graph(node(1, CHECKPOINT, ["a.ckpt"])), field: value}
    assert names(read_ui_graph(document)) == ["a.ckpt"]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_odd_members_of_lists_break_nothing(value: Any) -> None:
    inputs: list[Any] = [value, {"name": value, "widget": value, "link": value}]
    inputs.append({"name": "n", "widget": {"name": value}, "link": 1})
    document: dict[str, Any] = graph(
        node(1, CHECKPOINT, ["a.ckpt"], inputs=inputs),
        node(2, "s", [value], inputs=inputs),
        links=[value, [value] * 6, {"id": value, "origin_id": value, "origin_slot": value}],
        subgraphs=[value, {"id": value, "nodes": value}, {**PROMOTING, "inputs": inputs}],
    )
    document["nodes"].append(value)
    assert "a.ckpt" in names(read_ui_graph(document))


def test_what_is_a_graph_of_the_page() -> None:
    assert is_ui_graph({"nodes": []})
    others: list[Any] = [{"nodes": {}}, {"nodes": None}, {}, [], "nodes", None]
    for document in others:
        assert not is_ui_graph(document)
