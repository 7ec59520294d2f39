"""ComfyUI's own workflows, from the package that ComfyUI installs."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from scanner.workflows.document import read_document
from scanner.workflows.loaders import ENDINGS
from scanner.workflows.media.read import read_workflow
from tests.support.media import WRITERS

NAMES_IN_NOTES = re.compile(rf"[\w.-]+(?:{'|'.join(map(re.escape, ENDINGS))})\b")


@pytest.fixture(scope="module")
def templates() -> dict[str, dict[str, Any]]:
    found = {}
    for file in files("comfyui_workflow_templates_json").joinpath("templates").iterdir():
        document = json.loads(file.read_bytes())
        if isinstance(document, dict) and "nodes" in document:
            found[file.name] = document
    return dict(sorted(found.items()))


def nodes(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes, those of subgraphs once each."""
    yield from document["nodes"]
    for subgraph in document.get("definitions", {}).get("subgraphs", ()):
        yield from subgraph["nodes"]


def listed(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and folder of the models that the author wrote down with each node."""
    return [
        (model["name"], model["directory"])
        for node in nodes(document)
        for model in node.get("properties", {}).get("models") or ()
    ]


def without_models(document: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    for node in nodes(copy):
        node.get("properties", {}).pop("models", None)
    return copy


@pytest.mark.parametrize("spare", [True, False], ids=["with-models", "models-deleted"])
def test_every_listed_model_is_a_need_of_its_category_and_nothing_else_is(
    templates: dict[str, dict[str, Any]], spare: bool
) -> None:
    counted: Counter[str] = Counter()
    for name, document in templates.items():
        expected = listed(document)
        workflow = read_document(document if spare else without_models(document))
        needs = {(need.name, need.category) for need in workflow.needs()}
        assert needs == set(expected), name
        counted["templates"] += 1
        counted["with models"] += bool(expected)
        counted["entries"] += len(expected)
        counted["needs"] += len(needs)
        counted["inactive needs"] += sum(not need.active for need in workflow.needs())
        counted["uses"] += len(workflow.uses)
        counted["nested"] += sum(use.nested for use in workflow.uses)
        counted["promoted"] += sum(use.promoted for use in workflow.uses)
        counted["inactive"] += sum(not use.active for use in workflow.uses)
    assert counted == {
        "templates": 644,
        "with models": 261,
        "entries": 1204,
        "needs": 999,
        "inactive needs": 33,
        "uses": 1188,
        "nested": 848,
        "promoted": 346,
        "inactive": 99,
    }


def test_names_in_notes_are_no_needs(templates: dict[str, dict[str, Any]]) -> None:
    """Notes list files for people, among them those of other variants."""
    named_only_there = 0
    for document in templates.values():
        text = " ".join(
            str(node.get("widgets_values")) for node in nodes(document) if "Note" in node["type"]
        )
        in_notes = set(NAMES_IN_NOTES.findall(text))
        needed = {re.split(r"[\\/]", need.name)[-1] for need in read_document(document).needs()}
        named_only_there += len(in_notes - needed)
    assert named_only_there > 50


def test_the_value_of_the_widget_wins_where_the_entry_names_another(
    templates: dict[str, dict[str, Any]],
) -> None:
    changed = 0
    for document in templates.values():
        copy: dict[str, Any] = json.loads(json.dumps(document))
        for node in nodes(copy):
            for model in node.get("properties", {}).get("models") or ():
                model["name"] = f"old/{model['name']}"
                changed += 1
        needs = {(need.name, need.category) for need in read_document(copy).needs()}
        assert needs == set(listed(document))
    assert changed == 1204


@pytest.mark.parametrize("kind", ["plain", "png", "webp", "mp4", "webm", "flac", "opus", "mp3"])
def test_the_same_needs_within_files(templates: dict[str, dict[str, Any]], kind: str) -> None:
    """One template of each fifteen, of all sizes."""
    named = [document for document in templates.values() if listed(document)]
    for document in sorted(named, key=lambda each: len(json.dumps(each)))[::15]:
        data = WRITERS[kind]({"workflow": json.dumps(document)})
        assert read_workflow(io.BytesIO(data), len(data)) == read_document(document)
