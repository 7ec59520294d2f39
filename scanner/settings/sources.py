"""The sources of settings: options, environment, TOML file and profile."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanner.core import bounded_toml
from scanner.core.user_folders import config_folder
from scanner.errors import SettingsError
from scanner.settings.types import Anchor, SettingType
from scanner.settings.values import suggestion

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ENVIRONMENT_PREFIX = "COMFY_INVENTORY_"

CONFIG_NAME = "comfy_inventory.toml"
"""The TOML file that is read from the working directory when none is named."""

OPTION, ENVIRONMENT, PROFILE = "option", "environment", "profile "


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings that one source gives, unchecked, with the words to name the source."""

    values: Mapping[str, object]
    origin: str
    """"option", "environment", "file /x/y.toml" or "profile nas"."""
    anchor: Anchor
    text: str = ""
    """The TOML text, to find the line of a setting."""

    @property
    def is_profile(self) -> bool:
        """True if it is that of a profile."""
        return self.origin.startswith(PROFILE)

    def value(self, name: str, kind: SettingType[Any]) -> object:
        """The value of the setting `name`, with the paths in it expanded; it is not checked yet.

        Raises SettingsError where a variable holds JSON that cannot be read.
        """
        value = self.values[name]
        if self.origin == ENVIRONMENT and isinstance(value, str):
            try:
                value = kind.split(value)
            except ValueError as error:
                raise SettingsError(f"{name} ({self.place_of((name,))}): {error}") from None
        return kind.anchor(value, self.anchor)

    def origin_of(self, name: str) -> str:
        """The words for `Loaded.origins` of a setting that stands here."""
        if self.origin == ENVIRONMENT:
            return f"{self.origin} {ENVIRONMENT_PREFIX}{name.upper()}"
        return self.origin

    def place_of(self, keys: Sequence[str]) -> str:
        """The place of the setting with these keys, outermost first, with its line if known."""
        if self.text:
            return f"{self.origin}, line {_line_of(self.text, keys)}"
        if self.origin == OPTION:
            return f"option --{keys[0].replace('_', '-')}"
        return self.origin_of(keys[0])


def read_layers(
    options: Mapping[str, object], environ: Mapping[str, str], cwd: str | os.PathLike[str]
) -> tuple[list[Layer], str | None]:
    """The sources that there are, in their order of precedence, and the TOML file among them.

    Raises SettingsError where a file or profile cannot be read.
    """
    home = environ.get("HOME") or environ.get("USERPROFILE") or _home()
    anchor = Anchor(home, os.path.abspath(cwd))
    given = {name: value for name, value in options.items() if value not in (None, (), [])}
    variables: dict[str, object] = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): text
        for name, text in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX) and text.strip()
    }
    variables.pop("token", None)  # of `serve`: a secret is no setting, which `config` would show
    config = _config_file(given.pop("config", None), variables.pop("config", None), anchor)

    layers = [Layer(given, OPTION, anchor), Layer(variables, ENVIRONMENT, anchor)]
    if config:
        layers.append(_file_layer(config, anchor))
    return _with_profile(layers, anchor), config


def layers_of_text(text: str, path: str) -> list[Layer]:
    """The sources of settings if there is nothing but a TOML file at `path` with this text.

    Raises SettingsError where it is no TOML or names an unknown profile.
    """
    anchor = Anchor(_home(), os.path.dirname(path))
    return _with_profile([_text_layer(text, path, anchor)], anchor)


def _with_profile(layers: list[Layer], anchor: Anchor) -> list[Layer]:
    """`layers`, and the profile that the first of them names which names one."""
    naming = next((layer for layer in layers if "profile" in layer.values), None)
    return [*layers, _profile_layer(naming, anchor)] if naming else layers


def _home() -> str:
    """The user's home by the system; empty if it knows none, as in many containers."""
    try:
        return str(Path.home())
    except RuntimeError:
        return ""


def _config_file(option: object, variable: object, anchor: Anchor) -> str | None:
    """The TOML file that was named, else the first of the usual places that has one."""
    for named, place in (
        (option, "option --config"),
        (variable, f"environment {ENVIRONMENT_PREFIX}CONFIG"),
    ):
        if named is not None:
            path = os.path.join(anchor.cwd, anchor.expanded(str(named)))
            if not os.path.isfile(path):
                raise SettingsError(f"config ({place}): expected a TOML file, but {path} is none")
            return path
    here = os.path.join(anchor.cwd, CONFIG_NAME)
    if os.path.isfile(here):
        return here
    folder = config_folder()
    usual = os.path.join(folder, "config.toml")
    return usual if folder and os.path.isfile(usual) else None


def _file_layer(path: str, anchor: Anchor) -> Layer:
    return _text_layer(read_text(path), path, anchor)


def read_text(path: str) -> str:
    """The text of the TOML file at `path`. Raises SettingsError."""
    origin = f"file {path}"
    try:
        with open(path, "rb") as file:
            # Windows editors put a byte order mark in front.
            return file.read(4 * bounded_toml.MOST_BYTES + 4).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(
            f"config ({origin}): expected a readable TOML file, but: {error.strerror}"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"config ({origin}, line {line}): expected UTF-8 text") from None


def _text_layer(text: str, path: str, anchor: Anchor) -> Layer:
    origin, folder = f"file {path}", os.path.dirname(path)
    return Layer(_parsed(text, origin), origin, Anchor(anchor.home, folder, folder), text)


def _profile_layer(naming: Layer, anchor: Anchor) -> Layer:
    """The layer of the profile that `naming` asks for."""
    name = naming.values["profile"]
    shipped = _profiles()
    if not isinstance(name, str) or name not in shipped:
        raise SettingsError(
            f"profile ({naming.place_of(('profile',))}): expected one of "
            f"{', '.join(sorted(shipped))}, not {name!r}{suggestion(str(name), shipped)}"
        )
    text = shipped[name].read_text(encoding="utf-8")
    values = _parsed(text, f"profile {name}")
    values.pop("profile", None)
    return Layer(values, f"{PROFILE}{name}", anchor, text)


def shipped_folder() -> Traversable:
    """The data files shipped in the wheel, or `config/` of the source tree."""
    import importlib.resources

    folder = importlib.resources.files("scanner") / "profiles"
    return folder if folder.is_dir() else Path(__file__).parent.parent.parent / "config"


def _profiles() -> dict[str, Traversable]:
    """Name -> file of the profiles shipped with the program."""
    folder = shipped_folder()
    if not folder.is_dir():
        return {}
    return {
        file.name.removesuffix(".toml"): file
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _parsed(text: str, origin: str) -> dict[str, object]:
    import tomllib

    try:
        return bounded_toml.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line (\d+)", str(error))
        line = int(match[1]) if match else text.count("\n") + 1
        written = "".join(text.splitlines()[line - 1 : line])
        windows = '"' in written and "\\" in written
        hint = "; a path with backslashes goes into single quotes" if windows else ""
        reason = re.sub(r" \(at [^)]*\)$", "", str(error))
        raise SettingsError(f"{origin}, line {line}: expected TOML, but: {reason}{hint}") from None
    except ValueError as error:
        raise SettingsError(f"{origin}: expected a TOML file of settings, but {error}") from None


def _line_of(text: str, keys: Sequence[str]) -> int:
    """Line, from 1, on which the TOML key with these parts stands; 1 if it is not found.

    Looks for one part after the other, each at or below the line of the part before it.
    """
    lines = text.splitlines()
    line = 0
    for depth, key in enumerate(keys):
        word = re.escape(key)
        # Below the first key, a part can stand anywhere in a table's header or an inline table.
        start = r"^\s*\[*\s*[\"']?" if depth == 0 else r"^(?!\s*#).*(?<![\w-])"
        pattern = re.compile(rf"{start}{word}(?![\w-])")
        line = next((i for i in range(line, len(lines)) if pattern.search(lines[i])), line)
    return line + 1
