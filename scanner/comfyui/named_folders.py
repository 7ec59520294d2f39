"""Folders that the settings name by mistake: no ComfyUI, a file, or nothing at all.

A folder that may be away for a time is no mistake: rule 2 (a lost mount deletes nothing) keeps it
as missing or offline. So a folder is refused only if its disk shows that the name is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from typing import NamedTuple

from scanner.core.paths import holds_disks
from scanner.disk.location import locate
from scanner.disk.mounts import read_mounts
from scanner.disk.read_with_timeout import ABSENT, FILE, FOLDER, OTHER, SILENT, list_with_timeout
from scanner.settings.schema import Settings
from scanner.settings.values import suggestion

SIGNS = {"models", "custom_nodes", "main.py", "folder_paths.py"}
"""Names of which ComfyUI's folder has at least one."""

MOST_GUESSES = 8
"""Folders that are looked into for a suggestion. On a network mount each look starts a process."""


class Mistake(NamedTuple):
    """A setting that names a wrong folder, and what is wrong with it."""

    setting: str
    text: str


def mistakes(settings: Settings, cwd: str, known: Set[str]) -> Iterator[Mistake]:
    """The folders of `settings` that are named by mistake. `known` are the paths of roots that
    earlier scans had: these are never mistakes. Mounts that hang are left alone after a moment."""
    if settings.comfy_root is not None:
        path = os.path.abspath(os.path.join(cwd, settings.comfy_root))
        data = os.path.abspath(os.path.join(cwd, settings.base_directory or path))
        if not {os.path.join(data, name) for name in SIGNS} & known:
            text = _wrong_comfy_root(path)
            if text:
                yield Mistake("comfy_root", text)
    kinds = ("models", "workflows", "downloads", "extra")
    named = {kind: getattr(settings, kind) for kind in kinds}
    named["base_directory"] = filter(None, (settings.base_directory,))
    for name, paths in named.items():
        for path in (os.path.abspath(os.path.join(cwd, path)) for path in paths):
            is_known = {path, *(os.path.join(path, sign) for sign in SIGNS)} & known
            if not is_known and (text := _wrong_folder(path)):
                yield Mistake(name, text)


def _wrong_comfy_root(path: str) -> str:
    """What is wrong with the folder at `path` as ComfyUI's; empty if nothing shows it."""
    kind, names = list_with_timeout(path)
    if kind != FOLDER:
        guess = _comfy_near(os.path.dirname(path)) if kind in (FILE, ABSENT, OTHER) else ""
        return _wrong_kind(path, kind, guess)
    if not names or SIGNS & set(names):
        return ""
    guess = _comfy_near(path, names)
    return f"{path} holds no ComfyUI (no models folder and no main.py){_did_you_mean(guess)}"


def _wrong_folder(path: str) -> str:
    return _wrong_kind(path, list_with_timeout(path)[0], "")


def _wrong_kind(path: str, kind: str, guess: str) -> str:
    """What is wrong if `path` is a file, or is not there although its disk is."""
    if kind == FILE:
        return f"expected a folder, but {path} is a file{_did_you_mean(guess)}"
    if kind != ABSENT:
        return ""
    # A link that leads to a mount which is away is there, and its target is not.
    location = locate(path, read_mounts())
    above = os.path.dirname(location.path)
    if location.waits_for_automount or holds_disks(above):
        return ""
    kind, names = list_with_timeout(above)
    if kind != FOLDER or not names:
        return ""
    if not guess:
        like = suggestion(os.path.basename(path), names)
        return f"there is no {path}{like.replace('mean ', f'mean {above}{os.sep}', 1)}"
    return f"there is no {path}{_did_you_mean(guess)}"


def _did_you_mean(guess: str) -> str:
    return f"; did you mean {guess}?" if guess else ""


def _comfy_near(folder: str, names: list[str] | None = None) -> str:
    """ComfyUI's folder at, above or below `folder`, which holds `names`; empty if none is found."""
    for near in (folder, os.path.dirname(folder)):
        if {"main.py", "models"} <= set(names if near == folder and names else _names(near)):
            return near
    inner = likely_folders(folder, _names(folder) if names is None else names)
    found = next((path for path in inner if SIGNS & set(_names(path))), "")
    if found:
        return found
    deeper = (path for outer in inner for path in likely_folders(outer, _names(outer)))
    return next((path for path in deeper if SIGNS & set(_names(path))), "")


def likely_folders(folder: str, names: list[str]) -> list[str]:
    """Folders in `folder` that may be ComfyUI's: the name says so, the exact one first."""
    likely = sorted(
        (name for name in names if "comfy" in name.lower()),
        key=lambda name: (name.lower() != "comfyui", name),
    )
    return [os.path.join(folder, name) for name in likely[:MOST_GUESSES]]


def _names(path: str) -> list[str]:
    kind, names = list_with_timeout(path)
    return names if kind not in (SILENT, OTHER) else []
