"""`comfy-inventory changes`: the change list."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _load, _outputs, _taking
from scanner.console.terminal import _console
from scanner.errors import InventoryError


@app.command()
@_taking(_OUTPUT, _FILES)
def changes(
    since: Annotated[
        str | None,
        typer.Option(help="A duration (2h), the number of a scan, or a time in ISO format."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="created, deleted, modified, moved or baseline. Repeatable."),
    ] = None,
    root: Annotated[
        list[str] | None, typer.Option(help="Kind, path or id of a root. Repeatable.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """The change list, oldest first."""
    outputs = _outputs(_load(options))
    if not follow and not os.path.exists(outputs.journal):
        raise InventoryError(f"No scan has written {outputs.journal} yet.")
    from scanner.commands.changes.page import print_changes

    print_changes(
        _console(),
        outputs.journal,
        since=since,
        kinds=kind or (),
        roots=root or (),
        follow_on=follow,
        as_json=as_json,
    )
