"""`comfy-inventory export`: the inventory in the formats of other programs."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _FILES_PANEL, AsJson, Categories, Roots, _path, _taking
from scanner.console.steps import _cwd, _load, _outputs
from scanner.console.terminal import _print_json, echo_error
from scanner.errors import SettingsError

_INVENTORY = {
    "output": _path(
        _FILES_PANEL,
        "Path of the inventory to read (default: ./comfy_inventory.json).",
        "--inventory",
    )
}


def _texts(help_: str, name: str) -> Any:
    return Annotated[list[str] | None, typer.Option(name, help=f"{help_} Repeatable.")]


# Criteria of `find`, by the names that `parse_wanted` has for them. Its --format would be another
# one than ours.
_CRITERIA = {
    "roots": Roots,
    "categories": Categories,
    "kinds": _texts("Kind of model, as of `find`.", "--kind"),
    "base_models": _texts("Base model, as of `find`.", "--base-model"),
    "statuses": _texts("Status, as of `find`.", "--status"),
    "types": _texts(
        "Type: file, directory, symlink or other. With any criterion, the default is files and "
        "links to files.",
        "--type",
    ),
}


@app.command()
@_taking(_CRITERIA, _INVENTORY, _FILES)
def export(
    globs: Annotated[
        list[str] | None,
        typer.Argument(metavar="GLOB", help="Patterns, as of `find`. Default: everything."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--format",
            help="jsonl, csv, sqlite, parquet, ncdu, sha256sum or lock.",
            metavar="FORMAT",
        ),
    ] = "jsonl",
    target: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--to",
            metavar="FILE",
            help="Write to this file and replace it as a whole. Default: standard output, which "
            "sqlite and parquet cannot use.",
        ),
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Write the inventory in the format of another program.

    Without criteria all entries are written.
    """
    if as_json and target in (None, "-"):
        raise SettingsError("--json: expected a file for the entries, as in -o inventory.jsonl.")
    given = {"globs": globs, **{key: options.pop(key) for key in _CRITERIA}}
    outputs = _outputs(_load(options))
    from scanner.commands.export.formats import Request, export_entries

    criteria = {key: value for key, value in given.items() if value}
    request = Request(name, target, outputs, _cwd(), criteria)
    result = export_entries(request, sys.stdout.buffer)
    if as_json:
        fields = {"format": name, "path": result.path, "count": result.total, "note": result.note}
        _print_json({"schema": 1, **fields})
        return
    if result.note:
        echo_error(result.note)
    if result.path and sys.stderr.isatty():
        echo_error(f"{result.total:,} entries are in {result.path}", dim=True)
