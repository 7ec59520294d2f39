"""Options that several commands share, and the steps that turn them into settings and roots."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from scanner.console.terminal import echo_error
from scanner.errors import OutputError, SettingsError

if TYPE_CHECKING:
    from scanner.comfyui.installation import Found
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded
    from scanner.settings.schema import Settings

# Paths are taken as texts: to make a Path, Typer looks at it, and hangs on a mount that hangs
# (rule 3, a hang stops nothing).
_ROOTS_PANEL = "Folders"

_TIMES_PANEL = "Times"

_FILES_PANEL = "Files"


def _text(panel: str, help_: str, *names: str, metavar: str | None = None) -> Any:
    option = typer.Option(*names, metavar=metavar, help=help_, rich_help_panel=panel)
    return Annotated[str | None, option]


def _path(panel: str, help_: str, *names: str) -> Any:
    return _text(panel, help_, *names, metavar="PATH")


def _paths(panel: str, help_: str) -> Any:
    option = typer.Option(metavar="PATH", help=f"{help_} Repeatable.", rich_help_panel=panel)
    return Annotated[list[str] | None, option]


# Settings that are options of several commands, by name. All are None if they are not given.
_ROOTS = {
    "comfy_root": _path(
        _ROOTS_PANEL,
        "ComfyUI's folder (default: ./ComfyUI, or the current folder if it is ComfyUI's).",
        "--comfy-root",
        "--workspace",
    ),
    "models": _paths(_ROOTS_PANEL, "A models folder without ComfyUI, as on a NAS."),
    "downloads": _paths(_ROOTS_PANEL, "A folder of downloads."),
    "workflows": _paths(_ROOTS_PANEL, "A folder of workflows besides ComfyUI's own."),
    "extra": _paths(_ROOTS_PANEL, "Any other folder."),
    "extra_model_paths_config": _paths(
        _ROOTS_PANEL, "Another extra_model_paths.yaml than ComfyUI's own."
    ),
    "base_directory": _path(_ROOTS_PANEL, "ComfyUI's option of the same name."),
    "output_directory": _path(_ROOTS_PANEL, "ComfyUI's option of the same name."),
    "input_directory": _path(_ROOTS_PANEL, "ComfyUI's option of the same name."),
    "user_directory": _path(_ROOTS_PANEL, "ComfyUI's option of the same name."),
}

_OUTPUT = {
    "output": _path(
        _FILES_PANEL,
        "Path of the inventory (default: ./comfy_inventory.json). Other files are written beside "
        "it.",
        "--output",
        "-o",
    )
}

_FILES = {
    "profile": _text(_FILES_PANEL, "Ready-made settings: nas, wsl or local."),
    "config": _path(_FILES_PANEL, "A TOML file of settings.", "--config", "-c"),
}

_LOG = {
    "log_file": _path(_FILES_PANEL, "Log to this file as well."),
    "log_level": _text(_FILES_PANEL, "The least to log: debug, info, warning or error."),
}

_SPLIT = {
    "split_by": _text(
        _FILES_PANEL,
        "Write the inventory as several files: one for each root, or category of a root.",
        metavar="root|category",
    )
}

_TIMES = {
    "every": _text(_TIMES_PANEL, "Time between scans: 30s, 2m, 1h; or auto."),
    "cron": _text(_TIMES_PANEL, 'When to scan, as in a crontab: "*/5 * * * *".'),
}

_HOLD = {
    "hold_wait": _text(
        _TIMES_PANEL,
        "How long `scan` waits before it looks again at deletions that look like a lost mount.",
    )
}

_SCANNING = _ROOTS | _OUTPUT | _FILES | _LOG
"""The options of every command that scans, or shows how it would."""

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

Utc = Annotated[bool, typer.Option("--utc", help="Times in UTC instead of local time.")]

Limit = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=0, help="List at most this many; 0 sets no limit."),
]

ExitCode = Annotated[
    bool, typer.Option("--exit-code", help="Exit with 1 if anything is listed, for scripts.")
]

Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="A Dask scheduler whose workers mount the same storage, as tcp://host:8786, or "
        "local:N for N processes here. They take the work on network mounts.",
    ),
]

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


def _cwd() -> str:
    """The current folder. Raises SettingsError if it was removed."""
    try:
        return os.getcwd()
    except OSError as error:
        raise SettingsError(
            f"The current folder cannot be used ({error.strerror}): change to another one."
        ) from None


def _load(options: Mapping[str, Any]) -> Loaded:
    """The settings, from these options and all other sources."""
    from scanner.settings.load import load

    return load(options, environ=os.environ, cwd=_cwd())


def _checked(option: str, read: Callable[[Any], _Value], value: object) -> _Value:
    try:
        return read(value)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None


def _one_of(option: str, text: str, choices: Collection[str]) -> str:
    """The choice that `text` names; capitals do not matter. Raises SettingsError."""
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


def _finder(settings: Settings, comfy_root: str | None = None) -> Callable[[], Found]:
    """A function that finds the roots of `settings`. `comfy_root` was found before."""
    from scanner.comfyui.installation import find_roots

    if comfy_root is not None:
        settings = replace(settings, comfy_root=Path(comfy_root))
    cwd, home = _cwd(), os.path.expanduser("~")
    return lambda: find_roots(settings, cwd=cwd, home=home, environ=os.environ)


def _find_roots(loaded: Loaded, tell: Any = None) -> Found:
    found = _finder(loaded.settings)()
    import logging

    log = logging.getLogger("scanner")
    for notice in found.notices:
        (tell or log.info)(notice)
    for warning in found.warnings:
        (tell or log.warning)(warning)
    return found


def _tell_plainly(text: str) -> None:
    echo_error(text)


def _tell_on_terminal(text: str) -> None:
    if sys.stderr.isatty():
        echo_error(f"{text} ...", dim=True)


def _outputs(loaded: Loaded) -> Outputs:
    from scanner.disk.filesystem import DiskFileSystem
    from scanner.output.file_names import outputs_of

    return outputs_of(loaded.settings, DiskFileSystem(), _cwd())


def _known_outputs(loaded: Loaded) -> Outputs:
    """The files to read: those of the settings or here, else those that were written last."""
    here = _outputs(loaded)
    files = (here.inventory, here.status, here.journal)
    if loaded.origins["output"] != "default" or any(map(os.path.lexists, files)):
        return here
    from scanner.output.last_output import last_output

    last = last_output()
    if not last or not os.path.exists(last):
        return here
    _tell_plainly(f"No inventory here; reading {last}, which was written last (-o names another).")
    return _outputs(replace(loaded, settings=replace(loaded.settings, output=Path(last))))


def _start_log(loaded: Loaded, *, utc: bool = False) -> None:
    from scanner.console.log import start_log

    try:
        start_log(loaded.settings, _log_check(loaded), utc=utc)
    except OutputError as error:
        raise SettingsError(f"log_file: {error}") from None
    except OSError as error:
        raise SettingsError(
            f"log_file: {error.filename} cannot be written: {error.strerror}."
        ) from None


def _log_check(loaded: Loaded) -> Callable[[], None]:
    """Make a function that refuses a log file that is not ours; it was called once."""
    if loaded.settings.log_file is None:
        return lambda: None
    from scanner.output.refusals import refuse_log_file

    outputs = _outputs(loaded)
    refuse_log_file(outputs)
    return lambda: refuse_log_file(outputs)
