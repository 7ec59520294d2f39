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
    ExitCode,
    Limit,
    Roots,
    Utc,
    _taking,
)
from scanner.console.steps import _cwd, _known_outputs, _load, _tell_plainly
from scanner.console.terminal import _console


def _texts(help_: str, name: str) -> Any:
    option = typer.Option(name, help=f"{help_} Repeatable.")
    return Annotated[list[str] | None, option]


def _text(help_: str, name: str) -> Any:
    return Annotated[str | None, typer.Option(name, help=help_)]


# What is looked for, by the names that `parse_wanted` has for them.
_CRITERIA = {
    "roots": Roots,
    "categories": Categories,
    "kinds": _texts("Kind of model: lora, checkpoint, vae; or pack.", "--kind"),
    "base_models": _texts(
        "Part of a base model's name, or a pattern: sdxl, 'wan*'.", "--base-model"
    ),
    "formats": _texts("Format: safetensors, gguf, ckpt.", "--format"),
    "size": _text("Size: '>1GB', '<=100MB', 1GB..2GB or =0.", "--size"),
    "age": _text("Time since it was modified: '>30d', '<2h' or 7d..30d.", "--age"),
    "statuses": _texts(
        "Status: unsettled, partial, incomplete, away, truncated, damaged, pointer, page, corrupt, "
        "mismatch or misplaced; or a group of them: broken, unfinished, any.",
        "--status",
    ),
    "is_shadowed": Annotated[
        bool | None,
        typer.Option(
            "--shadowed",
            help="Models that ComfyUI does not load, because it finds another one of the same name "
            "first.",
        ),
    ],
    "types": Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Type: file, directory, symlink or other. Repeatable. Default: files and links "
            "to files.",
        ),
    ],
    "hashes": _texts("First digits of a fingerprint, xxh3, SHA-256, AutoV2 or AutoV3.", "--hash"),
    "text": _text("Text in the title, trigger words, description or path.", "--text"),
    "sort": _text("Order: path, size (largest first) or age (youngest first).", "--sort"),
    "is_reversed": Annotated[bool | None, typer.Option("--reverse", help="Reverse the order.")],
    "limit": Limit,
}

_SHOW = {"as_json": AsJson, "utc": Utc}


@app.command()
@_taking(_CRITERIA, _SHOW, _OUTPUT, _FILES)
def find(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORD",
            help="Words in the names of files, in any order ('sdxl base' finds sd_xl_base_1.0); "
            "folders (loras/flux); or patterns of names ('*.gguf') and of the ends of paths "
            "('loras/**'). Capitals do not matter. Default: everything.",
        ),
    ] = None,
    is_all: Annotated[
        bool | None, typer.Option("--all", help="Files inside node packs too.")
    ] = None,
    exit_code: ExitCode = False,
    **options: Any,
) -> None:
    """Search the inventory."""
    as_json, utc = options.pop("as_json"), bool(options.pop("utc"))
    given = {"globs": words, "is_all": is_all, **{name: options.pop(name) for name in _CRITERIA}}
    inventory = _known_outputs(_load(options)).inventory
    import time

    from scanner.commands.find.criteria import parse_wanted
    from scanner.commands.find.page import FIRST, print_found, write_found
    from scanner.commands.find.search import Searched, find_entries
    from scanner.core.times import zone_of
    from scanner.output.inventory_reader import header_of

    header = header_of(inventory)
    criteria = {name: value for name, value in given.items() if value is not None}
    wanted = parse_wanted(header, _cwd(), **criteria)
    searched = Searched()
    entries = find_entries(inventory, wanted, time.time_ns(), searched)
    if as_json:
        found = write_found(sys.stdout.buffer, header, entries)
    else:
        first = FIRST if sys.stdout.isatty() and given["limit"] is None else None
        found = print_found(_console(), entries, given["limit"], first, searched, zone_of(utc))
    if not found.count:
        from scanner.commands.find.nothing import nothing_text

        _tell_plainly(f"comfy-inventory: {nothing_text(inventory, searched, criteria)}")
    elif exit_code:
        raise typer.Exit(1)
