"""Putting the panel in place, and removing it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scanner import __version__
from scanner.comfyui.installation import Found
from scanner.commands.comfyui.assemble import pack_files
from scanner.errors import OutputError, SettingsError
from scanner.output.file_names import Outputs

NAME = "inventory-panel"
"""The name of the panel in ComfyUI's registry, and of its folder."""

_LIST = ".comfy-inventory.json"
"""Lists the files that were written. A folder without it was made by something else."""

_SETTINGS = "settings.json"

_LARGEST = 1 << 20


class Installed(NamedTuple):
    """The panel in one ComfyUI."""

    path: str
    version: str = ""
    """Empty if it is not installed."""
    inventory: str = ""
    """The inventory that its settings name; empty if it takes the one written last."""
    is_there: bool = False
    """True if that inventory exists."""
    fast_lists: bool = False

    @property
    def is_installed(self) -> bool:
        return bool(self.version)


class Removed(NamedTuple):
    """What was removed."""

    path: str
    is_removed: bool
    left: tuple[str, ...] = ()
    """Files in its folder that were not written by this program."""


def custom_nodes_of(found: Found) -> str:
    """ComfyUI's own folder of node packs. Raises SettingsError if there is none."""
    own = [root.path for root in found.roots if root.kind == "custom_nodes" and not root.named_by]
    if not own:
        raise SettingsError("No ComfyUI is known here: name its folder with --comfy-root.")
    folder = own[0]
    if not os.path.isdir(folder):
        raise SettingsError(f"{folder} does not exist: name ComfyUI's folder with --comfy-root.")
    return folder


def install(
    custom_nodes: str, outputs: Outputs, *, is_named: bool, fast_lists: bool | None
) -> Installed:
    """Write the panel, or replace an older one. Its settings stay, but for what is given.

    Raises OutputError.
    """
    folder = os.path.join(custom_nodes, NAME)
    if os.path.lexists(folder) and _written(folder) is None:
        raise OutputError(f"{folder} was not made by comfy-inventory: it stays as it is.")
    settings = _settings(folder)
    if is_named or os.path.exists(outputs.inventory):
        settings["inventory"] = outputs.inventory
    if fast_lists is not None:
        settings["fast_lists"] = fast_lists
    files = pack_files()
    try:
        old = _written(folder) or []
        os.makedirs(folder, exist_ok=True)
        # First the list: an installation that is cut short can be repeated and removed.
        _write_list(folder, {*old, *files})
        # ComfyUI imports __init__.py; it comes last.
        for name in sorted(files, key=lambda name: name == "__init__.py"):
            _write(os.path.join(folder, *name.split("/")), files[name])
        _remove_files(folder, set(old) - files.keys())
        _write_list(folder, files)
        text = json.dumps(settings, indent=2) + "\n"
        _write(os.path.join(folder, _SETTINGS), text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise _cannot("written", folder, error) from None
    return state(custom_nodes)


def uninstall(custom_nodes: str) -> Removed:
    """Remove the panel. Raises OutputError."""
    folder = os.path.join(custom_nodes, NAME)
    if not os.path.lexists(folder):
        return Removed(folder, False)
    written = _written(folder)
    if written is None:
        raise OutputError(f"{folder} was not made by comfy-inventory: it stays as it is.")
    try:
        _remove_files(folder, {*written, _SETTINGS, _LIST})
        left = [
            os.path.relpath(os.path.join(parent, name), folder)
            for parent, _, names in os.walk(folder)
            for name in names
        ]
    except OSError as error:
        raise _cannot("removed", folder, error) from None
    return Removed(folder, True, tuple(sorted(left)))


def state(custom_nodes: str) -> Installed:
    """What is installed."""
    folder = os.path.join(custom_nodes, NAME)
    known = _read_json(os.path.join(folder, _LIST))
    if not isinstance(known.get("version"), str):
        return Installed(folder)
    settings = _settings(folder)
    inventory = settings.get("inventory")
    path = inventory if isinstance(inventory, str) else ""
    return Installed(
        folder,
        known["version"],
        path,
        bool(path) and os.path.exists(path),
        settings.get("fast_lists") is True,
    )


def is_current(installed: Installed) -> bool:
    """True if it is the panel of this version."""
    return installed.version == __version__


def _written(folder: str) -> list[str] | None:
    """The files that were written into `folder`; None if it was made by something else."""
    if os.path.islink(folder):
        return None
    files = _read_json(os.path.join(folder, _LIST)).get("files")
    if not isinstance(files, list) or not all(map(_is_below, files)):
        return None
    return files


def _is_below(name: Any) -> bool:
    """True for a plain relative path. The list is a file that others may have written."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and ":" not in name


def _settings(folder: str) -> dict[str, Any]:
    return _read_json(os.path.join(folder, _SETTINGS))


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read(_LARGEST).decode("utf-8", "surrogateescape"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_list(folder: str, files: Iterable[str]) -> None:
    text = json.dumps({"version": __version__, "files": sorted(files)}, indent=1) + "\n"
    _write(os.path.join(folder, _LIST), text.encode())


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _remove_files(folder: str, names: Iterable[str]) -> None:
    """Remove these files, what Python compiled of them, and folders that are empty then."""
    folders = {folder}
    for name in names:
        path = os.path.join(folder, *name.split("/"))
        if os.path.lexists(path):
            os.unlink(path)
        parent = os.path.dirname(path)
        _remove_compiled(parent, os.path.splitext(os.path.basename(path))[0])
        while parent != folder:
            folders.add(parent)
            parent = os.path.dirname(parent)
    for path in sorted(folders, key=len, reverse=True):
        if os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)


def _remove_compiled(folder: str, stem: str) -> None:
    cache = os.path.join(folder, "__pycache__")
    if not os.path.isdir(cache) or os.path.islink(cache):
        return
    for name in os.listdir(cache):
        if name.startswith(f"{stem}.") and name.endswith(".pyc"):
            os.unlink(os.path.join(cache, name))
    if not os.listdir(cache):
        os.rmdir(cache)


def _cannot(what: str, path: str, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be {what}: {error.strerror or error}.")
