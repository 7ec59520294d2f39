"""`comfy-inventory serve`: the inventory as a page in the browser."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, _taking
from scanner.console.serving import SERVING, serve_options
from scanner.console.steps import _load


@app.command()
@_taking(_OUTPUT, _FILES, SERVING)
def serve(
    inventories: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INVENTORY",
            help="Inventories to show together, also of other machines. Default: that of --output.",
        ),
    ] = None,
    open_: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser of this machine.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print a unit for systemd and end: socket, or service, which that socket starts.",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Show the inventory as a page in the browser, with an API for programs.

    Only files that a scan has written are read, so that it can run on another machine than the
    scanner. It needs `pip install 'comfy-inventory[web]'`.
    """
    wanted = serve_options(options)
    loaded = _load(options)
    from scanner.commands.serve.host import (
        outputs_at,
        serve_until_stopped,
        start_server,
        stopping,
    )

    outputs = outputs_at(inventories or (), loaded)
    if unit is not None:
        from scanner.commands.serve.units import unit_text

        typer.echo(unit_text(unit, outputs, wanted, sys.argv[0]), nl=False)
        return
    with stopping() as stop:
        running = start_server(outputs, wanted, os.environ)
        typer.echo(f"The page is at {running.link}")
        if open_:
            typer.launch(running.link)
        ended_in_order = serve_until_stopped(running, stop)
    if not ended_in_order:
        raise typer.Exit(70)
