"""`comfy-inventory service`: let the system start `run`, and start it again."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from scanner.console.app import service_app
from scanner.console.options import _SCANNING, _TIMES, AsJson, _taking
from scanner.console.steps import _cwd, _find_roots, _load, _outputs, _tell_plainly
from scanner.console.terminal import _print_json, echo_error
from scanner.errors import OutputError

_System = Annotated[
    bool, typer.Option("--system", help="The machine's service, which starts without a login.")
]


@service_app.command("install")
@_taking(_SCANNING, _TIMES)
def service_install(
    system: _System = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the file that would be written; do nothing.")
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Install and start a service that does what `run` does here with the same options."""
    loaded = _load(options)
    outputs = _outputs(loaded)
    from scanner.commands.named_folders import refuse_mistakes

    refuse_mistakes(loaded, outputs, _cwd())
    found = _find_roots(loaded, _tell_plainly)
    if not os.path.isdir(outputs.folder):
        raise OutputError(f"The folder {outputs.folder} for the inventory does not exist.")
    from scanner.commands.service import here, page
    from scanner.commands.service.act import install
    from scanner.commands.service.definition import Definition, program_of, run_arguments

    names = [name for name in _SCANNING | _TIMES if name != "config"]
    arguments = run_arguments(names, options, os.environ, loaded, found, outputs.inventory, _cwd())
    definition = Definition(program_of(sys.argv[0]), arguments, here.user_here(system))
    manager = here.manager_here(system)
    document = {"schema": 1, "path": manager.path, "command": list(definition.command)}
    if only_print and as_json:
        _print_json({**document, "installed": False, "text": manager.text(definition)})
        return
    if only_print:
        typer.echo(manager.text(definition), nl=False)
        echo_error(f"This would be written to {manager.path}.")
        return
    if system:
        here.need_root(definition.program, sys.argv[1:])
    install(manager, definition)
    if as_json:
        _print_json({**document, "installed": True})
        return
    page.print_installed(manager, definition, system)


@service_app.command("uninstall")
def service_uninstall(system: _System = False, as_json: AsJson = False) -> None:
    """Stop the service and remove it. The inventory stays."""
    from scanner.commands.service import here
    from scanner.commands.service.act import uninstall

    manager = here.manager_here(system)
    is_removed = uninstall(manager)
    if as_json:
        _print_json({"schema": 1, "removed": is_removed, "path": manager.path})
    elif is_removed:
        typer.echo(f"Removed {manager.path}.")
    else:
        echo_error(f"No service is installed: there is no {manager.path}.")


@service_app.command("status")
def service_status(system: _System = False, as_json: AsJson = False) -> None:
    """Show whether the service is installed and runs; exit code 1 if not."""
    from scanner.commands.service import here
    from scanner.commands.service.act import state

    manager = here.manager_here(system)
    is_installed = os.path.exists(manager.path)
    runs, said = state(manager) if is_installed else (False, "")
    if as_json:
        _print_json({"schema": 1, "installed": is_installed, "running": runs, "path": manager.path})
    elif is_installed:
        typer.echo(said)
    else:
        typer.echo(
            f"No service is installed: there is no {manager.path}. "
            "Install one with: comfy-inventory service install"
        )
    if not runs:
        raise typer.Exit(1)


@service_app.command("logs")
def service_logs(
    system: _System = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new lines.")] = False,
) -> None:
    """Show what the service has logged."""
    from scanner.commands.service import here
    from scanner.commands.service.act import show_log

    show_log(here.manager_here(system), lines, follow, lambda text: typer.echo(text, nl=False))
