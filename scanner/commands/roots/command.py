"""`comfy-inventory roots`: the folders that would be scanned."""

from __future__ import annotations

from typing import Any

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, _ROOTS, AsJson, _taking
from scanner.console.steps import _cwd, _find_roots, _load, _outputs, _tell_plainly
from scanner.console.terminal import _console, _print_json


@app.command()
@_taking(_ROOTS, _OUTPUT, _FILES)
def roots(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List the folders to scan, with their state if it is known."""
    loaded = _load(options)
    outputs = _outputs(loaded)
    from scanner.commands.named_folders import refuse_mistakes

    refuse_mistakes(loaded, outputs, _cwd())
    found = _find_roots(loaded, tell=_tell_plainly)
    from scanner.commands.roots import page
    from scanner.output.status_file import damage_reported, read_status

    status = outputs.status
    with damage_reported(status):
        document = page.as_json(found.roots, found.base, read_status(status))
    if as_json:
        _print_json(document)
    else:
        console = _console()
        page.print_roots(console, document["roots"])
        page.print_accepts(console, document["accept"])
