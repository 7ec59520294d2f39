"""Settings as text: `config show` and the commented `config/default.toml`."""

from __future__ import annotations

import json
import textwrap

from scanner.settings.fields import About
from scanner.settings.load import Loaded
from scanner.settings.root_settings import ROOT_TEXTS
from scanner.settings.schema import TEXTS, TYPES, Settings
from scanner.settings.sources import CONFIG_NAME
from scanner.settings.types import PathType


def describe(loaded: Loaded) -> list[tuple[str, object, str]]:
    """Name, value and origin of every setting. Values are texts, numbers, flags, lists and tables,
    as a TOML file has them; None stands for one that is not set."""
    return [
        (name, kind.displayed(getattr(loaded.settings, name)), loaded.origins[name])
        for name, kind in TYPES.items()
    ]


def toml_text(value: object) -> str:
    """A value of `describe` as it would stand in a TOML file."""
    return "(not set)" if value is None else _toml(value)


def _formatted(settings: Settings) -> dict[str, object]:
    return {name: kind.format(getattr(settings, name)) for name, kind in TYPES.items()}


def default_texts() -> dict[str, str]:
    """The default of every setting as it would stand in a TOML file; empty where there is none."""
    defaults = _formatted(Settings())
    return {name: "" if value is None else _toml(value) for name, value in defaults.items()}


def default_toml() -> str:
    """A TOML file with every setting, its meaning and its default: `config/default.toml`.

    What has no default stands there as a comment with an example, and so does a default that is a
    relative path, since in a file it would be taken from the file's folder.
    """
    blocks = [
        "# Every setting of comfy-inventory with its default. Copy what you change to\n"
        f"# {CONFIG_NAME} in the working directory, or name a file with --config.\n"
        "# Durations are written as 30s, 2m, 1.5h or 1d, sizes as 10MB or 64KiB."
    ]
    defaults = _formatted(Settings())
    for name, about in TEXTS.items():
        if name == "per_root":
            # A table takes all lines below it: it must stand last.
            blocks.append(f"{comment(about)}\n# [per_root.{about.example}]")
            continue
        value = defaults[name]
        mark = "# " if value is None or isinstance(TYPES[name], PathType) else ""
        shown = _toml(about.example if value is None else value)
        blocks.append(f"{comment(about)}\n{mark}{name} = {shown}")
    for name, about in ROOT_TEXTS.items():
        blocks.append(f"{comment(about)}\n# {name} = {_toml(about.example)}")
    return "\n\n".join(blocks) + "\n"


def comment(about: About) -> str:
    """The description of a setting as lines of comment."""
    text = f"# {about.description}"
    return "\n".join(textwrap.wrap(text, 98, subsequent_indent="# ", break_on_hyphens=False))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = [f"{_toml(key)} = {_toml(item)}" for key, item in value.items() if item is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and flags look alike in TOML
