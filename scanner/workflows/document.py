"""Workflows in JSON texts, whichever form they have and whoever wrote them."""

from __future__ import annotations

import json
from typing import Any

from scanner.workflows.api_form import is_api_form, read_api_form
from scanner.workflows.ui_graph import is_ui_graph, read_ui_graph
from scanner.workflows.uses import NoWorkflowError, Workflow, WorkflowError

LARGEST = 64 << 20
"""Most bytes of a JSON text that is read. Workflows have some hundred thousand."""

_KEYS = ("workflow", "prompt", "extra_pnginfo", "output", "extra_data")
"""Keys under which other programs wrap a workflow. The page's form comes first: it says more."""

_MOST_WRAPS = 4

_MOST_PARTS = 16
"""Members of a list that are looked at."""


def read_text(data: bytes) -> Workflow:
    """The workflow in a JSON text. Raises WorkflowError."""
    if len(data) > LARGEST:
        raise WorkflowError(f"it is larger than {LARGEST >> 20} MB")
    return read_document(parse(data))


def parse(data: bytes) -> Any:
    """A JSON text as Python and other programs write it: also with NaN and a byte-order mark.

    Raises WorkflowError.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        return json.loads(data.decode(encoding, "replace"))
    except RecursionError:
        raise WorkflowError("it is nested too deeply") from None
    except ValueError as error:
        raise WorkflowError(f"it is no JSON ({str(error)[:200]})") from None


def read_document(document: Any) -> Workflow:
    """The workflow in a parsed JSON document. Raises WorkflowError if there is none."""
    found = _unwrap(document, 0)
    if found is None:
        raise NoWorkflowError("it holds no workflow of ComfyUI")
    return found


def _unwrap(document: Any, depth: int) -> Workflow | None:
    if is_ui_graph(document):
        return read_ui_graph(document)
    if is_api_form(document):
        return read_api_form(document)
    if depth == _MOST_WRAPS:
        return None
    if isinstance(document, dict):
        parts = [document[key] for key in _KEYS if key in document]
    elif isinstance(document, list):
        parts = document[:_MOST_PARTS]
    else:
        return None
    first: Workflow | None = None
    problem: WorkflowError | None = None
    for part in parts:
        try:
            found = _unwrap(_parsed(part), depth + 1)
        except WorkflowError as error:
            problem = problem or error
            continue
        if found is not None and found.uses:
            return found
        first = first or found
    if first is None and problem is not None:
        raise problem
    return first


def _parsed(part: Any) -> Any:
    """What a text stands for: some programs write JSON within JSON."""
    if not isinstance(part, str) or part[:1] not in ("{", "["):
        return part
    try:
        return parse(part.encode("utf-8", "surrogatepass"))
    except WorkflowError:
        return None
