"""The command line. Everything heavy is imported by the command that needs it, so that help and
small scans feel instant."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from copy import copy

import typer

# isort: off
# Each registers itself, in the order in which the help lists them.
import scanner.commands.init.command
import scanner.commands.run.command
import scanner.commands.scan.command
import scanner.commands.status.command
import scanner.commands.changes.command
import scanner.commands.find.command
import scanner.commands.packs.command
import scanner.commands.roots.command
import scanner.commands.doctor.command
import scanner.commands.tune.command
import scanner.commands.accept.command
import scanner.commands.duplicates.command
import scanner.commands.unused.command
import scanner.commands.used_by.command
import scanner.commands.workflow.command
import scanner.commands.hashing.command
import scanner.commands.export.command
import scanner.commands.report.command
import scanner.commands.notify.command
import scanner.commands.metrics.command
import scanner.commands.schema.command
import scanner.commands.config.command
import scanner.commands.service.command
import scanner.commands.comfyui.command
import scanner.commands.fleet.command  # noqa: F401

# isort: on
from scanner.console.app import app, comfyui_app, config_app, fleet_app, service_app, workflow_app
from scanner.console.examples import PANELS

app.add_typer(
    workflow_app, name="workflow", rich_help_panel=PANELS["workflow"], no_args_is_help=True
)
app.add_typer(config_app, name="config", rich_help_panel=PANELS["config"], no_args_is_help=True)
app.add_typer(service_app, name="service", rich_help_panel=PANELS["service"], no_args_is_help=True)
app.add_typer(comfyui_app, name="comfyui", rich_help_panel=PANELS["comfyui"], no_args_is_help=True)
app.add_typer(fleet_app, name="fleet", rich_help_panel=PANELS["fleet"], no_args_is_help=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` without the program's name."""
    from scanner.console.streams import guarded_stderr, open_missing

    open_missing()
    with guarded_stderr():
        return _run(sys.argv[1:] if argv is None else list(argv))


def _run(argv: list[str]) -> int:
    from scanner.console.envelope import BUG, INTERRUPTED, begin_envelope, failure_of
    from scanner.console.streams import ReaderGoneError, guarded_stdout

    answer = begin_envelope(argv)
    try:
        with guarded_stdout():
            try:
                return _called(argv)
            except ReaderGoneError:
                raise
            except (Exception, KeyboardInterrupt) as error:
                answer.write_failure(failure_of(error))
                raise
    except ReaderGoneError as error:
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        failure = failure_of(error)
        if show := _show_of(error):
            show()
        elif failure.code == BUG:
            import traceback

            traceback.print_exc()
            typer.echo("comfy-inventory: this is a bug; please report the lines above.", err=True)
        elif failure.code != INTERRUPTED:
            from scanner.console.terminal import echo_failure

            echo_failure(f"comfy-inventory: {failure.message}")
        return failure.code


def _called(argv: list[str]) -> int:
    from scanner.console.apart import NeedsChildError, run_apart

    try:
        result = _app_for(argv)(argv, prog_name="comfy-inventory", standalone_mode=False)
    except NeedsChildError:
        return run_apart(argv)
    return result if isinstance(result, int) else 0


def _app_for(argv: list[str]) -> typer.Typer:
    """The application with the command that is called alone, if `argv` begins with its name.

    Typer reads the options of all commands at every start, which takes 25 ms.
    """
    named = argv[0] if argv else ""
    commands = [
        each
        for each in app.registered_commands
        if each.callback and (each.name or each.callback.__name__) == named
    ]
    groups = [each for each in app.registered_groups if each.name == named]
    if not commands and not groups:
        return app
    narrowed = copy(app)
    narrowed.registered_commands = commands
    narrowed.registered_groups = groups
    return narrowed


def _show_of(error: BaseException) -> Callable[[], None] | None:
    """What prints a wrong use; None for another error. Typer brings a Click of its own, so the
    class is known by its name."""
    is_wrong_use = any(base.__name__ == "ClickException" for base in type(error).__mro__)
    return getattr(error, "show", None) if is_wrong_use else None
