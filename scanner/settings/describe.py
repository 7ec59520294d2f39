"""Settings as text: `config show` and the commented `config/default.toml`."""

from __future__ import annotations

import json
import textwrap

from pydantic.fields import FieldInfo

from scanner.settings.load import Loaded
from scanner.settings.schema import RootSettings, Settings, type_of
from scanner.settings.sources import CONFIG_NAME
from scanner.settings.types import PathType


def describe(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Name, value as it would stand in a TOML file, and origin of every setting."""
    shown = loaded.settings.model_dump()
    return [
        (name, "(not set)" if value is None else _toml(value), loaded.origins[name])
        for name, value in shown.items()
    ]


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
    defaults = Settings().model_dump()
    for name, field in Settings.model_fields.items():
        if name == "per_root":
            continue  # a table takes all lines below it: it must stand last
        value = defaults[name]
        mark = "# " if value is None or isinstance(type_of(name), PathType) else ""
        shown = _toml(_example(field) if value is None else value)
        blocks.append(f"{_comment(field)}\n{mark}{name} = {shown}")
    per_root = Settings.model_fields["per_root"]
    blocks.append(f"{_comment(per_root)}\n# [per_root.{_example(per_root)}]")
    for name, field in RootSettings.model_fields.items():
        blocks.append(f"{_comment(field)}\n# {name} = {_toml(_example(field))}")
    return "\n\n".join(blocks) + "\n"


def _example(field: FieldInfo) -> object:
    return field.examples[0] if field.examples else None


def _comment(field: FieldInfo) -> str:
    return "\n".join(
        textwrap.wrap(f"# {field.description}", 98, subsequent_indent="# ", break_on_hyphens=False)
    )


def _toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = [f"{_toml(key)} = {_toml(item)}" for key, item in value.items() if item is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and flags look alike in TOML
