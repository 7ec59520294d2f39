"""Settings from options, environment, TOML file and profile, in this order of precedence."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from scanner.errors import SettingsError
from scanner.settings.schema import RootSettings, Settings, _is_path, _kind_prefix, _suggestion

ENVIRONMENT_PREFIX = "COMFY_INVENTORY_"

CONFIG_NAME = "comfy_inventory.toml"
"""The TOML file that is read from the working directory when none is named."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each of them the words that say where its value came from."""

    settings: Settings
    origins: dict[str, str]
    """Field -> "option", "environment COMFY_INVENTORY_EVERY", "file /x/y.toml", "profile nas" or
    "default"."""
    config: str | None = None
    """The TOML file that was read."""


# Where values come from.


@dataclass(frozen=True, slots=True)
class _Layer:
    """The settings that one source gives, with the words to name the source."""

    values: dict[str, object]
    origin: str
    """"option", "environment", "file /x/y.toml" or "profile nas"."""
    text: str = ""
    """The TOML text, to find the line of a setting."""

    def origin_of(self, name: str) -> str:
        """What `Loaded.origins` says of a setting that stands here."""
        if self.origin == "environment":
            return f"{self.origin} {ENVIRONMENT_PREFIX}{name.upper()}"
        return self.origin

    def place_of(self, keys: Sequence[str]) -> str:
        """Where the setting with these keys, outermost first, stands; as precise as known."""
        if self.text:
            return f"{self.origin}, line {_line_of(self.text, keys)}"
        if self.origin == "option":
            return f"option --{keys[0].replace('_', '-')}"
        return self.origin_of(keys[0])


def load(
    options: Mapping[str, object],
    *,
    environ: Mapping[str, str] = os.environ,
    cwd: str | os.PathLike[str] = ".",
) -> Loaded:
    """Settings from options, environment, TOML file, profile and defaults, in this order.

    `options` are fields of `Settings` and `config`; None and empty lists count as not given, and
    so do empty environment variables. `~` is expanded; a relative path stays relative to the
    working directory, but one in a TOML file of the user is taken from that file's folder. Keys
    of `per_root` that are paths come out absolute.

    Raises SettingsError: one sentence with the setting, where it stands and what was expected.
    """
    home = environ.get("HOME") or environ.get("USERPROFILE") or str(Path.home())
    here = Path(os.path.abspath(cwd))
    options = {key: value for key, value in options.items() if value not in (None, (), [])}
    variables = _variables(environ)
    config = _config_file(options.pop("config", None), variables.pop("config", None), home, here)

    layers = [
        _Layer(_anchored(options, home, here), "option"),
        _Layer(_anchored(variables, home, here), "environment"),
    ]
    if config:
        layers.append(_file_layer(config, home))
    naming = next((layer for layer in layers if "profile" in layer.values), None)
    if naming:
        layers.append(_profile_layer(naming, home, here))
    for layer in layers:
        _refuse_unknown(layer)

    source = {name: layer for layer in reversed(layers) for name in layer.values}
    try:
        settings = Settings.model_validate(
            {name: layer.values[name] for name, layer in source.items()}
        )
    except ValidationError as error:
        _refuse(error, source)
    origins = {
        name: source[name].origin_of(name) if name in source else "default"
        for name in Settings.model_fields
    }
    return Loaded(settings, origins, str(config) if config else None)


def _variables(environ: Mapping[str, str]) -> dict[str, object]:
    """Settings in the environment, lists split; an empty variable counts as not set."""
    found: dict[str, object] = {}
    for variable, text in environ.items():
        if variable.startswith(ENVIRONMENT_PREFIX) and text.strip():
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            found[name] = _split(name, text, variable)
    return found


def _split(name: str, text: str, variable: str) -> object:
    """The value that a variable's text stands for: lists and tables may be JSON."""
    shape = _shape(name)
    if shape in ("paths", "patterns", "table") and text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError as error:
            # A gitignore pattern may start with a bracket as well.
            if shape != "patterns":
                raise SettingsError(
                    f"{name} (environment {variable}): expected JSON, but {error}"
                ) from None
    if shape == "paths":
        return [part for part in text.split(os.pathsep) if part.strip()]
    if shape == "patterns":
        return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    return text


def _shape(name: str) -> str:
    """How a setting is written: as "path", "paths", "patterns", "table" or plain "text"."""
    field = Settings.model_fields.get(name)
    kind = field.annotation if field else None
    if kind in (Path, Path | None):
        return "path"
    if kind == tuple[Path, ...]:
        return "paths"
    if kind == tuple[str, ...]:
        return "patterns"
    return "table" if name == "per_root" else "text"


def _config_file(option: object, variable: object, home: str, here: Path) -> Path | None:
    """The TOML file that was named, else the first of the usual places that has one."""
    for named, place in (
        (option, "option --config"),
        (variable, f"environment {ENVIRONMENT_PREFIX}CONFIG"),
    ):
        if named is not None:
            path = here / _expanded(str(named), home)
            if not path.is_file():
                raise SettingsError(f"config ({place}): expected a TOML file, but {path} is none")
            return path
    if (here / CONFIG_NAME).is_file():
        return here / CONFIG_NAME
    from platformdirs import user_config_path

    usual = user_config_path("comfy-inventory", appauthor=False) / "config.toml"
    return usual if usual.is_file() else None


def _file_layer(path: Path, home: str) -> _Layer:
    origin = f"file {path}"
    try:
        # A byte order mark is what Windows editors put in front.
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(
            f"config ({origin}): expected a readable TOML file, but: {error.strerror}"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"config ({origin}, line {line}): expected UTF-8 text") from None
    return _Layer(_anchored(_parsed(text, origin), home, path.parent, path.parent), origin, text)


def _profile_layer(naming: _Layer, home: str, here: Path) -> _Layer:
    """The layer of the profile that `naming` asks for."""
    name = naming.values["profile"]
    shipped = _profiles()
    if not isinstance(name, str) or name not in shipped:
        raise SettingsError(
            f"profile ({naming.place_of(('profile',))}): expected one of "
            f"{', '.join(sorted(shipped))}, not {name!r}{_suggestion(str(name), shipped)}"
        )
    text = shipped[name].read_text(encoding="utf-8")
    values = _parsed(text, f"profile {name}")
    values.pop("profile", None)
    return _Layer(_anchored(values, home, here), f"profile {name}", text)


def _profiles() -> dict[str, Traversable]:
    """Name -> file of the profiles shipped in the wheel, or of those in the source tree."""
    folder = importlib.resources.files("scanner") / "profiles"
    if not folder.is_dir():
        folder = Path(__file__).parent.parent.parent / "config"
    if not folder.is_dir():
        return {}
    return {
        file.name.removesuffix(".toml"): file
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _parsed(text: str, origin: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        written = "".join(text.splitlines()[line - 1 : line])
        windows = '"' in written and "\\" in written
        hint = "; a path with backslashes goes into single quotes" if windows else ""
        what = re.sub(r" \(at [^)]*\)$", "", str(error))
        raise SettingsError(f"{origin}, line {line}: expected TOML, but: {what}{hint}") from None


def _anchored(
    values: Mapping[str, object], home: str, here: Path, folder: Path | None = None
) -> dict[str, object]:
    """`values` with `~` expanded in paths, and relative paths taken from `folder` if given."""

    def anchor(value: object) -> object:
        if not isinstance(value, str | os.PathLike) or not os.fspath(value):
            return value
        path = _expanded(os.fspath(value), home)
        return os.path.normpath(folder / path) if folder else path

    def anchor_key(key: str) -> str:
        prefix = _kind_prefix(key)
        path = key.removeprefix(prefix)
        return prefix + os.path.normpath(here / _expanded(path, home)) if _is_path(path) else key

    anchored: dict[str, object] = {}
    for name, value in values.items():
        shape = _shape(name)
        if shape == "paths" and isinstance(value, list | tuple):
            anchored[name] = [anchor(item) for item in value]
        elif shape in ("path", "paths"):
            anchored[name] = anchor(value)
        elif shape == "table" and isinstance(value, dict):
            anchored[name] = {anchor_key(key): item for key, item in value.items()}
        else:
            anchored[name] = value
    return anchored


def _expanded(path: str, home: str) -> str:
    """`path` with a leading `~` replaced; another user's home is asked of the system."""
    if path == "~" or path.startswith(("~/", "~" + os.sep)):
        return home + path[1:]
    return os.path.expanduser(path)


# Refusals.


def _refuse_unknown(layer: _Layer) -> None:
    for name in layer.values:
        if name not in Settings.model_fields:
            raise SettingsError(
                f"{name} ({layer.place_of((name,))}): expected a setting, and there is none of "
                f"this name{_suggestion(name, Settings.model_fields)}"
            )


def _refuse(error: ValidationError, source: Mapping[str, _Layer]) -> NoReturn:
    """Say the first thing that is wrong as one sentence."""
    first = error.errors(include_url=False)[0]
    keys = [str(key) for key in first["loc"]]
    reason = first.get("ctx", {}).get("error")
    if first["type"] == "extra_forbidden":
        what = "expected one of " + ", ".join(RootSettings.model_fields)
        what += _suggestion(keys[-1], RootSettings.model_fields)
    elif reason is not None:
        what = str(reason)
    else:
        what = f"expected a table of settings, not {first['input']!r}"
    raise SettingsError(f"{'.'.join(keys)} ({source[keys[0]].place_of(keys)}): {what}") from None


def _line_of(text: str, keys: Sequence[str]) -> int:
    """Line, from 1, on which the TOML key with these parts stands; 1 if it is not found.

    Looks for one part after the other, each at or below the line of the part before it.
    """
    lines = text.splitlines()
    found = 0
    for depth, key in enumerate(keys):
        word = re.escape(key)
        # Below the first key, a part can stand anywhere in a table's header or an inline table.
        start = r"^\s*\[*\s*[\"']?" if depth == 0 else r"^(?!\s*#).*(?<![\w-])"
        pattern = re.compile(rf"{start}{word}(?![\w-])")
        found = next((i for i in range(found, len(lines)) if pattern.search(lines[i])), found)
    return found + 1
