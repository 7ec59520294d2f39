"""The command line. Everything heavy is imported by the command that needs it, so that help and
small scans feel instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

# isort: off
# Each registers itself, in the order in which the help lists them.
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
import scanner.commands.hashing.command
import scanner.commands.export.command
import scanner.commands.schema.command
import scanner.commands.config.command
import scanner.commands.service.command  # noqa: F401

# isort: on
from scanner.console.app import app, config_app, service_app
from scanner.console.examples import PANELS
from scanner.errors import InventoryError, exhausted

app.add_typer(config_app, name="config", rich_help_panel=PANELS["config"], no_args_is_help=True)
app.add_typer(service_app, name="service", rich_help_panel=PANELS["service"], no_args_is_help=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` without the program's name."""
    from scanner.console.streams import guarded_stderr, open_missing

    open_missing()
    with guarded_stderr():
        return _run(sys.argv[1:] if argv is None else list(argv))


def _run(argv: list[str]) -> int:
    from scanner.console.apart import NeedsChildError, run_apart
    from scanner.console.streams import ReaderGoneError, guarded_stdout

    try:
        with guarded_stdout():
            try:
                result = app(argv, prog_name="comfy-inventory", standalone_mode=False)
            except NeedsChildError:
                return run_apart(argv)
    except ReaderGoneError as error:
        return error.exit_code
    except InventoryError as error:
        return _tell(error)
    except (KeyboardInterrupt, EOFError):
        return 130
    except Exception as error:
        if _is_usage_error(error):
            error.show()  # type: ignore[attr-defined]
            return 2
        if type(error).__name__ == "Abort":
            return 130
        if scarce := exhausted(error):
            return _tell(scarce)
        import traceback

        traceback.print_exc()
        typer.echo("comfy-inventory: this is a bug; please report the lines above.", err=True)
        return 70
    return result if isinstance(result, int) else 0


def _tell(error: InventoryError) -> int:
    from scanner.console.terminal import echo_error

    echo_error(f"comfy-inventory: {error}")
    return error.exit_code


def _is_usage_error(error: Exception) -> bool:
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)
