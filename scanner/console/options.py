"""Options that several commands share, and the steps that turn them into settings and roots."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

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
