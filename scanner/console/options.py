"""Options that several commands share, and the steps that turn them into settings and roots."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from scanner.console.app import log
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from scanner.comfyui.installation import Found
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded

# Paths are taken as texts: to make a Path, Typer looks at it, and hangs on a mount that hangs
# (rule 3, a hang stops nothing).
_ROOTS_PANEL = "Folders"

_TIMES_PANEL = "Times"

_FILES_PANEL = "Files"

ComfyRoot = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's folder (default: ./ComfyUI).", rich_help_panel=_ROOTS_PANEL
    ),
]

Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="A models folder without ComfyUI, as on a NAS. Repeatable.",
        rich_help_panel=_ROOTS_PANEL,
    ),
]

Downloads = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="A folder of downloads. Repeatable.", rich_help_panel=_ROOTS_PANEL
    ),
]

Extra = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="Any other folder. Repeatable.", rich_help_panel=_ROOTS_PANEL
    ),
]

ExtraModelPaths = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-model-paths-config",
        metavar="PATH",
        help="Another extra_model_paths.yaml than ComfyUI's own. Repeatable.",
        rich_help_panel=_ROOTS_PANEL,
    ),
]

BaseDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]

OutputDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]

InputDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]

Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Path of the inventory (default: ./comfy_inventory.json). Other files are written "
        "beside it.",
        rich_help_panel=_FILES_PANEL,
    ),
]

Profile = Annotated[
    str | None,
    typer.Option(help="Ready-made settings: nas, wsl or local.", rich_help_panel=_FILES_PANEL),
]

Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="PATH",
        help="A TOML file of settings.",
        rich_help_panel=_FILES_PANEL,
    ),
]

LogFile = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Log to this file as well.", rich_help_panel=_FILES_PANEL),
]

LogLevel = Annotated[
    str | None,
    typer.Option(
        help="The least to log: debug, info, warning or error.", rich_help_panel=_FILES_PANEL
    ),
]

Every = Annotated[
    str | None,
    typer.Option(help="Time between scans: 30s, 2m, 1h; or auto.", rich_help_panel=_TIMES_PANEL),
]

Cron = Annotated[
    str | None,
    typer.Option(
        help='When to scan, as in a crontab: "*/5 * * * *".', rich_help_panel=_TIMES_PANEL
    ),
]

HoldWait = Annotated[
    str | None,
    typer.Option(
        help="How long `scan` waits before it looks again at deletions that look like a lost "
        "mount.",
        rich_help_panel=_TIMES_PANEL,
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]

Roots = Annotated[
    list[str] | None,
    typer.Option("--root", help="Only this root, by kind, path or id. Repeatable."),
]

Categories = Annotated[
    list[str] | None,
    typer.Option(
        "--category", help="Only this category, by name or pattern: loras, '*_models'. Repeatable."
    ),
]

Limit = Annotated[int | None, typer.Option(min=0, help="List at most this many; 0 sets no limit.")]

# Options that several commands have: settings by name. All are None where they are not given.
_ROOTS = {
    "comfy_root": ComfyRoot,
    "models": Models,
    "downloads": Downloads,
    "extra": Extra,
    "extra_model_paths_config": ExtraModelPaths,
    "base_directory": BaseDirectory,
    "output_directory": OutputDirectory,
    "input_directory": InputDirectory,
}

_OUTPUT = {"output": Output}

_TIMES = {"every": Every, "cron": Cron}

_HOLD = {"hold_wait": HoldWait}

_FILES = {"profile": Profile, "config": Config}

_LOG = {"log_file": LogFile, "log_level": LogLevel}

_Command = TypeVar("_Command", bound=Callable[..., None])

_Value = TypeVar("_Value")


def _taking(*groups: Mapping[str, Any]) -> Callable[[_Command], _Command]:
    """Add these options to those of a command, which gets them as `options`."""

    def with_them(command: _Command) -> _Command:
        own = inspect.signature(command, eval_str=True)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for group in groups:
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind
                )
                for name, kind in group.items()
            ]
        # This is where typer looks for options.
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return with_them


def _load(options: Mapping[str, Any]) -> Loaded:
    """The settings, from these options and all other sources."""
    from scanner.settings.load import load

    return load(options, environ=os.environ, cwd=os.getcwd())


def _checked(option: str, read: Callable[[Any], _Value], value: object) -> _Value:
    try:
        return read(value)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None


def _one_of(option: str, text: str, choices: Collection[str]) -> str:
    word = text.strip().lower()
    if word not in choices:
        raise SettingsError(f"{option}: expected one of {', '.join(choices)}, not {text!r}.")
    return word


def _seconds(option: str, text: str) -> float:
    from scanner.settings.values import parse_duration

    return _checked(option, parse_duration, text)


def _fraction(option: str, text: str) -> float:
    from scanner.settings.values import parse_fraction

    return _checked(option, parse_fraction, text)


def _rate(text: str) -> int:
    from scanner.settings.values import parse_rate

    return _checked("--rate", parse_rate, text)


def _find_roots(loaded: Loaded, tell: Any = None) -> Found:
    from scanner.comfyui.installation import find_roots

    found = find_roots(
        loaded.settings, cwd=os.getcwd(), home=os.path.expanduser("~"), environ=os.environ
    )
    for notice in found.notices:
        (tell or log.info)(notice)
    for warning in found.warnings:
        (tell or log.warning)(warning)
    return found


def _tell_plainly(text: str) -> None:
    typer.echo(text, err=True)


def _tell_on_terminal(text: str) -> None:
    if sys.stderr.isatty():
        typer.secho(f"{text} ...", err=True, dim=True)


def _outputs(loaded: Loaded) -> Outputs:
    from scanner.disk.filesystem import DiskFileSystem
    from scanner.output.file_names import outputs_of

    return outputs_of(loaded.settings, DiskFileSystem(), os.getcwd())


def _start_log(loaded: Loaded) -> None:
    from scanner.console.log import start_log

    try:
        start_log(loaded.settings)
    except OSError as error:
        raise SettingsError(
            f"log_file: {error.filename} cannot be written: {error.strerror}."
        ) from None
