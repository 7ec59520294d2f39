"""`comfy-inventory schema`: the JSON Schemas."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scanner.console.app import app


@app.command()
def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="inventory, change, status, history, lock, event, envelope or workflow.",
        ),
    ],
) -> None:
    """Print the JSON Schema of the inventory, of a line of the change list, of the status file, of
    a line of the history, of what `export --format lock` writes, of what `webhook` gets, of what
    commands print with --json, or of the data of `workflow check --json`."""
    from scanner.console.steps import _one_of
    from scanner.schemas import EXPORTED, NAMES, PRINTED, schema_text

    chosen = _one_of("NAME", name, (*NAMES, *EXPORTED, *PRINTED))
    sys.stdout.buffer.write(schema_text(chosen))
    sys.stdout.buffer.flush()
