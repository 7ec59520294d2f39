"""`comfy-inventory history`: what each day left, and what grew."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, Categories, Limit, Roots, _taking
from scanner.console.steps import _cwd, _known_outputs, _load, _one_of
from scanner.console.terminal import _console, _print_json
from scanner.errors import NothingWrittenError


@app.command()
@_taking(_OUTPUT, _FILES)
def history(
    since: Annotated[
        str | None,
        typer.Option(help="From this day on: 30d, 1w, today, yesterday or a date (2026-11-01)."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Up to this day.")] = None,
    by: Annotated[
        str,
        typer.Option(
            help="A line for each category of a root, with its growth; or for each day: category "
            "or day."
        ),
    ] = "category",
    root: Roots = None,
    category: Categories = None,
    limit: Limit = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Show how the folders grew, from what each day of UTC left.

    Every scan that writes the inventory replaces the row of its day. Days of which nothing changed
    have none.
    """
    outputs = _known_outputs(_load(options))
    if not os.path.exists(outputs.history):
        raise NothingWrittenError(f"No scan has written {outputs.history} yet.")
    from scanner.commands.history import page
    from scanner.commands.history.select import Wanted, parse_day
    from scanner.output.history_reader import read_history

    chosen = _one_of("--by", by, page.FORMS)
    first, last = parse_day("--since", since), parse_day("--until", until)
    rows = read_history(outputs.history)
    wanted = Wanted(rows, root or (), category or (), _cwd())
    view = page.view_of(rows, first, last, wanted)
    if as_json:
        _print_json(page.as_json(view, limit or 0))
    else:
        page.print_view(_console(), view, chosen, limit or 0)
