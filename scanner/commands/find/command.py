"""`comfy-inventory find`: search the inventory."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    Categories,
    Limit,
    Roots,
    _cwd,
    _load,
    _outputs,
    _taking,
)
from scanner.console.terminal import _console


@app.command()
@_taking(_OUTPUT, _FILES)
def find(
    globs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GLOB",
            help="Patterns of file names ('*.gguf') or, with a slash, of the ends of paths "
            "('loras/**'). Capitals do not matter. Default: everything.",
        ),
    ] = None,
    root: Roots = None,
    category: Categories = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Kind of model: lora, checkpoint, vae; or pack. Repeatable."),
    ] = None,
    base_model: Annotated[
        list[str] | None,
        typer.Option(help="Part of a base model's name, or a pattern: sdxl, 'wan*'. Repeatable."),
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="Format: safetensors, gguf, ckpt. Repeatable."),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Size: '>1GB', '<=100MB', 1GB..2GB or =0.")
    ] = None,
    age: Annotated[
        str | None, typer.Option(help="Time since it was modified: '>30d', '<2h' or 7d..30d.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="Status: unsettled, partial, incomplete, truncated, damaged, pointer, page, "
            "corrupt or mismatch; or a group of them: broken, unfinished, any. Repeatable."
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Type: file, directory, symlink or other. Repeatable. Default: files and links "
            "to files.",
        ),
    ] = None,
    hash_prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--hash",
            help="First digits of a fingerprint, xxh3, SHA-256, AutoV2 or AutoV3. Repeatable.",
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Text in the title, trigger words, description or path.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="Order: path, size (largest first) or age (youngest first).")
    ] = None,
    is_reversed: Annotated[bool, typer.Option("--reverse", help="Reverse the order.")] = False,
    limit: Limit = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Search the inventory.

    Exits with 1 if nothing is found.
    """
    inventory = _outputs(_load(options)).inventory
    import time

    from scanner.commands.find.criteria import parse_wanted
    from scanner.commands.find.page import print_found, write_found
    from scanner.commands.find.search import find_entries
    from scanner.output.inventory_reader import header_of

    header = header_of(inventory)
    wanted = parse_wanted(
        header,
        _cwd(),
        globs=globs or (),
        roots=root or (),
        categories=category or (),
        kinds=kind or (),
        base_models=base_model or (),
        formats=format_ or (),
        size=size,
        age=age,
        statuses=status or (),
        types=type_ or (),
        hashes=hash_prefix or (),
        text=text,
        sort=sort,
        is_reversed=is_reversed,
        limit=limit,
    )
    entries = find_entries(inventory, wanted, time.time_ns())
    if as_json:
        found = write_found(sys.stdout.buffer, header, entries)
    else:
        found = print_found(_console(), entries, limit)
    if not found.count:
        raise typer.Exit(1)
