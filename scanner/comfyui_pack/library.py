"""What one inventory says about models, in the forms that the panel asks for. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .parts.core.serialize import native
from .parts.workflows.index import Index
from .tree import Tree

_WANTED = re.compile(
    rb'"(?:category|status|problem)":'
    rb'|\.(?:safetensors|sft|gguf|ckpt|pt2?|pth|bin|pkl|onnx|engine|torchscript)[."]',
    re.IGNORECASE,
)
"""Signs of lines that may be models or have a problem. Others are not parsed."""

_NO_PROBLEM = ("", "unsettled", "partial")
"""States of files that are still written. They are shown, and do not count as problems."""

_WHOLE = ("", "mismatch")

_WITH_HEADER = (".safetensors", ".sft", ".gguf")
"""Files whose header tells whether they are whole. It is read soon after they have come."""


class Model(NamedTuple):
    """A model that ComfyUI's loaders list."""

    path: str
    key: str
    """Identifies the entry: its path, or the bytes of it where they are no text."""
    name: str
    category: str
    size: int
    status: str
    base_model: str
    is_read: bool
    """False while its content has not been looked at since it came or changed."""
    words: str
    """Name and base model without regard to capitals and separators, for the search."""

    @property
    def is_whole(self) -> bool:
        """True if its content was looked at, and is neither incomplete nor damaged."""
        return self.is_read and self.status in _WHOLE


class Problem(NamedTuple):
    """Something about a file that a person may want to mend."""

    path: str
    status: str
    text: str
    counts: bool
    """False for what will pass by itself, as a download."""


class Library(NamedTuple):
    """One inventory."""

    scan: int
    generated: str
    base: str | None
    roots: tuple[Mapping[str, Any], ...]
    unreachable: tuple[Mapping[str, Any], ...]
    index: Index
    tree: Tree
    models: Mapping[str, Model]
    problems: tuple[Problem, ...]


class UnreadableError(ValueError):
    """A file is not what it should be: one sentence."""


def read_library(lines: Iterable[bytes]) -> Library:
    """The library of the lines of an inventory. Raises UnreadableError."""
    remaining = iter(lines)
    try:
        header = _header(next(remaining, b""))
        base = native(header, None, "base") if "base" in header else None
        entries = list(_entries(remaining))
        models = {model.key: model for model in map(_model, entries) if model is not None}
        return Library(
            header["scan"],
            header.get("generated", ""),
            base,
            tuple(header["roots"]),
            tuple(header.get("unreachable", ())),
            Index(header, entries),
            Tree(entries, base),
            models,
            tuple(problem for entry in entries if (problem := _problem(entry))),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"it is damaged, or no inventory ({error})") from error


def _header(line: bytes) -> dict[str, Any]:
    header = json.loads(line.rstrip(b"\r\n") + b"]}")
    if not isinstance(header, dict) or header.get("schema") != 2:
        raise ValueError(f"schema {header.get('schema')}, this panel reads 2")
    return header


def _entries(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith(b"]}"):
            return
        if _WANTED.search(line):
            yield json.loads(line.rstrip(b",\r\n"))
    raise ValueError("it has no end")


def _model(entry: Mapping[str, Any]) -> Model | None:
    if "name" not in entry or "alias_of" in entry or "sidecar_of" in entry:
        return None
    facts = entry.get("model", {})
    base = facts.get("base_model", "")
    base_model = ", ".join(base) if isinstance(base, list) else str(base)
    return Model(
        entry["path"],
        key_of(entry),
        entry["name"],
        entry.get("category", ""),
        entry.get("size", entry.get("total_size", 0)),
        entry.get("status", ""),
        base_model,
        "set" in entry or _is_read(entry),
        _plain(f"{entry.get('category', '')} {entry['name']} {base_model}"),
    )


def _is_read(entry: Mapping[str, Any]) -> bool:
    has_header = entry["name"].lower().endswith(_WITH_HEADER)
    return "fingerprint" in entry and ("model" in entry or not has_header)


def key_of(fields: Mapping[str, Any]) -> str:
    """What identifies an entry, in an inventory and in the change list."""
    return str(fields.get("path_b64", fields["path"]))


def _problem(entry: Mapping[str, Any]) -> Problem | None:
    if "alias_of" in entry:
        return None
    status, text = entry.get("status", ""), entry.get("problem", "")
    misplaced = entry.get("misplaced")
    if misplaced and not status:
        status = "misplaced"
        text = (
            f"Its header says {misplaced['kind']}, and it lies in the folder of "
            f"{misplaced['category']}."
        )
    if not status:
        return None
    return Problem(entry["path"], status, text, status not in _NO_PROBLEM)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower())


def search(library: Library, text: str) -> list[Model]:
    """The models whose words begin with all words of `text`, in the order of the inventory."""
    words = _plain(text).split()
    if not words:
        return []
    return [
        model for model in library.models.values() if all(word in model.words for word in words)
    ]
