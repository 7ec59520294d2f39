"""Every text that may name a model: a name that is missed costs somebody a model."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from scanner.workflows.traces import Traces, as_text, from_text, read_traces
from tests.support.media import chunk


def traces_of(document: Any) -> Traces:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_traces(io.BytesIO(data), len(data))


def everything(traces: Traces) -> set[str]:
    return {*(name for name, _, _ in traces.uses), *traces.names}


def ui(**node: Any) -> dict[str, Any]:
    return {"nodes": [{"id": 1, "type": "Any", "mode": 0, **node}], "links": []}


@pytest.mark.parametrize(
    ("document", "name"),
    [
        (ui(type="LoraLoader", widgets_values=["sub\\a.safetensors", 1]), "sub\\a.safetensors"),
        (ui(type="LoraLoader", mode=4, widgets_values=["a.safetensors", 1]), "a.safetensors"),
        (ui(type="Unknown", widgets_values=["a bare name"]), "a bare name"),
        (ui(type="Unknown", widgets_values={"x": [{"deep": "bare"}]}), "bare"),
        (ui(type="Note", widgets_values=["Get a b.gguf (old),\nor not"]), "Get a b.gguf"),
        (ui(properties={"models": [{"name": "c.pth", "url": "u"}]}), "c.pth"),
        (ui(properties={"odd": "mine is at d.ckpt today"}), "mine is at d.ckpt"),
        (ui(type="CLIPTextEncode", widgets_values=["a (embedding:easy:1.2) cat"]), "easy"),
        (ui(type="CLIPTextEncode", widgets_values=["<lora:style one:0.8> cat"]), "style one"),
        ({"3": {"class_type": "Z", "inputs": {"x": "bare"}}}, "bare"),
        ({"prompt": json.dumps({"3": {"class_type": "Z", "inputs": {"x": "e.pt"}}})}, "e.pt"),
        ({"no workflow": {"of": ["anybody", "f.SAFETENSORS"]}}, "f.SAFETENSORS"),
        ([{"g.safetensors": 1}], "g.safetensors"),
        (b'{"cut": "h.safetensors", "rest', '{"cut": "h.safetensors'),
    ],
)  # fmt: skip
def test_whatever_may_be_a_name_is_kept(document: Any, name: str) -> None:
    assert name in everything(traces_of(document))


def test_words_of_the_format_are_no_names() -> None:
    node = ui(type="KSampler", inputs=[{"name": "model", "type": "MODEL"}], title="My title")
    assert everything(traces_of(node)) == set()


def test_needs_have_their_category_and_whether_they_are_active() -> None:
    traces = traces_of(ui(type="VAELoader", mode=2, widgets_values=["v.safetensors"]))
    assert traces.uses == (("v.safetensors", "vae", False),)


def test_both_texts_of_a_picture_count() -> None:
    texts = {"prompt": {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "p.pt"}}},
             "workflow": ui(type="VAELoader", widgets_values=["w.pt"]),
             "note": {"any": "n.pt"}}  # fmt: skip
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13))
    for key, document in texts.items():
        picture += chunk(b"tEXt", key.encode() + b"\0" + json.dumps(document).encode())
    traces = traces_of(picture + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    assert {"p.pt", "w.pt"} <= everything(traces)
    assert not traces.is_cut


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"{", b"\xff\xd8\xff"])
def test_other_content_names_nothing(data: bytes) -> None:
    assert everything(traces_of(data)) == set()


def test_half_characters_do_not_stop_what_is_kept() -> None:
    traces = traces_of(b'{"a": "\\udce9.safetensors", "b": "ok.safetensors"}')
    kept = from_text(as_text(traces))
    assert "ok.safetensors" in kept.names


def test_equal_names_give_equal_texts() -> None:
    one = ui(widgets_values=["a.pt", "b.pt"], pos=[1, 2])
    other = ui(widgets_values=["b.pt", "a.pt"], pos=[3, 4])
    assert as_text(traces_of(one)) == as_text(traces_of(other))


def test_a_text_of_megabytes_without_a_blank_takes_no_time() -> None:
    data = ("x" * 4_000_000 + "a.safetensors") * 2
    assert "a.safetensors" in {name[-13:] for name in traces_of({"a": data}).names}
