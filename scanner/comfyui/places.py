"""Where people have ComfyUI: here, in comfy-cli's workspace, as Desktop and the portable put it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scanner.comfyui.installation import workspaces
from scanner.comfyui.named_folders import SIGNS, likely_folders
from scanner.core.serialize import is_utf8
from scanner.disk.location import locate
from scanner.disk.mounts import read_mounts
from scanner.disk.read_with_timeout import FILE, FOLDER, list_with_timeout, read_with_timeout

HERE = "here"

COMFY_CLI = "comfy-cli's workspace"

DESKTOP = "ComfyUI Desktop"

FOUND = "found in a usual place"


class Installation(NamedTuple):
    """One ComfyUI, and the settings that scan it."""

    path: str
    source: str
    """The words for how it was found."""
    values: Mapping[str, Any]
    """Plain TOML values by the name of their setting."""


def installations(cwd: str, home: str, environ: Mapping[str, str]) -> list[Installation]:
    """All installations in the usual places, those here first.

    A mount that does not answer is left out after a moment (rule 3, a hang stops nothing).
    """
    found: dict[str, Installation] = {}
    mounts = read_mounts()
    for place in _all_places(cwd, home, environ):
        real = os.path.normcase(locate(place.path, mounts).path)
        before = found.get(real)
        if before is None:
            found[real] = place
        elif place.source == DESKTOP:  # which knows more of it
            found[real] = place._replace(path=before.path, source=before.source)
    return list(found.values())


def _all_places(cwd: str, home: str, environ: Mapping[str, str]) -> Iterator[Installation]:
    for path in _around(cwd):
        yield _plain(path, HERE)
    for path in workspaces(home):
        if _is_comfy(path):
            yield _plain(path, COMFY_CLI)
    yield from _desktop(home, environ)
    for folder in _usual_folders(home, environ):
        for path in _below(folder):
            yield _plain(path, FOUND)


def _plain(path: str, source: str) -> Installation:
    return Installation(path, source, {"comfy_root": path})


def _around(cwd: str) -> Iterator[str]:
    """ComfyUI's folders at, below and above `cwd`, and beside it."""
    if _is_comfy(cwd):
        yield cwd
    default = os.path.join(cwd, "ComfyUI")
    if SIGNS & set(_names(default)):  # as `scan` takes it
        yield default
    yield from _below(cwd)
    above = os.path.dirname(cwd)
    if above != cwd:
        if _is_comfy(above):
            yield above
        beside = os.path.join(above, "ComfyUI")
        if beside != cwd and _is_comfy(beside):
            yield beside


def _below(folder: str) -> Iterator[str]:
    """ComfyUI's folders in `folder`, and in the portable's outer folders there."""
    for path in likely_folders(folder, _names(folder)):
        if _is_comfy(path):
            yield path
        elif _is_comfy(inner := os.path.join(path, "ComfyUI")):
            yield inner


def _is_comfy(path: str) -> bool:
    """True for a folder with two signs of ComfyUI: many programs have a main.py, or models."""
    names = set(_names(path))
    return "main.py" in names and len(SIGNS & names) > 1


def _names(path: str) -> list[str]:
    kind, names = list_with_timeout(path)
    return names if kind == FOLDER else []


def _usual_folders(home: str, environ: Mapping[str, str]) -> Iterator[str]:
    yield home
    # Where comfy-cli and both generations of Desktop install by default, and where people unpack.
    for name in ("comfy", "Documents", "Documents/comfy", "ComfyUI-Installs", "Desktop"):
        yield os.path.join(home, *name.split("/"))
    yield os.path.join(home, "Downloads")
    if sys.platform == "win32":
        yield from (f"{letter}:\\" for letter in "CDE")
    elif "WSL_DISTRO_NAME" in environ:
        yield from (f"/mnt/{letter}" for letter in "cde")
    else:
        yield "/opt"


# ComfyUI Desktop


def _desktop(home: str, environ: Mapping[str, str]) -> Iterator[Installation]:
    support = _support_folder(home, environ)
    yield from _desktop_2(os.path.join(support, "Comfy Desktop"))
    yield from _desktop_1(os.path.join(support, "ComfyUI"), home)


def _support_folder(home: str, environ: Mapping[str, str]) -> str:
    """The folder in which programs made with Electron keep their data."""
    if sys.platform == "win32":
        return environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    return environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")


def _desktop_1(data: str, home: str) -> Iterator[Installation]:
    """The base folder of the first Desktop, which has no main.py: its code lies in the program."""
    config = _json(os.path.join(data, "config.json"))
    base = _path_in(config, "basePath") or os.path.join(home, "Documents", "ComfyUI")
    named = os.path.join(data, "extra_models_config.yaml")
    has_named = read_with_timeout(named).kind == FILE
    if (has_named or config) and {"models", "custom_nodes"} & set(_names(base)):
        extra = {"extra_model_paths_config": [named]} if has_named else {}
        yield Installation(base, DESKTOP, {"comfy_root": base, **extra})


def _desktop_2(data: str) -> Iterator[Installation]:
    """The installations of Desktop since June 2026, with the folders that they share."""
    records = _json(os.path.join(data, "installations.json"))
    settings = _json(os.path.join(data, "settings.json"))
    for record in records if isinstance(records, list) else ():
        folder = _path_in(record, "installPath")
        path = os.path.join(folder, "ComfyUI")
        if not folder or not _is_comfy(path):
            continue
        values: dict[str, Any] = {"comfy_root": path}
        name = record.get("id")
        own = f"{name}.yaml" if isinstance(name, str) and os.path.basename(name) == name else ""
        for file in (os.path.join("instance-model-paths", own), "shared_model_paths.yaml"):
            if read_with_timeout(os.path.join(data, file)).kind == FILE:
                values["extra_model_paths_config"] = [os.path.join(data, file)]
                break
        for kind in ("input", "output"):
            is_shared = record.get(f"useShared{kind.title()}") is not False
            shared = _path_in(settings if is_shared else record, f"{kind}Dir")
            if shared:
                values[f"{kind}_directory"] = shared
        yield Installation(path, DESKTOP, values)


def _json(path: str) -> Any:
    """The content of a JSON file of another program; None if it cannot be read."""
    try:
        return json.loads(read_with_timeout(path).content)
    except (ValueError, RecursionError):
        return None


def _path_in(fields: object, name: str) -> str:
    """The absolute path in a field; empty if there is none."""
    value = fields.get(name) if isinstance(fields, dict) else None
    if not isinstance(value, str) or "\0" in value or not os.path.isabs(value):
        return ""
    if not is_utf8(value):  # half a character, which no path can have
        return ""
    return os.path.normpath(value)
