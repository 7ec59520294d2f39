"""`comfy-inventory metrics`: numbers for Prometheus."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, _taking
from scanner.console.steps import _known_outputs, _load
from scanner.errors import InventoryError


@app.command()
@_taking(_OUTPUT, _FILES)
def metrics(
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Print a dashboard for Grafana instead.")
    ] = False,
    alerts: Annotated[
        bool, typer.Option("--alerts", help="Print alert rules for Prometheus instead.")
    ] = False,
    **options: Any,
) -> None:
    """Print numbers of the last scan in the text format of Prometheus."""
    if dashboard or alerts:
        from scanner.settings.sources import shipped_folder

        name = "grafana.json" if dashboard else "alerts.yml"
        text = (shipped_folder() / "monitoring" / name).read_text(encoding="utf-8")
        typer.echo(text, nl=False)
        return
    outputs = _known_outputs(_load(options))
    from scanner.notify.ledger import read_counts
    from scanner.notify.metrics import metrics_text
    from scanner.output.inventory_reader import read_header
    from scanner.output.status_file import damage_reported, read_status

    status = read_status(outputs.status)
    if status is None:
        raise InventoryError(f"No scan has written {outputs.status} yet.")
    with damage_reported(outputs.status):
        header = read_header(outputs.inventory)
        typer.echo(metrics_text(status, header, read_counts(outputs.notify)), nl=False)
