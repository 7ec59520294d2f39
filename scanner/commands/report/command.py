"""`comfy-inventory report`: the inventory as one page for a person."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _FILES_PANEL, AsJson, Utc, _path, _taking
from scanner.console.steps import _cwd, _load, _outputs
from scanner.console.terminal import _print_json, echo_error
from scanner.errors import SettingsError

_INVENTORY = {
    "output": _path(
        _FILES_PANEL,
        "Path of the inventory to read (default: ./comfy_inventory.json).",
        "--inventory",
    )
}


@app.command()
@_taking(_INVENTORY, _FILES)
def report(
    target: Annotated[
        str,
        typer.Option(
            "-o",
            "--to",
            metavar="FILE",
            help="Write to this file; - is standard output.",
        ),
    ] = "inventory.html",
    name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html, or md: a short text for a ticket. Default: as the file is named.",
            metavar="FORMAT",
        ),
    ] = None,
    utc: Utc = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Write one page about everything: space, problems, copies, changes, packs and drives.

    The page is one file that opens in any browser, without a network. It has the names of all
    files, and nothing of what is in them.
    """
    if as_json and target == "-":
        raise SettingsError("--json: expected a file for the report, as in -o inventory.html.")
    outputs = _outputs(_load(options))
    from scanner.commands.report.write import Request, write_report
    from scanner.core.times import zone_of

    request = Request(name, target, outputs, _cwd(), zone_of(utc))
    result = write_report(request, sys.stdout.buffer)
    if as_json:
        _print_json({"schema": 1, **result._asdict()})
    elif result.path and sys.stderr.isatty():
        echo_error(f"The report is in {result.path}", dim=True)
