"""`comfy-inventory workflow`: what workflows need, and whether it is here."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import workflow_app
from scanner.console.options import _FILES, _OUTPUT, AsJson, Utc, _taking
from scanner.console.steps import _cwd, _known_outputs, _load
from scanner.console.terminal import _console, _print_json, echo_failure, waiting
from scanner.errors import SettingsError


@workflow_app.command("check")
@_taking(_OUTPUT, _FILES)
def workflow_check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Workflows (JSON, or pictures and videos that hold one), folders of them, or - "
            "for standard input.",
        ),
    ],
    utc: Utc = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Say which models a workflow needs, which of them are here, and where the others are. Several
    workflows or a folder give a table of which of them have all their models.

    Only the inventory is asked, and nothing is downloaded. Exit code 0: all models are here; 1: not
    all, or a file cannot be read; 2: no file can be read.
    """
    inventory = _known_outputs(_load(options)).inventory
    from scanner.commands.workflow import page
    from scanner.commands.workflow.check import check, exit_code
    from scanner.commands.workflow.read_files import read_workflows
    from scanner.console.envelope import Failure, envelope
    from scanner.core.times import time_shown, zone_of
    from scanner.output.inventory_reader import OpenInventory, damage_reported
    from scanner.workflows.index import Index

    zone = zone_of(utc or as_json)
    note = " UTC" if as_json else ""
    with OpenInventory(inventory) as opened, waiting("Reading workflows"):
        reads = read_workflows(paths, _cwd())
        if not reads.files:
            raise SettingsError(f"There is no workflow in {', '.join(paths)}.")
        with damage_reported(inventory):
            index = Index(opened.header, opened.entries())
        header = opened.header
    checkups = check(reads.files, index, lambda text: time_shown(text, zone) + note)
    code = exit_code(checkups)
    document = page.as_json(header, checkups, reads.without, is_windows=index.is_windows)
    if code == 2:
        lines = page.unreadable_lines(checkups)
        for line in lines:
            echo_failure(f"comfy-inventory: {line}")
        if as_json:
            envelope().write(document, Failure(2, lines[0]))
    elif as_json:
        _print_json(document)
    elif len(checkups) == 1:
        page.print_one(_console(), checkups[0], is_windows=index.is_windows)
    else:
        page.print_matrix(_console(), checkups, reads.without)
    if code:
        raise typer.Exit(code)
