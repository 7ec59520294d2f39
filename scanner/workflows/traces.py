"""Every text in a file that may name a model.

A check of a workflow must name no model that it does not need. Here it is the other way round: a
name that is missed makes a model look unused, so that each text that may be a name is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from scanner.workflows.document import LARGEST, parse
from scanner.workflows.loaders import ENDINGS, LONGEST_NAME
from scanner.workflows.media.read import read_documents, workflow_in
from scanner.workflows.uses import WorkflowError

MOST_NAMES = 20_000
"""Names of one file that are kept. The official templates have up to 30."""

LONGEST_BARE = 255
"""Most characters of a name without an ending, as file systems allow."""

_ENDING = "|".join(re.escape(ending) for ending in sorted(ENDINGS, key=len, reverse=True))

_END_OF_NAME = re.compile(rf"(?:{_ENDING})(?!\w)", re.IGNORECASE)


_TAGS = re.compile(r"embedding:([^\s,:;()\[\]{}<>|]+)|<\w+:([^<>\n:]+)")


def _is_chosen(key: str, value: Any) -> bool:
    """True where nodes keep what people have chosen: names without an ending count only there."""
    return key == "widgets_values" or (key == "inputs" and isinstance(value, dict))


class Traces(NamedTuple):
    """The models that a file names, for sure or perhaps."""

    uses: tuple[tuple[str, str | None, bool], ...] = ()
    """Name, category and whether it is active, as the nodes of the workflow name them."""
    names: tuple[str, ...] = ()
    """All other texts that may name a model."""
    is_cut: bool = False
    """True if there are more than are kept, or the file could not be read to its end."""


def as_text(traces: Traces) -> bytes:
    """The traces as the state keeps them: equal ones give equal texts."""
    import orjson

    uses = {(_whole(name), category and _whole(category), on) for name, category, on in traces.uses}
    ordered = sorted(uses, key=lambda use: (use[0], use[1] or "", use[2]))
    return orjson.dumps([ordered, sorted({*map(_whole, traces.names)}), traces.is_cut])


def _whole(text: str) -> str:
    """`text` without half characters, which JSON may hold and no file can."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def from_text(text: bytes) -> Traces:
    """Inverse of `as_text`."""
    import orjson

    uses, names, is_cut = orjson.loads(text)
    return Traces(tuple((name, category, active) for name, category, active in uses), names, is_cut)


def read_traces(file: BinaryIO, size: int) -> Traces:
    """The traces in a file of `size` bytes of any kind. OSError is passed on."""
    uses: dict[tuple[str, str | None], bool] = {}
    names: dict[str, None] = {}
    is_cut = False
    try:
        for key, value in read_documents(file, size):
            for name in _names(value):
                names[name] = None
                is_cut = is_cut or len(names) > MOST_NAMES
                if is_cut:
                    break
            try:
                needs = workflow_in(key, value).needs()
            except WorkflowError:
                continue
            for need in needs[:MOST_NAMES]:
                place = need.name, need.category
                uses[place] = uses.get(place, False) or need.active
    except WorkflowError:
        is_cut = True
    for name, _ in uses:
        names.pop(name, None)
    kept = tuple(names)[:MOST_NAMES]
    return Traces(tuple((*place, active) for place, active in uses.items()), kept, is_cut)


def _names(value: Any) -> Iterator[str]:
    """Texts of a document, or of a text that may hold one, that may name a model."""
    if isinstance(value, bytes):
        text = value[:LARGEST].decode("utf-8", "replace")
        try:
            value = parse(value)
        except WorkflowError:
            yield from _in_text(text)
            return
    yield from _in_document(value)


def _in_document(document: Any) -> Iterator[str]:
    stack = [(document, False)]
    while stack:
        value, is_chosen = stack.pop()
        if isinstance(value, str):
            yield from _in_value(value, is_chosen)
        elif isinstance(value, list):
            stack.extend((part, is_chosen) for part in value)
        elif isinstance(value, dict):
            for key, part in value.items():
                yield from _in_value(key, False)
                stack.append((part, is_chosen or _is_chosen(key, part)))


def _in_value(text: str, is_chosen: bool) -> Iterator[str]:
    if text[:1] in "{[" and len(text) > 2:
        try:
            inner = parse(text.encode("utf-8", "surrogatepass"))
        except WorkflowError:
            pass
        else:
            yield from _in_document(inner)
    if text.strip() and "\n" not in text:
        is_name = text.lower().endswith(ENDINGS) and len(text) <= LONGEST_NAME
        if is_name or (is_chosen and len(text) <= LONGEST_BARE):
            yield text
    yield from _in_text(text)


def _in_text(text: str) -> Iterator[str]:
    for match in _TAGS.finditer(text):
        yield match[1] or match[2]
    # Names may hold blanks, so that all of the line before an ending is kept. Backwards from the
    # ending, and not too far: a text without line ends may have megabytes.
    for match in _END_OF_NAME.finditer(text):
        before = text[max(0, match.end() - LONGEST_BARE) : match.end()]
        yield before[max(before.rfind("\n"), before.rfind("\r")) + 1 :].lstrip()
