"""`comfy-inventory config`: the settings in effect."""

from __future__ import annotations

from typing import Any

from scanner.console.app import config_app
from scanner.console.options import _HOLD, _SCANNING, _TIMES, AsJson, _taking
from scanner.console.steps import _load
from scanner.console.terminal import _console, _print_json


@config_app.command("show")
@_taking(_SCANNING, _TIMES, _HOLD)
def config_show(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Print every setting, its value, and where the value comes from."""
    loaded = _load(options)
    from scanner.commands.config import page
    from scanner.settings.describe import describe

    settings = describe(loaded)
    if as_json:
        _print_json(page.as_json(settings))
    else:
        page.print_settings(_console(), settings)
