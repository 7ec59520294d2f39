"""`comfy-inventory used-by`: the workflows and outputs that name a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, ExitCode, Limit, _taking
from scanner.console.steps import _cwd, _known_outputs, _load
from scanner.console.terminal import _console, _print_json
from scanner.errors import SettingsError


@app.command("used-by")
@_taking(_OUTPUT, _FILES)
def used_by(
    model: Annotated[
        str, typer.Argument(help="A model: its path, its name in ComfyUI, or its file name.")
    ],
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List the saved workflows and the outputs that name a model.

    Exact matches come first, then texts that end in its name. No file is read: `run` and `scan`
    have read them. Without --limit and --json the first 50 files are shown.
    """
    if not model.strip():
        raise SettingsError("MODEL: expected a path or a name, not an empty text.")
    outputs = _known_outputs(_load(options))
    from scanner.commands.unused.known import load
    from scanner.commands.used_by import page
    from scanner.commands.used_by.search import search

    sources = load(outputs)
    answer = search(sources, model, _cwd())
    if limit is None and not as_json:
        limit = page.SHOWN
    document = page.as_json(model, answer, sources, limit or None)
    if as_json:
        _print_json(document)
    else:
        page.print_used_by(_console(), document)
    if exit_code and answer.files:
        raise typer.Exit(1)
