"""Workflows as programs send them to ComfyUI: `{id: {class_type, inputs}}`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scanner.workflows.loaders import category_of_input
from scanner.workflows.uses import Use, Workflow
from scanner.workflows.values import names_in


def is_api_form(document: Any) -> bool:
    """True if a JSON document has the form that programs send."""
    return isinstance(document, dict) and any(map(_is_node, document.values()))


def read_api_form(document: dict[str, Any]) -> Workflow:
    """The uses of a workflow. Muted nodes are not part of this form."""
    return Workflow("api", tuple(_uses(document)))


def _uses(document: dict[str, Any]) -> Iterator[Use]:
    for number, node in document.items():
        if not _is_node(node):
            continue
        node_class = node["class_type"]
        for name, value in node["inputs"].items():
            if isinstance(value, list) and _is_link(value):
                continue
            category = category_of_input(node_class, name)
            for named in names_in(value, category, node_class):
                yield Use(
                    named.name,
                    named.category,
                    f"{number} {node_class}",
                    named.active,
                    ":" in number,
                    bare=named.bare,
                )


def _is_node(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_type"), str)
        and isinstance(value.get("inputs"), dict)
    )


def _is_link(value: list[Any]) -> bool:
    return len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], int)
