"""Settings from options, environment, TOML file and profile, in this order of precedence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanner.errors import SettingsError
from scanner.settings.fields import WrongValueError
from scanner.settings.schema import TYPES, Settings
from scanner.settings.sources import Layer, layers_of_text, read_layers
from scanner.settings.values import suggestion

ADDED = ("ignore", "per_root")
"""Settings of the user that add to those of the profile."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each of them the words that say where its value came from."""

    settings: Settings
    origins: dict[str, str]
    """Field -> "option", "environment COMFY_INVENTORY_EVERY", "file /x/y.toml", "profile nas" or
    "default"."""
    places: dict[str, str]
    """Field -> the words for its place in a message, with the line of a file; set fields only."""
    config: str | None = None
    """The TOML file that was read."""


def load(
    options: Mapping[str, object],
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: str | os.PathLike[str] = ".",
) -> Loaded:
    """Settings from options, environment, TOML file, profile and defaults, in this order.

    `ignore` and `per_root` of the user add to those of the profile; every other setting replaces
    it.

    `options` are fields of `Settings` and `config`; None and empty lists count as not given, and
    so do empty environment variables. `~` is expanded; a relative path stays relative to the
    working directory, but one in a TOML file of the user is taken from that file's folder. Keys
    of `per_root` that are paths come out absolute.

    Raises SettingsError: one sentence with the setting, where it stands and what was expected.
    """
    layers, config = read_layers(options, environ, cwd)
    return _loaded(layers, config)


def load_text(text: str, path: str) -> Loaded:
    """Settings from a TOML file at the absolute `path` with this text, its profile and defaults.

    Raises SettingsError as `load` does.
    """
    return _loaded(layers_of_text(text, path), path)


def _loaded(layers: list[Layer], config: str | None) -> Loaded:
    for layer in layers:
        _refuse_unknown(layer)
    source = {name: layer for layer in reversed(layers) for name in layer.values}
    values: dict[str, Any] = {
        name: layer.value(name, TYPES[name]) for name, layer in source.items()
    }
    added = _add_to_profile(layers, values)
    try:
        settings = Settings(**values)
    except WrongValueError as error:
        place = source[error.keys[0]].place_of(error.keys)
        raise SettingsError(f"{'.'.join(error.keys)} ({place}): {error}") from None
    origins = {
        name: source[name].origin_of(name) if name in source else "default" for name in TYPES
    }
    origins.update({name: f"{origins[name]}, {layers[-1].origin}" for name in added})
    places = {name: layer.place_of((name,)) for name, layer in source.items()}
    return Loaded(settings, origins, places, config)


def _add_to_profile(layers: list[Layer], values: dict[str, Any]) -> list[str]:
    """Add the user's `ADDED` settings in `values` to those of the profile; their names."""
    profile = layers[-1]
    if not profile.is_profile:
        return []
    names = [
        name
        for name in ADDED
        if name in profile.values and any(name in layer.values for layer in layers[:-1])
    ]
    for name in names:
        values[name] = _sum(profile.value(name, TYPES[name]), values[name])
    return names


def _sum(base: object, own: object) -> object:
    """`own` added to `base`: lists one after the other, tables key by key. Whatever else `own` is,
    it counts alone."""
    if isinstance(base, list | tuple) and isinstance(own, list | tuple):
        return [*base, *own]
    if isinstance(base, dict) and isinstance(own, dict):
        both = {key: _sum(base[key], own[key]) for key in base.keys() & own.keys()}
        return {**base, **own, **both}
    return own


def _refuse_unknown(layer: Layer) -> None:
    for name in layer.values:
        if name not in TYPES:
            raise SettingsError(
                f"{name} ({layer.place_of((name,))}): expected a setting, and there is none of "
                f"this name{suggestion(name, TYPES)}"
            )
