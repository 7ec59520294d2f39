"""The settings that fit a machine: which ComfyUI, which folders, how often."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scanner.comfyui.installation import Found, find_roots
from scanner.comfyui.places import Installation, installations
from scanner.commands.doctor.examine import open_doctor
from scanner.commands.doctor.finding import STALLED, Finding, combined
from scanner.commands.named_folders import refuse_mistakes
from scanner.core import bounded_toml
from scanner.core.mount_identity import MountIdentity
from scanner.core.serialize import is_utf8, printable
from scanner.disk.filesystem import DiskFileSystem
from scanner.disk.location import locate
from scanner.disk.mounts import Mount, read_mounts
from scanner.errors import SettingsError
from scanner.output.file_names import outputs_of
from scanner.settings.describe import comment
from scanner.settings.editing import edited
from scanner.settings.load import Loaded, load_text
from scanner.settings.schema import TEXTS

SECONDS = 10.0
"""Seconds that all folders together are examined for."""

LIMIT = 3.0
"""Seconds after which a mount that does not answer counts as hung."""

LEAST = 1.0
"""Seconds that must be left to begin with another folder."""

HEADER = """\
# Settings of comfy-inventory, written by `comfy-inventory init`. A relative path starts at the
# folder of this file. `comfy-inventory config show` lists all settings.
"""

MORE = """\
# Folders that models are downloaded to: what is moved from there into ComfyUI is a move.
# downloads = ["~/Downloads"]

# Hash the whole content of models between scans.
# hash = ["sha256"]
"""


class Examined(NamedTuple):
    """A folder, the mount that it lives on, and what was found; None if the time was over."""

    path: str
    mount: Mount
    finding: Finding | None


def named_values(options: Mapping[str, Any], cwd: str) -> dict[str, Any]:
    """The options of folders as values for the file, with absolute paths."""
    values: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, str) and value:
            values[name] = _absolute(value, cwd)
        elif value:
            values[name] = [_absolute(path, cwd) for path in value]
    return values


def _absolute(path: str, cwd: str) -> str:
    return os.path.abspath(os.path.join(cwd, os.path.expanduser(path)))


def needs_search(text: str, path: str, values: Mapping[str, Any]) -> bool:
    """True if neither `values` nor the file at `path`, which holds `text`, names a folder.

    Raises SettingsError if the file is not valid.
    """
    settings = load_text(text, path).settings
    names = ("comfy_root", "models", "downloads", "extra", "extra_model_paths_config")
    return not any(values.get(name) or getattr(settings, name) for name in names)


def places_here(cwd: str, home: str, environ: Mapping[str, str]) -> list[Installation]:
    """The installations to choose from. Raises SettingsError if there is none."""
    places = installations(cwd, home, environ)
    if not places:
        raise SettingsError(
            f"comfy_root: no ComfyUI was found in or around {cwd}, nor where comfy-cli, ComfyUI "
            "Desktop and the portable put it; pass --comfy-root, or --models for a folder of "
            "models without ComfyUI"
        )
    return places


def text_with(
    before: str, values: Mapping[str, Any], path: str, advice: Mapping[str, Any] | None = None
) -> str:
    """The text of the settings file with `values`, and with `advice` where it says nothing yet.

    Raises SettingsError, also for a path that TOML cannot hold.
    """
    for name, value in values.items():
        for text in [value] if isinstance(value, str) else value:
            if not is_utf8(text):
                raise SettingsError(
                    f"{name}: {printable(text)} is not UTF-8, which a settings file cannot hold; "
                    "use a link with a plain name."
                )
    if before.strip():
        set_before = bounded_toml.loads(before) if advice else {}
        new = {name: value for name, value in (advice or {}).items() if name not in set_before}
        return edited(before, {**new, **values}, path)
    values = {**values, "output": values.get("output", "comfy_inventory.json"), **(advice or {})}
    return edited(_commented(values), {}, path)


def _commented(values: Mapping[str, Any]) -> str:
    import tomlkit

    blocks = [HEADER.rstrip()]
    for name, about in TEXTS.items():
        if name in values:
            value = tomlkit.item(values[name]).as_string()
            blocks.append(f"{comment(about)}\n{name} = {value}")
    if "downloads" not in values:
        blocks.append(MORE.rstrip())
    return "\n\n".join(blocks) + "\n"


def checked(
    text: str, path: str, cwd: str, home: str, environ: Mapping[str, str]
) -> tuple[Loaded, Found]:
    """The settings in `text`, and the folders that they scan. Raises SettingsError."""
    loaded = load_text(text, path)
    refuse_mistakes(loaded, outputs_of(loaded.settings, DiskFileSystem(), cwd), cwd)
    return loaded, find_roots(loaded.settings, cwd=cwd, home=home, environ=environ)


def examined(loaded: Loaded, found: Found, cwd: str) -> list[Examined]:
    """Each folder to scan with what can be found out of it in `SECONDS` for all of them."""
    outputs = outputs_of(loaded.settings, DiskFileSystem(), cwd)
    deadline = time.monotonic() + SECONDS
    hung: set[MountIdentity] = set()
    result = []
    with open_doctor(loaded.settings, outputs, limit=LIMIT) as doctor:
        roots = [root for root in found.roots if not root.is_optional]
        for number, root in enumerate(roots):
            mount = locate(root.path, read_mounts()).mount
            left = deadline - time.monotonic()
            if left < LEAST or mount.identity in hung:
                result.append(Examined(root.path, mount, None))
                continue
            # Half of it for the sample: latency and stats take time, too.
            seconds = left / (len(roots) - number) / 2
            finding = doctor.examine(root, probe=False, seconds=seconds)
            if finding.state == STALLED:
                hung.add(mount.identity)
            result.append(Examined(root.path, finding.mount, finding))
    return result


def advised(examined: Sequence[Examined]) -> dict[str, Any]:
    """The settings that fit all folders, as plain TOML values."""
    advice = combined([one.finding for one in examined if one.finding is not None])
    return {} if advice is None else bounded_toml.loads(advice.toml)
