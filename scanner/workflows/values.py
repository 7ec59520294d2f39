"""The names of models in the value of a widget or an input. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from scanner.workflows.loaders import (
    BUILT_IN_VAES,
    LONGEST_NAME,
    NOTES,
    TINY_VAES,
    WITHOUT_LORA_TAGS,
    is_model_name,
)

_EMBEDDING = re.compile(r"embedding:([^\s,:;()\[\]{}<>|]+)")

_LORA_TAG = re.compile(r"<lora:([^<>\n]+?)(?::[-+0-9.]+){0,2}>")

MOST_LEVELS = 16
"""Levels of lists and objects that are searched within one value."""


STEP = 64
"""Characters of a text that are searched in the time that any other value takes."""


class Named(NamedTuple):
    """A name in a value."""

    name: str
    category: str | None
    active: bool = True
    bare: bool = False


def names_in(value: Any, category: str | None, node_class: str) -> Iterator[Named]:
    """The models that `value` names.

    `category` is what the input is known for. Then the text is a name, whatever its ending.
    """
    if node_class in NOTES:
        return
    if isinstance(value, str) and category is not None:
        if _is_file(value, category):
            yield Named(value, category)
        return
    yield from _search(value, node_class, 0)


def weight_of(value: Any, level: int = 0) -> int:
    """About how long a search of `value` takes, as a number of characters."""
    if isinstance(value, str):
        return STEP + len(value)
    if level > MOST_LEVELS:
        return STEP
    if isinstance(value, list):
        return STEP + sum(weight_of(part, level + 1) for part in value)
    if isinstance(value, dict):
        return STEP + sum(weight_of(part, level + 1) for part in value.values())
    return STEP


def _is_file(text: str, category: str) -> bool:
    if not text or len(text) > LONGEST_NAME or "\n" in text or "\0" in text:
        return False
    if category == "vae":
        return text not in BUILT_IN_VAES and (text in TINY_VAES or "." in text)
    # Loaders offer words beside the files: "None", "[None]", "none".
    return category == "diffusers" or "." in text


def _search(value: Any, node_class: str, level: int) -> Iterator[Named]:
    if level > MOST_LEVELS:
        return
    if isinstance(value, str):
        yield from _in_text(value, node_class)
    elif isinstance(value, list):
        for part in value:
            yield from _search(part, node_class, level + 1)
    elif isinstance(value, dict):
        yield from _in_object(value, node_class, level)


def _in_text(text: str, node_class: str) -> Iterator[Named]:
    if is_model_name(text) and "<lora:" not in text and "embedding:" not in text:
        yield Named(text, None)
        return
    for match in _EMBEDDING.finditer(text):
        yield Named(match[1].rstrip("."), "embeddings", bare=True)
    if not node_class.startswith(WITHOUT_LORA_TAGS):
        for match in _LORA_TAG.finditer(text):
            yield Named(match[1], "loras", bare=True)


def _in_object(value: dict[str, Any], node_class: str, level: int) -> Iterator[Named]:
    # {"on": true, "lora": "a.safetensors", "strength": 1} in rgthree's Power Lora Loader,
    # {"name": "a", "strength": 1, "active": true} in Lora Manager's loaders.
    active = value.get("on", value.get("active", True)) is not False
    lora, name = value.get("lora"), value.get("name")
    if isinstance(lora, str) and "strength" in value:
        if _is_file(lora, "loras"):
            yield Named(lora, "loras", active)
        return
    if isinstance(name, str) and "strength" in value and "active" in value:
        if name and len(name) <= LONGEST_NAME:
            yield Named(name, "loras", active, bare=True)
        return
    for part in value.values():
        for found in _search(part, node_class, level + 1):
            yield found._replace(active=found.active and active)
