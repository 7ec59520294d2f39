"""`comfy-inventory scan`: one scan, for cron."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _HOLD, _SCANNING, _SPLIT, AsJson, Cluster, Utc, _taking


@app.command()
@_taking(_SCANNING, _SPLIT, _HOLD)
def scan(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if anything changed, for scripts.")
    ] = False,
    cluster: Cluster = None,
    utc: Utc = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Scan once and end, for cron."""
    from scanner.commands.scan.once import scan_once

    code = scan_once(exit_code=exit_code, cluster=cluster, utc=utc, as_json=as_json, **options)
    if code:
        raise typer.Exit(code)
