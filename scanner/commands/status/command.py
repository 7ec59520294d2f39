"""`comfy-inventory status`: whether everything is fine, and how things stand."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _taking
from scanner.console.steps import _known_outputs, _load
from scanner.console.terminal import _console, _print_json
from scanner.errors import InventoryError, NothingWrittenError


@app.command()
@_taking(_OUTPUT, _FILES)
def status(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="For monitoring: print one line, and exit with 1 if there is something to act on.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print nothing, and exit with 1 if no scanner runs; with --check, if there is "
            "anything to act on.",
        ),
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Show whether everything is fine: what is scanned, what is wrong, and what changed today."""
    outputs = _known_outputs(_load(options))
    from scanner.core.roots import COMPLETE
    from scanner.output.status_file import damage_reported, is_alive, read_status
    from scanner.views.today import changes_today
    from scanner.views.verdict import nagios_line, verdict

    document = read_status(outputs.status)
    if document is None and quiet:
        raise typer.Exit(1)
    if document is None and os.path.exists(outputs.status):
        raise InventoryError(f"The status {outputs.status} is damaged; the next scan replaces it.")
    if document is None:
        raise NothingWrittenError(f"No scan has written {outputs.status} yet.")
    document["alive"] = is_alive(document, outputs.lock)
    with damage_reported(outputs.status):
        is_online = all(root["state"] in COMPLETE for root in document["roots"])
        answer = verdict(document)
        if not (check or quiet) or as_json:
            kinds, is_whole = changes_today(outputs.journal)
            document |= {
                "fine": answer.is_fine,
                "answer": answer.text,
                "problems": list(answer.problems),
                "today": {"kinds": kinds, "is_whole": is_whole},
            }
        line = nagios_line(document)
    if quiet:
        raise typer.Exit(0 if (answer.is_fine if check else document["alive"]) else 1)
    if as_json:
        _print_json(document)
    elif check:
        from scanner.core.serialize import printable

        typer.echo(printable(line))
    else:
        from scanner.commands.status.page import print_status

        with damage_reported(outputs.status):
            print_status(_console(), document)
    if check:
        raise typer.Exit(0 if answer.is_fine else 1)
    if not is_online:
        raise typer.Exit(3)
