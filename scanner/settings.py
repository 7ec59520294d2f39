"""Every setting once: its name, default and meaning, and where its value came from."""

from __future__ import annotations

import difflib
import importlib.resources
import json
import math
import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, NoReturn, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from scanner.content import ALGORITHMS
from scanner.errors import SettingsError
from scanner.roots import KINDS, Root

ENVIRONMENT_PREFIX = "COMFY_INVENTORY_"
CONFIG_NAME = "comfy_inventory.toml"
"""The TOML file that is read from the working directory when none is named."""

AUTO: Final = "auto"
"""The value of `every` with which each lane finds its interval itself."""

OFF: Final = "off"
"""The value of `hash` with which nothing is read whole."""

FIRST_EVERY = 30.0
"""Seconds between scans where none are given, or none are measured yet."""

SHORTEST_EVERY = 1.0
"""Seconds between scans that are allowed at least."""

_Number = TypeVar("_Number", int, float)

LogLevel = Literal["debug", "info", "warning", "error"]
_LEVELS = get_args(LogLevel)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0, "ms": 0.001}
_LONGEST = 3650 * 86400.0
_BYTES = {
    "tb": 10**12,
    "gb": 10**9,
    "mb": 10**6,
    "kb": 10**3,
    "tib": 2**40,
    "gib": 2**30,
    "mib": 2**20,
    "kib": 2**10,
    "b": 1,
    "": 1,
}
_SIZE_NAMES = ("TB", "TiB", "GB", "GiB", "MB", "MiB", "kB", "KiB")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)")


# Reading and showing single values. Each reader raises ValueError with the words "expected ...".


def parse_duration(value: object) -> float:
    """Seconds in a text such as "30s", "2m", "1.5h", "500ms" or "1d"; a bare number is seconds.

    Raises ValueError, whose text says what was expected, for anything else, for negative numbers
    and for more than ten years.
    """
    number, unit = _quantity(value)
    seconds = number * _SECONDS.get(unit, math.nan)
    if not 0 <= seconds <= _LONGEST:  # false for NaN as well
        raise ValueError(
            "expected a duration such as 30s, 2m, 1.5h or 1d, or a number of seconds, "
            f"not {value!r}"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`: 900.0 is "15m"."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    if 0 < seconds < 1 and (seconds * 1000).is_integer():
        return f"{int(seconds * 1000)}ms"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def format_every(every: float | Literal["auto"]) -> str:
    """A value of `every` as it is written: "30s" or "auto"."""
    return AUTO if every == AUTO else format_duration(every)


def parse_fraction(value: object) -> float:
    """A fraction above 0 and up to 1, also as a percentage: 0.02 and "2%" are the same.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    is_percentage = isinstance(value, str) and value.strip().endswith("%")
    number, unit = _quantity(value.strip()[:-1] if is_percentage else value)  # type: ignore[attr-defined]
    fraction = number / 100 if is_percentage else number
    if unit or not 0 < fraction <= 1:
        raise ValueError(
            f"expected a fraction above 0 and up to 1, such as 0.5 or 50%, not {value!r}"
        )
    return fraction


def parse_size(value: object) -> int:
    """Bytes in a text such as "10MB" (10 million), "64KiB" (65536) or "1GB", or a bare number.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    number, unit = _quantity(value)
    size = number * _BYTES.get(unit, math.nan)
    if not 0 <= size < 2**63:
        raise ValueError(
            f"expected a size such as 10MB, 64KiB or 1GB, or a number of bytes, not {value!r}"
        )
    return round(size)


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads back as `size`: 10000000 is "10MB"."""
    for unit in _SIZE_NAMES:
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return str(size)


def _quantity(value: object) -> tuple[float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    found = _QUANTITY.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    return (float(found[1]), found[2]) if found else (math.nan, "")


def parse_algorithms(value: object) -> tuple[str, ...]:
    """Names of content hashes: a list, one name, names with commas between them, or "off".

    Raises ValueError, whose text says what was expected, for anything else.
    """
    items = value.split(",") if isinstance(value, str) else _items(value, "hashes")
    names = [item.strip().lower() if isinstance(item, str) else item for item in items]
    if names in ([OFF], [""]):
        return ()
    for name in names:
        if name not in ALGORITHMS:
            raise ValueError(
                f"expected a list of {' and '.join(ALGORITHMS)}, or {OFF}, not {value!r}"
            )
    return tuple(name for name in ALGORITHMS if name in names)


def format_algorithms(names: Sequence[str]) -> str | list[str]:
    """A value of `hash` as it is written."""
    return list(names) or OFF


def _read_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError(f"expected true or false, not {value!r}")


def _read_count(value: object) -> int:
    number, unit = _quantity(value)
    if unit or not number.is_integer():
        raise ValueError(f"expected a whole number, not {value!r}")
    return int(number)


def _read_rate(value: object) -> float:
    try:
        rate = float(value) if isinstance(value, (int, float, str)) else -1.0
    except ValueError:
        rate = -1.0
    if isinstance(value, bool) or not 0 <= rate < math.inf:
        raise ValueError(f"expected a number of 0 or more, not {value!r}")
    return rate


def _read_every(value: object) -> float | Literal["auto"]:
    if isinstance(value, str) and value.strip().lower() == AUTO:
        return AUTO
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; or auto") from None
    if seconds < SHORTEST_EVERY:
        least = format_duration(SHORTEST_EVERY)
        raise ValueError(f"expected at least {least}, not {format_duration(seconds)}")
    return seconds


def _read_level(value: object) -> str:
    if isinstance(value, str) and value.strip().lower() in _LEVELS:
        return value.strip().lower()
    raise ValueError(f"expected one of {', '.join(_LEVELS)}, not {value!r}")


def _read_cron(value: object) -> str:
    fields = value.split() if isinstance(value, str) else ["?"]
    if len(fields) not in (0, 5):
        raise ValueError(
            "expected five fields (minute, hour, day of month, month, day of week) such as "
            f"'*/5 * * * *', not {value!r}"
        )
    return " ".join(fields)


def _read_name(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[\w.-]+", value)):
        return value
    raise ValueError(f"expected the name of a profile, not {value!r}")


def _read_path(value: object) -> Path:
    if isinstance(value, str | os.PathLike) and str(value).strip() and "\0" not in str(value):
        return Path(value)
    raise ValueError(f"expected a path, not {value!r}")


def _read_optional_path(value: object) -> Path | None:
    return None if value is None else _read_path(value)


def _read_paths(value: object) -> tuple[Path, ...]:
    return tuple(_read_path(item) for item in _items(value, "paths"))


def _read_patterns(value: object) -> tuple[str, ...]:
    patterns: list[str] = []
    for pattern in _items(value, "patterns"):
        if not isinstance(pattern, str):
            raise ValueError(f"expected patterns such as '*.tmp', not {pattern!r}")
        if pattern.strip():
            patterns.append(pattern)
    return tuple(patterns)


def _read_optional_patterns(value: object) -> tuple[str, ...] | None:
    return None if value is None else _read_patterns(value)


def _items(value: object, what: str) -> Sequence[object]:
    if isinstance(value, str | os.PathLike):
        return (value,)
    if isinstance(value, list | tuple):
        return value
    raise ValueError(f"expected a list of {what}, not {value!r}")


def _at_least(minimum: _Number, show: Callable[[_Number], str]) -> AfterValidator:
    def check(value: _Number) -> _Number:
        if value < minimum:
            raise ValueError(f"expected at least {show(minimum)}, not {show(value)}")
        return value

    return AfterValidator(check)


def _texts(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


Duration = Annotated[float, PlainValidator(parse_duration), PlainSerializer(format_duration)]
Size = Annotated[int, PlainValidator(parse_size), PlainSerializer(format_size)]
Flag = Annotated[bool, PlainValidator(_read_flag)]
Count = Annotated[int, PlainValidator(_read_count)]
Fraction = Annotated[float, PlainValidator(parse_fraction)]
Every = Annotated[
    float | Literal["auto"], PlainValidator(_read_every), PlainSerializer(format_every)
]
OnePath = Annotated[Path, PlainValidator(_read_path), PlainSerializer(_text)]
OptionalPath = Annotated[Path | None, PlainValidator(_read_optional_path), PlainSerializer(_text)]
Paths = Annotated[tuple[Path, ...], PlainValidator(_read_paths), PlainSerializer(_texts)]
Algorithms = Annotated[
    tuple[str, ...], PlainValidator(parse_algorithms), PlainSerializer(format_algorithms)
]
Patterns = Annotated[tuple[str, ...], PlainValidator(_read_patterns)]


# The settings.


def _one_of_kinds_or_a_path(per_root: dict[str, RootSettings]) -> dict[str, RootSettings]:
    for key in per_root:
        if key not in KINDS and not _is_path(key.removeprefix(_kind_prefix(key))):
            raise ValueError(
                f"expected a kind of root ({', '.join(KINDS)}), a root's id or its path, "
                f"not {key!r}{_suggestion(key, KINDS)}"
            )
    return per_root


class RootSettings(BaseModel):
    """Settings of one root, or of all roots of a kind; None takes the general setting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ignore: Annotated[tuple[str, ...] | None, PlainValidator(_read_optional_patterns)] = Field(
        default=None,
        description="Gitignore patterns of names to leave out there, added to the general ones.",
        examples=[["*.bak"]],
    )
    loss_fraction: Annotated[
        float | None, PlainValidator(lambda value: None if value is None else parse_fraction(value))
    ] = Field(default=None, description="As the general setting of this name.", examples=[0.9])
    loss_files: Annotated[
        int | None, PlainValidator(lambda value: None if value is None else _read_count(value))
    ] = Field(default=None, description="As the general setting of this name.", examples=[100])


class RootRules(NamedTuple):
    """What holds for one root when general and per-root settings are put together."""

    ignore: tuple[str, ...]
    """The user's gitignore patterns, general ones first; the default ones are not among them."""
    loss_fraction: float
    loss_files: int


class Settings(BaseSettings):
    """All settings, checked. Durations are in seconds, sizes in bytes; `load` reads them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    comfy_root: OptionalPath = Field(
        default=None,
        description="ComfyUI's folder; without it ./ComfyUI, then the workspace of comfy-cli.",
        examples=["./ComfyUI"],
    )
    models: Paths = Field(
        default=(),
        description="Bare models folders, as on a NAS without ComfyUI; their folders are "
        "categories.",
    )
    downloads: Paths = Field(default=(), description="Folders that models are downloaded to.")
    extra: Paths = Field(default=(), description="Any other folders to keep an inventory of.")
    extra_model_paths_config: Paths = Field(
        default=(),
        description="Files to read besides the extra_model_paths.yaml next to ComfyUI's main.py "
        "(ComfyUI's option of the same name).",
    )
    base_directory: OptionalPath = Field(
        default=None,
        description="Folder that holds models, custom_nodes, input and output where it is not "
        "ComfyUI's own (ComfyUI's option of the same name).",
        examples=["/data/comfy"],
    )
    output_directory: OptionalPath = Field(
        default=None,
        description="ComfyUI's output folder where it lies elsewhere (ComfyUI's option of the "
        "same name).",
        examples=["/data/comfy/output"],
    )
    input_directory: OptionalPath = Field(
        default=None,
        description="ComfyUI's input folder where it lies elsewhere (ComfyUI's option of the "
        "same name).",
        examples=["/data/comfy/input"],
    )
    output: OnePath = Field(
        default=Path("comfy_inventory.json"),
        description="The inventory; change list, status and lock are written beside it.",
    )
    profile: Annotated[str | None, PlainValidator(_read_name)] = Field(
        default=None,
        description="Ready-made settings to start from: local, nas or wsl.",
        examples=["nas"],
    )
    every: Every = Field(
        default=FIRST_EVERY,
        description="Time from the start of one scan to the start of the next, at least 1s; or "
        "auto: as often as `auto_duty` allows, from 5s to 1h, each network mount for itself.",
    )
    auto_duty: Fraction = Field(
        default=0.02,
        description="The most of the time that scans may take where `every` is auto; at most "
        "half of it re-reads files (see `verify_within`).",
    )
    cron: Annotated[str, PlainValidator(_read_cron)] = Field(
        default="",
        description="When to scan, as five crontab fields in local time; empty takes `every`.",
    )
    ignore: Patterns = Field(
        default=(),
        description="Gitignore patterns of names to leave out, added to the default ones.",
    )
    default_ignore: Flag = Field(
        default=True,
        description="Whether to leave out what systems and tools litter: .DS_Store, .git, "
        "__pycache__, @eaDir and the like.",
    )
    follow_links: Flag = Field(
        default=True, description="Whether to enter linked folders, as ComfyUI does."
    )
    move_window: Duration = Field(
        default=900.0,
        description="How long after a file arrived or went its other half still makes it a move: "
        "a move to a NAS is a copy of minutes and then a deletion.",
    )
    hold_wait: Duration = Field(
        default=30.0,
        description="How long a one-shot `scan` waits before it looks again at deletions that "
        "look like a lost mount; 0 leaves them held.",
    )
    loss_fraction: Fraction = Field(
        default=0.5,
        description="A root that loses more than this fraction of its files in one scan is held "
        "as a possibly lost mount.",
    )
    loss_files: Count = Field(
        default=20, description="Roots with fewer files than this are not held by `loss_fraction`."
    )
    unsettled_every: Duration = Field(
        default=600.0, description="How often a file that keeps growing is reported as modified."
    )
    annotations_every: Duration = Field(
        default=600.0,
        description="How often new fingerprints alone, without any change, cause the inventory "
        "to be written.",
    )
    backlog_time: Duration = Field(
        default=60.0,
        description="How long a one-shot `scan` takes fingerprints that are still missing; 0 "
        "takes none.",
    )
    facts: Flag = Field(
        default=True,
        description="Whether to read the headers of model files: what they are, and whether they "
        "are whole. Nothing is read of them but that.",
    )
    hash: Algorithms = Field(
        default=(),
        description="Hashes to take of the whole content of models, in one reading, between "
        'scans: a list of xxh3 and sha256, or "off". `comfy-inventory hash` does it once.',
        examples=[["xxh3", "sha256"]],
    )
    hash_rate: Size = Field(
        default=0,
        description="Bytes per second that may be read for that, on each mount; 0 for no limit.",
        examples=["50MB"],
    )
    verify_within: Annotated[Duration, _at_least(1.0, format_duration)] = Field(
        default=600.0,
        description="Size and time of every file are read again at least this often, even where "
        "the times of folders spare listing them.",
    )
    duty: Fraction = Field(
        default=0.05,
        description="The most of the time that this re-reading may take; where it does not "
        "suffice, `verify_within` takes longer and status says so.",
    )
    stall_after: Annotated[Duration, _at_least(1.0, format_duration)] = Field(
        default=60.0,
        description="A network mount on which no call has returned for so long is stalled: its "
        "walker is left behind and the others go on.",
    )
    workers: Annotated[Count, _at_least(1, str)] = Field(
        default=16,
        description="The most requests under way at a time on one network mount; how many there "
        "are follows from how slowly it answers.",
    )
    requests_per_second: Annotated[float, PlainValidator(_read_rate)] = Field(
        default=0.0,
        description="The most folders looked at and files sampled per second on one network "
        "mount; 0 sets no limit.",
    )
    journal_size: Annotated[Size, _at_least(1, format_size)] = Field(
        default=10_000_000, description="Size at which the change list is rotated."
    )
    journal_files: Annotated[Count, _at_least(1, str)] = Field(
        default=5, description="How many rotated change lists are kept."
    )
    log_file: OptionalPath = Field(
        default=None, description="File to log to besides stderr.", examples=["comfy_inventory.log"]
    )
    log_level: Annotated[LogLevel, PlainValidator(_read_level)] = Field(
        default="info", description="The least that is logged: debug, info, warning or error."
    )
    per_root: Annotated[dict[str, RootSettings], AfterValidator(_one_of_kinds_or_a_path)] = Field(
        default={},
        description="Settings of single roots, by kind, path or id (kind:path); id overrides "
        "path, path overrides kind.",
        examples=["downloads"],
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load` reads the sources, since it must say which one spoke."""
        return (init_settings,)

    @property
    def is_paced(self) -> bool:
        """Whether lanes find their intervals themselves: a crontab line overrules that."""
        return self.every == AUTO and not self.cron

    @property
    def first_every(self) -> float:
        """Seconds between scans as long as none is measured."""
        return FIRST_EVERY if self.every == AUTO else self.every

    def for_root(self, root: Root) -> RootRules:
        """General settings with those of the root's kind, its path and its id laid over them."""
        rules = RootRules(self.ignore, self.loss_fraction, self.loss_files)
        for key in (root.kind, root.path, root.id):
            own = self.per_root.get(key)
            if own is not None:
                rules = RootRules(
                    rules.ignore + (own.ignore or ()),
                    rules.loss_fraction if own.loss_fraction is None else own.loss_fraction,
                    rules.loss_files if own.loss_files is None else own.loss_files,
                )
        return rules


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
        folder = Path(__file__).parent.parent / "config"
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


def _kind_prefix(key: str) -> str:
    """The `kind:` that a key of `per_root` starts with if it is a root's id."""
    kind, colon, _ = key.partition(":")
    return kind + colon if colon and kind in KINDS else ""


def _is_path(key: str) -> bool:
    return key.startswith(("~", ".")) or "/" in key or os.sep in key


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


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


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


# Showing settings.


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
        mark = "# " if value is None or _shape(name) == "path" else ""
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
