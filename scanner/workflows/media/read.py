"""Read the workflow of a file of any kind, told by its first bytes and not by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from scanner.workflows.document import LARGEST, read_document, read_text
from scanner.workflows.media import id3, matroska, mp4, parameters, vorbis
from scanner.workflows.media.jpeg import jpeg_texts
from scanner.workflows.media.png import SIGNATURE, png_texts
from scanner.workflows.media.riff import webp_texts
from scanner.workflows.media.source import Source, Texts
from scanner.workflows.media.structured import glb_texts, is_safetensors, safetensors_texts
from scanner.workflows.media.svg import svg_texts
from scanner.workflows.uses import NoWorkflowError, Workflow, WorkflowError

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

_FORMS = ("ui", "api", parameters.FORM)
"""In this order the texts of a file say more."""

_HEAD = 64
"""Bytes that tell the kind of a file."""


def read_workflow(file: BinaryIO, size: int) -> Workflow:
    """The workflow in a file of `size` bytes, open for reading at any place.

    Reads headers only, within the limits of `Source`, and decodes no picture. Raises WorkflowError
    with one sentence if there is none that can be read. OSError is passed on.
    """
    source = Source(file, size)
    head = source.at(0, _HEAD)
    texts = _reader(head)
    if texts is not None:
        return _best(texts(source))
    if _is_json(head):
        if size > LARGEST:
            raise WorkflowError(f"it is larger than {LARGEST >> 20} MB")
        return read_text(source.at(0, size))
    raise WorkflowError("it is no JSON, and no picture, video, sound or model that can hold one")


def read_documents(file: BinaryIO, size: int) -> Texts:
    """Everything in a file of `size` bytes that may be or hold a workflow, as `workflow_in` takes
    it. Nothing if it is of another kind.

    Raises WorkflowError where it cannot be read to its end. OSError is passed on.
    """
    source = Source(file, size)
    head = source.at(0, _HEAD)
    texts = _reader(head)
    if texts is not None:
        yield from texts(source)
    elif _is_json(head):
        if size > LARGEST:
            raise WorkflowError(f"it is larger than {LARGEST >> 20} MB")
        yield "workflow", source.at(0, size)


def _reader(head: bytes) -> Callable[[Source], Texts] | None:
    """What reads the texts of a file that begins so."""
    if head.startswith(SIGNATURE):
        return png_texts
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return webp_texts
    if head.startswith(b"\xff\xd8\xff"):
        return jpeg_texts
    if head[4:8] in mp4.BEGINNINGS:
        return mp4.mp4_texts
    if head.startswith(matroska.SIGNATURE):
        return matroska.matroska_texts
    if head.startswith(vorbis.FLAC):
        return vorbis.flac_texts
    if head.startswith(vorbis.OGG):
        return vorbis.ogg_texts
    if head.startswith(id3.SIGNATURE):
        return id3.id3_texts
    if head.startswith(b"glTF"):
        return glb_texts
    if is_safetensors(head):
        return safetensors_texts
    if head.removeprefix(_BOMS[0]).lstrip().startswith(b"<"):
        return svg_texts
    return None


def _is_json(head: bytes) -> bool:
    return head.startswith(_BOMS) or head.lstrip()[:1] in (b"{", b"[")


def _best(texts: Texts) -> Workflow:
    """The workflow of the page, which says more than what ran: subgraphs and muted nodes.

    The other one where it is damaged, or names nothing.
    """
    found: dict[str, Workflow] = {}
    problem: WorkflowError | None = None
    try:
        for key, value in texts:
            try:
                workflow = workflow_in(key, value)
            except WorkflowError as error:
                if key in ("workflow", "prompt"):
                    problem = problem or WorkflowError(f"its {key} cannot be read: {error}")
                continue
            if workflow.form == "ui" and workflow.uses:
                return workflow
            found.setdefault(workflow.form, workflow)
    except WorkflowError as error:
        problem = problem or error
    if not found:
        raise problem or NoWorkflowError("it holds no workflow of ComfyUI")
    return min(found.values(), key=lambda each: (not each.uses, _FORMS.index(each.form)))


def workflow_in(key: str, value: Any) -> Workflow:
    """The workflow in one text of a file. Raises WorkflowError."""
    if key in ("parameters", "comment") and isinstance(value, bytes):
        models = parameters.read_parameters(value.decode("utf-8", "replace"))
        if models is not None:
            return models
    return read_text(value) if isinstance(value, bytes) else read_document(value)
