"""Setting values in the text of a TOML file of settings; comments and order stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanner.core import bounded_toml
from scanner.errors import SettingsError
from scanner.settings.load import load_text


def edited(text: str, values: Mapping[str, Any], path: str) -> str:
    """`text` with these settings, as plain TOML values; a value of None removes its setting.

    What is equal already keeps its form, so `text` is returned as it is if nothing changes. New
    settings stand before the first table. `path` is absolute; messages name it.

    Raises SettingsError if the old or the new text is no TOML file of settings, with its place.
    """
    load_text(text, path)
    before = bounded_toml.loads(text)
    wanted = {name: value for name, value in values.items() if value is not None}
    after = {name: value for name, value in before.items() if name not in values} | wanted
    if after == before:
        return text
    result = _with_values(text, before, values)
    load_text(result, path)
    if bounded_toml.loads(result) != after:
        names = ", ".join(values)
        raise SettingsError(f"{path}: {names} cannot be changed by this program; edit the file.")
    return result


def _with_values(text: str, before: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    for name, value in values.items():
        if value is None:
            document.pop(name, None)
        elif before.get(name) != value:
            document[name] = value
    result = document.as_string().replace("\r\n", "\n")
    return result.replace("\n", "\r\n") if "\r\n" in text else result
