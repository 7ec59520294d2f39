"""`comfy-inventory notify --test`: try the places that get news."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _taking
from scanner.console.steps import _load, _outputs
from scanner.console.terminal import _print_json
from scanner.errors import SettingsError


@app.command()
@_taking(_OUTPUT, _FILES)
def notify(
    test: Annotated[
        bool, typer.Option("--test", help="Send one test event to every place now.")
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Send a test event to on_event, webhook and healthcheck, and say what happened."""
    if not test:
        raise SettingsError("notify: say --test to send a test event. Scans send news themselves.")
    loaded = _load(options)
    from scanner.notify.trial import try_places

    results = try_places(loaded.settings, _outputs(loaded).inventory)
    if not results:
        raise SettingsError(
            "notify: no place is set; set on_event, webhook or healthcheck (docs/monitoring.md)."
        )
    if as_json:
        _print_json({"places": [result._asdict() for result in results]})
    else:
        for result in results:
            typer.echo(f"{result.place}: {'sent' if result.ok else 'NOT sent'} ({result.answer})")
    if not all(result.ok for result in results):
        raise typer.Exit(1)
