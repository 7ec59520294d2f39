"""`comfy-inventory changes`: the change list."""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    ExitCode,
    Limit,
    Roots,
    _cwd,
    _known_outputs,
    _load,
    _taking,
)
from scanner.console.terminal import _console
from scanner.errors import NothingWrittenError


@app.command()
@_taking(_OUTPUT, _FILES)
def changes(
    since: Annotated[
        str | None,
        typer.Option(
            help="Only changes since then: a duration (2h), the number of a scan, or a time in ISO "
            "format."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this kind: created, deleted, modified, moved or baseline. Repeatable."
        ),
    ] = None,
    root: Roots = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new lines and print them.")
    ] = False,
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Print the change list, oldest line first."""
    outputs = _known_outputs(_load(options))
    if not follow and not os.path.exists(outputs.journal):
        raise NothingWrittenError(f"No scan has written {outputs.journal} yet.")
    from scanner.commands.changes import page, select

    start, kinds = select.parse_since(since), select.parse_kinds(kind or ())
    roots = select.root_filter(root or (), outputs, _cwd())
    lines_of = select.follow_changes if follow else select.select_changes
    lines = lines_of(outputs.journal, start, kinds, roots)
    if limit and not follow:
        lines = iter(deque(lines, limit))
    if as_json and follow:
        count = page.stream_changes(lines)
    elif as_json:
        count = page.write_changes(sys.stdout.buffer, lines)
    else:
        count = page.print_changes(_console(), lines)
    if exit_code and count:
        raise typer.Exit(1)
