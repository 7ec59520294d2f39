"""`comfy-inventory unused`: models that nothing names."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    Categories,
    ExitCode,
    Limit,
    Utc,
    _taking,
)
from scanner.console.steps import _checked, _cwd, _known_outputs, _load, _one_of
from scanner.console.terminal import _console, _print_json, echo_error
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from scanner.commands.unused.known import Sources
    from scanner.commands.unused.search import Report


@app.command()
@_taking(_OUTPUT, _FILES)
def unused(
    category: Categories = None,
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    script: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="Print a script for sh, for you to read and run, which does this to the models: "
            "move.",
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="PATH", help="The folder that `move` moves to.")
    ] = None,
    limit: Limit = None,
    utc: Utc = False,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List models that no saved workflow names and no output carries.

    Any text that ends in a model's name counts as a trace. No file is read, and none is changed,
    with --script too. Without --limit and --json the first 50 models are shown.
    """
    outputs = _known_outputs(_load(options))
    from scanner.commands.unused import page
    from scanner.commands.unused.known import load
    from scanner.commands.unused.search import search
    from scanner.console.filters import CategoryFilter
    from scanner.core.times import zone_of
    from scanner.settings.values import parse_size

    _check_script(script, to, as_json=as_json)
    wanted, size = CategoryFilter(category or ()), _checked("--least", parse_size, least)
    sources = load(outputs)
    report = search(sources, wanted, size)
    if to is not None:
        _write_script(report, sources, os.path.join(_cwd(), to), limit or None)
        return
    if limit is None and not as_json:
        limit = page.SHOWN
    document = page.as_json(report, sources, limit or None)
    if as_json:
        _print_json(document)
    else:
        for line in page.warnings(document):
            echo_error(line)
        page.print_unused(_console(), document, zone_of(utc))
    if exit_code and report.unused:
        raise typer.Exit(1)


def _check_script(script: str | None, to: str | None, *, as_json: bool) -> None:
    """Raise SettingsError for options of a script that do not fit together."""
    if script is None:
        if to is not None:
            raise SettingsError("--to: expected --script move with it.")
        return
    _one_of("--script", script, ("move",))
    if to is None:
        raise SettingsError("--script move: expected --to PATH, the folder to move to.")
    if as_json:
        raise SettingsError("--script and --json exclude each other: a script is no JSON.")


def _write_script(report: Report, sources: Sources, to: str, limit: int | None) -> None:
    from scanner.commands.scripts.move import move_script
    from scanner.commands.unused.page import moves, summary

    plan = moves(report, sources, os.path.abspath(to), limit)
    sys.stdout.buffer.write(move_script(plan))
    sys.stdout.flush()
    echo_error(summary(plan, len(report.unused[:limit])))
