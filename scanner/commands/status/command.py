"""`comfy-inventory status`: the last scans, and the state of each root."""

from __future__ import annotations

import os
from typing import Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _known_outputs, _load, _taking
from scanner.console.terminal import _console, _print_json
from scanner.errors import InventoryError, NothingWrittenError


@app.command()
@_taking(_OUTPUT, _FILES)
def status(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Show the last scans, the state of each root, and when the next scan is due."""
    outputs = _known_outputs(_load(options))
    from scanner.core.roots import COMPLETE
    from scanner.output.status_file import damage_reported, is_alive, read_status

    document = read_status(outputs.status)
    if document is None and os.path.exists(outputs.status):
        raise InventoryError(f"The status {outputs.status} is damaged; the next scan replaces it.")
    if document is None:
        raise NothingWrittenError(f"No scan has written {outputs.status} yet.")
    document["alive"] = is_alive(document, outputs.lock)
    with damage_reported(outputs.status):
        is_online = all(root["state"] in COMPLETE for root in document["roots"])
        if as_json:
            _print_json(document)
        else:
            from scanner.commands.status.page import print_status

            print_status(_console(), document)
    if not is_online:
        raise typer.Exit(3)
