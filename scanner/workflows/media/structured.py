"""Texts in files that hold a JSON header: meshes (GLB), and models and latents (safetensors).

Formats: glTF 2.0, section 4.4, with ComfyUI's texts in `asset.extras`; and the README of
https://github.com/huggingface/safetensors, with the texts in `__metadata__`.
"""

from __future__ import annotations

import json
import re

from scanner.workflows.document import LARGEST, parse
from scanner.workflows.media.source import Source, Texts, members
from scanner.workflows.uses import WorkflowError

MOST_HEADER = 16 << 20
"""Most bytes that are read of the header of safetensors. The metadata stand first in it, and the
headers of models with 5,000 tensors are under 1 MB."""

_METADATA = re.compile(r'[{,]\s*"__metadata__"\s*:\s*(?=\{)')


def glb_texts(source: Source) -> Texts:
    """The texts in `asset.extras`."""
    header = source.at(12, 8)
    length = int.from_bytes(header[:4], "little")
    if header[4:] != b"JSON" or length > LARGEST:
        return
    document = parse(source.text(source.at(20, length)))
    asset = document.get("asset") if isinstance(document, dict) else None
    yield from members(asset.get("extras") if isinstance(asset, dict) else None)


def is_safetensors(head: bytes) -> bool:
    """True if a file begins with a length below 4 GB and a brace."""
    return len(head) > 8 and head[4:8] == bytes(4) and head[8:9] == b"{"


def safetensors_texts(source: Source) -> Texts:
    """The texts in `__metadata__`."""
    length = int.from_bytes(source.at(0, 8), "little")
    header = source.text(source.at(8, min(length, MOST_HEADER))).decode("utf-8", "replace")
    match = _METADATA.search(header)
    if match is None:
        return
    try:
        metadata, _ = json.JSONDecoder().raw_decode(header, match.end())
    except (ValueError, RecursionError):
        raise WorkflowError("its metadata are damaged") from None
    yield from members(metadata)
