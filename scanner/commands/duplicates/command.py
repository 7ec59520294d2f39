"""`comfy-inventory duplicates`: files of the same content."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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
    Roots,
    _taking,
)
from scanner.console.steps import _checked, _cwd, _known_outputs, _load, _one_of
from scanner.console.terminal import _console, _print_json, echo_error
from scanner.errors import SettingsError

if TYPE_CHECKING:
    from scanner.commands.duplicates.keep import Keep
    from scanner.commands.duplicates.sets import DuplicateSet


_SHELL = "powershell" if sys.platform == "win32" else "sh"


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
    all_: Annotated[
        bool, typer.Option("--all", help="Show every path of a set, not only the first five.")
    ] = False,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help='The copy to keep, shown first: fastest, oldest, newest or "in PATH".',
        ),
    ] = None,
    script: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="Print a script for you to read and run, which does this to the other copies of "
            "proven sets: link, reflink or delete.",
        ),
    ] = None,
    shell: Annotated[
        str, typer.Option(metavar="SHELL", help="Language of the script: sh or powershell.")
    ] = _SHELL,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List files of the same content and the space that they waste.

    Compares fingerprints and hashes that are known already: no file is read, and none is changed,
    with --script too. Without --limit and --json the first 50 sets are shown.
    """
    outputs = _known_outputs(_load(options))
    from scanner.commands.duplicates import page
    from scanner.commands.duplicates.keep import Keep, kept_first, parse_keep
    from scanner.commands.duplicates.search import search
    from scanner.commands.duplicates.sets import SORTS
    from scanner.settings.values import parse_size

    rule = Keep() if keep is None else parse_keep(keep, _cwd())
    write = None if script is None else _writer(script, shell, as_json)
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
    report = kept_first(found.report, rule, found.roots)
    if write is not None:
        write(report.sets[: limit or None], rule)
        return
    if limit is None and not as_json:
        limit = page.SHOWN
    document = page.as_json(report, found.roots, found.base, limit or None)
    if as_json:
        _print_json(document)
    else:
        page.print_duplicates(_console(), document, None if all_ else page.PATHS, keep is not None)
    if exit_code and found.report.sets:
        raise typer.Exit(1)


def _writer(step: str, shell: str, as_json: bool) -> Callable[[Sequence[DuplicateSet], Keep], None]:
    """A function that prints a script. Raises SettingsError before anything is searched."""
    from scanner.commands.duplicates.keep import plan_of, summary
    from scanner.commands.scripts import powershell
    from scanner.commands.scripts import shell as sh

    language = _one_of("--shell", shell, ("sh", "powershell"))
    if as_json:
        raise SettingsError("--script and --json exclude each other: a script is no JSON.")
    action = _one_of("--script", step, sh.ACTIONS)
    if language == "powershell":
        action = _one_of("--script", step, powershell.ACTIONS)

    def write(sets: Sequence[DuplicateSet], rule: Keep) -> None:
        plan = plan_of(sets, action, rule)
        make = powershell.powershell_script if language == "powershell" else sh.shell_script
        sys.stdout.buffer.write(make(plan))
        sys.stdout.flush()
        echo_error(summary(plan))

    return write
