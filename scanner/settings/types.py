"""The types of settings. Each knows how its values are read and written.

A value goes through three steps. `split` makes it of the text of an environment variable. `anchor`
expands the paths in it, as the source that it stands in needs. `parse` checks it and gives it its
final form. `format` gives the form that it has in a TOML file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from scanner.core.roots import KINDS
from scanner.errors import SettingsError
from scanner.settings.values import (
    format_algorithms,
    format_amount,
    format_duration,
    format_every,
    format_paths,
    format_size,
    hide_place,
    hide_url,
    parse_algorithms,
    parse_amount,
    parse_command,
    parse_count,
    parse_cron,
    parse_digits,
    parse_duration,
    parse_every,
    parse_flag,
    parse_fraction,
    parse_host,
    parse_level,
    parse_number,
    parse_path,
    parse_paths,
    parse_patterns,
    parse_place,
    parse_profile,
    parse_prom,
    parse_rate,
    parse_size,
    parse_split,
    parse_url,
)

Value = TypeVar("Value")


class Anchor(NamedTuple):
    """The folders that paths of one source are relative to. All are absolute."""

    home: str
    """Replaces a leading `~`."""
    cwd: str
    """Keys of `per_root` that are relative paths start here."""
    folder: str = ""
    """Relative paths start here. Where it is empty they stay relative."""

    def path(self, value: object) -> object:
        """`value` as an expanded path; unchanged where it is no path."""
        if not isinstance(value, str | os.PathLike) or not os.fspath(value):
            return value
        path = self.expanded(os.fspath(value))
        return os.path.normpath(os.path.join(self.folder, path)) if self.folder else path

    def expanded(self, path: str) -> str:
        """`path` with a leading `~` replaced. The system knows the homes of other users."""
        if path == "~" or path.startswith(("~/", "~" + os.sep)):
            if not self.home:
                raise SettingsError(f"{path}: no home folder is known here; name the whole path.")
            return self.home + path[1:]
        return os.path.expanduser(path)


def _unchanged(value: Any) -> object:
    return value


@dataclass(frozen=True)
class SettingType(Generic[Value]):
    """A type of setting."""

    parse: Callable[[object], Value]
    """Raises ValueError, whose text says what was expected. Takes parsed values too."""
    format: Callable[[Value], object] = _unchanged

    def displayed(self, value: Value) -> object:
        """The form for people to see: as in a TOML file, without secrets."""
        return self.format(value)

    def split(self, text: str) -> object:
        """The value that the text of an environment variable stands for. Raises ValueError."""
        return text

    def anchor(self, value: object, anchor: Anchor) -> object:
        """`value` with the paths in it expanded."""
        return value

    def at_least(self, minimum: Any) -> SettingType[Value]:
        """The same type without values below `minimum`."""

        def parse(value: object) -> Value:
            parsed: Any = self.parse(value)
            if parsed < minimum:
                raise ValueError(
                    f"expected at least {self.format(minimum)}, not {self.format(parsed)}"
                )
            return parsed  # type: ignore[no-any-return]

        return replace(self, parse=parse)

    def optional(self) -> SettingType[Value | None]:
        """The same type with None, which stands for a setting that is not given."""
        some: SettingType[Any] = self
        return replace(
            some,
            parse=lambda value: None if value is None else self.parse(value),
            format=lambda value: None if value is None else self.format(value),
        )


class PathType(SettingType[Value]):
    """One path."""

    def anchor(self, value: object, anchor: Anchor) -> object:
        return anchor.path(value)


class UrlType(SettingType[Value]):
    """An address of the web. It may hold a password, so that only its host is displayed."""

    def displayed(self, value: Value) -> object:
        return None if value is None else hide_url(str(value))


class PlaceType(SettingType[Value]):
    """The address of a folder, a bucket or a database. It may hold a password."""

    def displayed(self, value: Value) -> object:
        return None if value is None else hide_place(str(value))


class CommandType(SettingType[Value]):
    """A command. A variable holds it as one text, or as JSON."""

    def split(self, text: str) -> object:
        return _json(text) if text.lstrip().startswith("[") else text


class PathsType(SettingType[Value]):
    """A list of paths. A variable holds them as PATH does, or as JSON."""

    def split(self, text: str) -> object:
        if text.lstrip().startswith(("[", "{")):
            return _json(text)
        return [part for part in text.split(os.pathsep) if part.strip()]

    def anchor(self, value: object, anchor: Anchor) -> object:
        if isinstance(value, list | tuple):
            return [anchor.path(item) for item in value]
        return anchor.path(value)


class PatternsType(SettingType[Value]):
    """A list of patterns. A variable holds them with commas or line ends between, or as JSON."""

    def split(self, text: str) -> object:
        if text.lstrip().startswith(("[", "{")):
            try:
                return _json(text)
            except ValueError:
                pass  # a gitignore pattern may start with a bracket as well
        return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


class RootTableType(SettingType[Value]):
    """A table of settings by kind, path or id of a root. A variable holds it as JSON."""

    def split(self, text: str) -> object:
        return _json(text) if text.lstrip().startswith(("[", "{")) else text

    def anchor(self, value: object, anchor: Anchor) -> object:
        if not isinstance(value, dict):
            return value
        return {self._anchored(key, anchor): item for key, item in value.items()}

    @staticmethod
    def _anchored(key: str, anchor: Anchor) -> str:
        prefix = kind_prefix(key)
        path = key.removeprefix(prefix)
        if not is_path(path):
            return key
        return prefix + os.path.normpath(os.path.join(anchor.cwd, anchor.expanded(path)))


def _json(text: str) -> object:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"expected JSON, but {error}") from None
    except RecursionError:
        raise ValueError("expected JSON, but it is nested too deeply") from None


def kind_prefix(key: str) -> str:
    """The `kind:` at the start of a root's id; empty for other keys of `per_root`."""
    kind, colon, _ = key.partition(":")
    return kind + colon if colon and kind in KINDS else ""


def is_path(key: str) -> bool:
    """True if a key of `per_root` is written as a path."""
    return key.startswith(("~", ".")) or "/" in key or os.sep in key


def _path_text(path: Path) -> str:
    return str(path)


DURATION = SettingType(parse_duration, format_duration)

SIZE = SettingType(parse_size, format_size)

AMOUNT = SettingType(parse_amount, format_amount)

RATE = SettingType(parse_rate, format_size)

FLAG = SettingType(parse_flag)

COUNT = SettingType(parse_count)

NUMBER = SettingType(parse_number)

FRACTION = SettingType(parse_fraction)

EVERY = SettingType(parse_every, format_every)

CRON = SettingType(parse_cron)

LEVEL = SettingType(parse_level)

DIGITS = SettingType(parse_digits)

PROFILE = SettingType(parse_profile)

SPLIT = SettingType(parse_split)

ALGORITHMS = SettingType(parse_algorithms, format_algorithms)

PATTERNS = PatternsType(parse_patterns)

PATH = PathType(parse_path, _path_text)

PROM = PathType(parse_prom, _path_text)

URL = UrlType(parse_url)

PLACE = PlaceType(parse_place)

HOST = SettingType(parse_host)

COMMAND = CommandType(parse_command, list)

PATHS = PathsType(parse_paths, format_paths)
