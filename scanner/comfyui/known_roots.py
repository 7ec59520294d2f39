"""Roots that stay while the file that named them says nothing (rule 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from scanner.comfyui.installation import Found, UnreadFile
from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.core.wording import count_text


class KnownRoots(NamedTuple):
    """The roots to scan, and a message about each file whose roots were kept."""

    roots: tuple[Root, ...]
    warnings: tuple[str, ...]


def with_known_roots(found: Found, known: Iterable[Root]) -> KnownRoots:
    """The roots of `found`, and those of `known` that an unread file named before."""
    paths = {root.path for root in found.roots}
    kept: dict[str, Root] = {}
    warnings: list[str] = []
    left = [root for root in known if root.path not in paths]
    for file in found.unread:
        own = {root.path: root for root in left if _may_name(file, root)}
        if own:
            warnings.append(_message(file, len(own)))
        kept.update(own)
    return KnownRoots((*found.roots, *kept.values()), tuple(warnings))


def _may_name(file: UnreadFile, root: Root) -> bool:
    if root.named_by is None:
        return not file.is_absent and root.kind in ("models", "custom_nodes")
    return root.named_by == file.path


def _message(file: UnreadFile, count: int) -> str:
    folders = count_text(count, "folder")
    text = (
        f"{readable(file.path)}: {file.problem}. What it named before ({folders}) stays in the "
        "inventory until the file can be read again."
    )
    if file.is_absent:
        text += " To remove them, write {} into it."
    return text
