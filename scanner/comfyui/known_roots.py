"""Roots that stay while the file that named them says nothing (rule 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from typing import NamedTuple

from scanner.comfyui.installation import Found, UnreadFile
from scanner.core.roots import Root
from scanner.core.serialize import readable
from scanner.core.wording import count_text

_MOST_LOOKS = 5
"""Looks at a file that drops roots, until two in succession agree."""


class KnownRoots(NamedTuple):
    """The roots to scan, and a message about each file whose roots were kept."""

    roots: tuple[Root, ...]
    warnings: tuple[str, ...]


def with_known_roots(found: Found, known: Iterable[Root]) -> KnownRoots:
    """The roots of `found`, and those of `known` that an unread file named before."""
    known, unread = tuple(known), {file.path for file in found.unread}
    paths = {root.path for root in found.roots}
    kept: dict[str, Root] = {}
    warnings: list[str] = []
    left = [root for root in known if root.path not in paths]
    for file in found.unread:
        own = {root.path: root for root in left if _may_name(file, root)}
        if own:
            warnings.append(_message(file, len(own)))
        kept.update(own)
    roots = _with_known_order(found.roots, known, unread)
    return KnownRoots((*roots, *kept.values()), tuple(warnings))


def _with_known_order(
    roots: Iterable[Root], known: Iterable[Root], unread: Set[str]
) -> tuple[Root, ...]:
    """`roots`, which ComfyUI also searches as an unread file said before."""
    before = {root.id: root.searched for root in known}
    ordered = []
    for root in roots:
        folders = {folder.path: folder for folder in root.searched if folder.named_by}
        for folder in before.get(root.id, ()):
            if folder.named_by in unread:
                folders.setdefault(folder.path, folder)
        own = (folder for folder in root.searched if not folder.named_by)
        ordered.append(replace(root, searched=(*own, *folders.values())))
    return tuple(ordered)


def sure_roots(
    found: Found, known: Sequence[Root], look_again: Callable[[], Found | None]
) -> KnownRoots:
    """As `with_known_roots`, for a start. Roots that a file named are dropped only if two looks in
    succession agree: a file that is being written may be whole YAML by chance.

    `look_again` waits and then finds the roots anew; None if it was stopped.
    """
    for _ in range(_MOST_LOOKS):
        roots = with_known_roots(found, known)
        if not _dropped(known, roots.roots):
            return roots
        again = look_again()
        if again is None:
            break
        if (again.roots, again.unread) == (found.roots, found.unread):
            return roots
        found = again
    roots = with_known_roots(found, known)
    return roots._replace(roots=(*roots.roots, *_dropped(known, roots.roots)))


def _dropped(known: Iterable[Root], roots: Iterable[Root]) -> list[Root]:
    """Those of `known` that a file named and that are not among `roots`."""
    paths = {root.path for root in roots}
    return [root for root in known if root.named_by and root.path not in paths]


def _may_name(file: UnreadFile, root: Root) -> bool:
    if root.named_by is not None:
        return root.named_by == file.path
    # The settings name no folders of a category.
    is_named_by_file = bool(root.category)
    is_likely = root.kind in ("models", "custom_nodes") and not file.is_absent
    return is_named_by_file or (is_likely and not file.is_cut)


def _message(file: UnreadFile, count: int) -> str:
    folders = count_text(count, "folder")
    text = (
        f"{readable(file.path)}: {file.problem}. What it named before ({folders}) stays in the "
        "inventory until the file can be read again."
    )
    if file.is_absent:
        text += " To remove them, write {} into it."
    if file.is_cut:
        text += " To remove them, end its last line."
    return text
