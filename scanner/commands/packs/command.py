"""`comfy-inventory packs`: node packs and their versions."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, ExitCode, Limit, _taking
from scanner.console.steps import _known_outputs, _load
from scanner.console.terminal import _console


@app.command()
@_taking(_OUTPUT, _FILES)
def packs(
    is_enabled: Annotated[
        bool | None,
        typer.Option(
            "--enabled/--disabled", help="Only enabled or only disabled packs. Default: all."
        ),
    ] = None,
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List the node packs with their versions and sources."""
    inventory = _known_outputs(_load(options)).inventory
    from scanner.commands.packs.page import print_packs, write_packs
    from scanner.output.inventory_reader import header_of
    from scanner.views.packs import packs_of

    header = header_of(inventory)
    listed = packs_of(inventory, is_enabled=is_enabled)
    shown = listed[: limit or None]
    if as_json:
        write_packs(sys.stdout.buffer, header, shown)
    else:
        print_packs(_console(), shown, len(listed) - len(shown))
    if exit_code and listed:
        raise typer.Exit(1)
