"""The Typer application. Each command registers itself here."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandInfo, TyperInfo

from scanner import __version__
from scanner.console.examples import PANELS, epilog
from scanner.console.terminal import set_quiet


class _AsTyped:
    """Converts values of a parameter as Typer does, but takes texts and numbers as they are.

    Typer imports pydantic for the first value that it converts, which is a third of the start of a
    command. Nearly all our options are texts that are parsed later, in our own words.
    """

    def __init__(self, converter: Callable[[], Any]) -> None:
        self._converter = converter

    def __call__(self) -> _AsTyped:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value for the command. Raises what Typer raises where it is of the wrong type."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if kind is str and isinstance(value, str):
            return value
        if kind == list[str] and isinstance(value, (list, tuple)):
            return list(value)
        if kind is int and isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
            return int(value)  # all of our numbers may be 0 or more
        return self._converter().coerce(value, param=param, ctx=ctx)


def _take_as_typed(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        converter = getattr(parameter, "get_runtime_param", None)
        # Versions of Typer without this method convert without pydantic.
        if converter is not None and not isinstance(converter, _AsTyped):
            parameter.get_runtime_param = _AsTyped(converter)
    return parameters


_NEVER_SHOWN = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
"""Modules for help in Markdown and for tracebacks in colour, which we have not, and the name that
Typer's help imports from each. They take a quarter of the time of `--help`."""


def _import_help() -> None:
    """Import Typer's help without what it needs for others."""
    if "typer.rich_utils" in sys.modules:
        return
    empty = []
    for name, attribute in _NEVER_SHOWN.items():
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)
            setattr(sys.modules[name], attribute, ModuleType)
            empty.append(name)
    try:
        importlib.import_module("typer.rich_utils")
    except ImportError:
        pass  # a version that takes more from there: Typer imports it itself
    finally:
        for name in empty:
            del sys.modules[name]


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _take_as_typed(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _import_help()
        super().format_help(ctx, formatter)


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _take_as_typed(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _import_help()
        super().format_help(ctx, formatter)


_QUIET = inspect.Parameter(
    "quiet",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--quiet", "-q", help="Print errors and the result alone.")
    ],
)

_VERBOSE = inspect.Parameter(
    "verbose",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--verbose", "-v", help="Log all that is done: --log-level debug.")
    ],
)


def _with_volume(function: Any) -> Any:
    """Add --quiet, and --verbose to a command that logs, unless it has them itself."""
    own = inspect.signature(function, eval_str=True)
    logs = "log_level" in own.parameters
    added = [
        option
        for option in (_QUIET, _VERBOSE)
        if option.name not in own.parameters and (logs or option is _QUIET)
    ]
    names = [option.name for option in added]

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        wanted = {name: given.pop(name) for name in names}
        set_quiet(wanted.get("quiet", False))
        if logs and not given["log_level"]:
            level = "debug" if wanted.get("verbose") else "warning" if wanted.get("quiet") else None
            given["log_level"] = level
        return function(**given)

    command.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    return command


class _App(typer.Typer):
    """Commands and groups of these classes, with their place in the help and their examples."""

    def __init__(self, above: str = "", **options: Any) -> None:
        super().__init__(cls=_Group, **options)
        self._above = above

    def command(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        def register(function: Any) -> Any:
            # Typer would keep the line ends of the docstring.
            text = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(function) or "")
            name = f"{self._above}{arguments[0] if arguments else function.__name__}"
            place = {"rich_help_panel": PANELS.get(name), "epilog": epilog(name)}
            add = super(_App, self).command
            made = {"cls": _Command, "help": text, **place, **options}
            return add(*arguments, **made)(_with_volume(function))

        return register


app = _App(
    name="comfy-inventory",
    help="Keep an inventory of ComfyUI's folders by polling. Made for NAS, external disks and WSL.",
    no_args_is_help=True,
    epilog=epilog(""),
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

config_app = _App(above="config ", help="Show the settings and where they come from.")

service_app = _App(
    above="service ",
    help="Let the system start `run`: systemd, launchd or Windows' Task Scheduler.",
)

comfyui_app = _App(above="comfyui ", help="The panel inside ComfyUI: install it, remove it.")

workflow_app = _App(above="workflow ", help="What workflows need, and whether it is here.")

fleet_app = _App(above="fleet ", help="Questions to the inventories of many machines.")

groups = {
    name: TyperInfo(group, name=name, rich_help_panel=PANELS[name], no_args_is_help=True)
    for name, group in {
        "workflow": workflow_app,
        "config": config_app,
        "service": service_app,
        "comfyui": comfyui_app,
        "fleet": fleet_app,
    }.items()
}
"""Commands that have commands of their own."""


def outlined(name: str, summary: str) -> CommandInfo:
    """A command for the help of the program, of which it shows only `summary`."""
    return CommandInfo(
        name, cls=_Command, callback=_never, help=summary, rich_help_panel=PANELS[name]
    )


def _never() -> None:
    raise AssertionError("a command that is called is imported")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfy-inventory {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
