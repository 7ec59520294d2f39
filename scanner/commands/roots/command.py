"""`comfy-inventory roots`: the folders that would be scanned."""

from __future__ import annotations

from typing import Any

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    _ROOTS,
    AsJson,
    _find_roots,
    _load,
    _outputs,
    _taking,
    _tell_plainly,
)
from scanner.console.terminal import _console, _print_json


@app.command()
@_taking(_ROOTS, _OUTPUT, _FILES)
def roots(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """The folders that would be scanned, and their state where it is known."""
    loaded = _load(options)
    found = _find_roots(loaded, tell=_tell_plainly)
    outputs = _outputs(loaded)
    from scanner.core.serialize import readable, shown
    from scanner.output.status_file import read_status

    known = {root["id"]: root for root in (read_status(outputs.status) or {}).get("roots", ())}
    listed = [
        {
            "id": readable(root.id),
            "kind": root.kind,
            "path": shown(root.path, None),
            "category": root.category or None,
            "state": known.get(readable(root.id), {}).get("state"),
            "reason": known.get(readable(root.id), {}).get("reason"),
            "filesystem": known.get(readable(root.id), {}).get("filesystem"),
        }
        for root in found.roots
    ]
    if as_json:
        _print_json({"schema": 1, "base": found.base and shown(found.base, None), "roots": listed})
    else:
        from scanner.commands.roots.page import print_roots

        print_roots(_console(), listed)
