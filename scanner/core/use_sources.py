"""Files that name models: saved workflows, and what ComfyUI writes with the workflow inside."""

from __future__ import annotations

from scanner.core.roots import Root

VERSION = 1
"""A reader with another number finds other names: what it read is read again."""

ENDINGS = (
    *(".json", ".png", ".apng", ".webp", ".jpg", ".jpeg", ".svg"),
    *(".mp4", ".mov", ".webm", ".mkv", ".flac", ".opus", ".ogg", ".mp3", ".m4a"),
    *(".glb", ".latent", ".safetensors"),
)
"""A file of these endings may hold a workflow."""

KINDS = ("workflows", "output")
"""Kinds of roots whose files are read, in this order: there may be 100,000 pictures."""


def is_source(root: Root, name: str) -> bool:
    """True if the file `name` in `root` is read for the models that it names."""
    return root.kind in KINDS and name.lower().endswith(ENDINGS)
