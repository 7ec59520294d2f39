"""`comfy-inventory changes`: the change list."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, ExitCode, Roots, Utc, _taking
from scanner.console.steps import _cwd, _known_outputs, _load
from scanner.console.terminal import _console
from scanner.errors import NothingWrittenError


@app.command()
@_taking(_OUTPUT, _FILES)
def changes(
    since: Annotated[
        str | None,
        typer.Option(
            help="Only changes since then: 2h, 1w, today, yesterday, a date (2026-11-01), a time "
            "in ISO format, or the number of a scan."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only changes before then; or up to this scan.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this kind: created, deleted, modified, moved or baseline. Repeatable."
        ),
    ] = None,
    root: Roots = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=0, help="Only the last so many; 0 sets no limit."),
    ] = None,
    is_all: Annotated[
        bool, typer.Option("--all", help="Each change on a line: fold no crowds.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Show the last 20, then wait for new changes and print them."
        ),
    ] = False,
    utc: Utc = False,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Print what changed, by day, oldest first.

    Ten or more changes of one kind in one folder become one line, as in the log. A terminal shows
    the last 100 lines unless --limit or --since is given.
    """
    outputs = _known_outputs(_load(options))
    if not follow and not os.path.exists(outputs.journal):
        raise NothingWrittenError(f"No scan has written {outputs.journal} yet.")
    from itertools import chain

    from scanner.commands.changes import page, select
    from scanner.core.times import zone_of
    from scanner.views.change_entries import days_of

    zone = zone_of(utc)
    wanted = select.Wanted(
        select.parse_point("--since", since, zone),
        select.parse_point("--until", until, zone),
        select.parse_kinds(kind or ()),
        select.root_filter(root or (), outputs, _cwd()),
    )
    followed = select.Followed(outputs.journal, wanted)
    lines: Iterable[dict[str, Any]]
    lines = followed.present() if follow else select.select_changes(outputs.journal, wanted)
    if as_json:
        lines = deque(lines, limit) if limit else lines
        if follow:
            new = chain.from_iterable(followed.new())
            count = page.stream_changes(chain(lines, new))
        else:
            count = page.write_changes(sys.stdout.buffer, lines)
        if exit_code and count:
            raise typer.Exit(1)
        return
    if limit is None and since is None:
        limit = page.FOLLOWED if follow else page.FIRST if sys.stdout.isatty() else 0
    days = page.print_days(_console(), days_of(lines, zone, folds=not is_all), limit or 0, zone)
    if follow:
        day = days[-1].date if days else None
        page.print_new(_console(), followed.new(), zone, day, folds=not is_all)
    if exit_code and days:
        raise typer.Exit(1)
