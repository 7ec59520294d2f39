"""`comfy-inventory duplicates`: files of the same content."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    Categories,
    ExitCode,
    Limit,
    Roots,
    _checked,
    _cwd,
    _known_outputs,
    _load,
    _one_of,
    _taking,
)
from scanner.console.terminal import _console, _print_json


@app.command()
@_taking(_OUTPUT, _FILES)
def duplicates(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Only sets with a copy at or below these paths."),
    ] = None,
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    proven: Annotated[
        bool, typer.Option("--proven", help="Only sets whose content is proven to be the same.")
    ] = False,
    root: Roots = None,
    category: Categories = None,
    sort: Annotated[
        str, typer.Option(help="Order: wasted, count or size, largest first.")
    ] = "wasted",
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List files of the same content and the space that they waste.

    Compares fingerprints and hashes that are known already: no file is read and none is deleted.
    Without --limit and --json the first 50 sets are shown.
    """
    outputs = _known_outputs(_load(options))
    from scanner.commands.duplicates import page
    from scanner.commands.duplicates.search import search
    from scanner.commands.duplicates.sets import SORTS
    from scanner.settings.values import parse_size

    found = search(
        outputs,
        _cwd(),
        paths=paths or (),
        roots=root or (),
        categories=category or (),
        least=_checked("--least", parse_size, least),
        only_proven=proven,
        sort=_one_of("--sort", sort, SORTS),
    )
    if limit is None and not as_json:
        limit = page.SHOWN
    document = page.as_json(found.report, found.roots, found.base, limit or None)
    if as_json:
        _print_json(document)
    else:
        page.print_duplicates(_console(), document)
    if exit_code and found.report.sets:
        raise typer.Exit(1)
