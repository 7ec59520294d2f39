"""`comfy-inventory duplicates`: files of the same content."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _checked, _load, _outputs, _taking
from scanner.console.terminal import _console, _print_json
from scanner.errors import SettingsError


@app.command()
@_taking(_OUTPUT, _FILES)
def duplicates(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Only sets with a copy at or below these."),
    ] = None,
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    proven: Annotated[
        bool, typer.Option("--proven", help="Only sets whose content is proven to be the same.")
    ] = False,
    root: Annotated[
        list[str] | None, typer.Option(help="Kind, path or id of a root. Repeatable.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="As ComfyUI names it: loras. Repeatable.")
    ] = None,
    sort: Annotated[str, typer.Option(help="wasted, count or size.")] = "wasted",
    limit: Annotated[
        int | None, typer.Option(min=0, help="So many sets at most; 0 for all.")
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Files of the same content and what they waste, going by what is known: nothing is read, and
    nothing is deleted. Exits with 1 where there are any."""
    outputs = _outputs(_load(options))
    from scanner.commands.duplicates.compare import find_duplicates
    from scanner.commands.duplicates.known import load
    from scanner.commands.duplicates.page import SHOWN, print_duplicates
    from scanner.commands.duplicates.page import as_json as told_for_programs
    from scanner.commands.duplicates.sets import SORTS, choice_of, chosen
    from scanner.core.roots import KINDS
    from scanner.disk.mounts import read_mounts
    from scanner.output.inventory_reader import base_of, read_header
    from scanner.settings.values import parse_size
    from scanner.store.metadata import MetadataTable

    if sort not in SORTS:
        raise SettingsError(f"--sort: expected {', '.join(SORTS)}, not {sort!r}.")
    at_least = _checked("--least", parse_size, least)
    known = load(outputs.state, read_mounts())
    within = [os.path.abspath(path) for path in paths or ()]
    names = {name for record in known.roots for name in (record.id, record.kind)} | set(KINDS)
    wanted = [one if one in names else os.path.abspath(one) for one in root or ()]
    choice = choice_of(
        known.roots, paths=within, roots=wanted, categories=category or (), only_proven=proven
    )
    with contextlib.closing(MetadataTable(outputs.state, readonly=True)) as metadata:
        report = find_duplicates(
            known.snapshot,
            known.roots,
            metadata.digests_of,
            least=at_least,
            within=within,
            skip=known.unsettled,
            hashed=metadata.versions,
        )
    report = chosen(report, choice, sort)
    header = read_header(outputs.inventory)
    most = limit if limit is not None else (None if as_json else SHOWN)
    told = told_for_programs(report, known.roots, base_of(header) if header else None, most or None)
    if as_json:
        _print_json(told)
    else:
        print_duplicates(_console(), told)
    if report.sets:
        raise typer.Exit(1)
