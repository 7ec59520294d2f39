"""`comfy-inventory doctor`: examine folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, _ROOTS, _TIMES, AsJson, _taking
from scanner.console.steps import _cwd, _find_roots, _load, _outputs, _seconds, _tell_plainly
from scanner.console.terminal import _console, _print_json

if TYPE_CHECKING:
    from scanner.commands.advice import Advice
    from scanner.core.roots import Root
    from scanner.output.file_names import Outputs
    from scanner.settings.load import Loaded


@app.command()
@_taking(_ROOTS, _OUTPUT, _TIMES, _FILES)
def doctor(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Folders to examine. Default: those that would be scanned."
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Also create a small hidden file in each folder, observe the effect, and remove "
            "it after two seconds. This program writes nothing else there.",
        ),
    ] = False,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Instead of that, trust the directory mtimes on their mounts again, after "
            "counter-examples have ended it. The next scan applies it.",
        ),
    ] = False,
    timeout: Annotated[
        str, typer.Option(help="Time to wait for a mount that does not answer.")
    ] = "10s",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the reasons, too.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Instead, time real scans of the folders, as `tune` does; minutes."
        ),
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Put the recommended settings into the settings file; its comments stay.",
        ),
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Examine the mount, speed and scan cost of folders, and recommend settings.

    Exits with 1 if there is something to act on, and with 3 if a folder cannot be examined.
    """
    limit = _seconds("--timeout", timeout)
    loaded = _load(options)
    if trust:
        _trust_again(_outputs(loaded), paths or [], as_json=as_json)
        return
    from scanner.core.roots import Root

    if paths:
        roots = [Root("extra", os.path.abspath(path)) for path in paths]
    else:
        from scanner.commands.named_folders import refuse_mistakes

        refuse_mistakes(loaded, _outputs(loaded), _cwd())
        roots = list(_find_roots(loaded, tell=_tell_plainly).roots)
    if measure:
        from scanner.commands.tune.command import measure_scans

        paths_to_measure = [root.path for root in roots if not root.is_optional]
        advised = measure_scans(loaded, paths_to_measure, as_json=as_json)
        if write and advised.values:
            _tell_plainly(f"Written to {_write(loaded, advised)}.")
        return
    code = _examine(
        loaded, roots, limit, probe=probe, verbose=verbose, write=write, as_json=as_json
    )
    if code:
        raise typer.Exit(code)


def _examine(
    loaded: Loaded,
    roots: Sequence[Root],
    limit: float,
    *,
    probe: bool,
    verbose: bool,
    write: bool,
    as_json: bool,
) -> int:
    """Examine the folders and show what was found; the exit code. `limit` in seconds."""
    from scanner.commands.doctor.examine import is_not_made_yet, open_doctor
    from scanner.commands.doctor.finding import combined, exit_code
    from scanner.commands.doctor.page import print_advice, print_findings
    from scanner.console.other_owners import other_owners, warning_of
    from scanner.console.terminal import echo_error, waiting

    findings = []
    with open_doctor(loaded.settings, _outputs(loaded), limit=limit) as examiner:
        for root in roots:
            with waiting(f"examining {root.path}"):
                finding = examiner.examine(root, probe=probe)
            if not is_not_made_yet(root, finding):
                findings.append(finding)
    pages = [finding.as_json() for finding in findings]
    advice = combined(findings)
    recommended = None if advice is None else advice.as_json()
    owners = other_owners()
    written = _write(loaded, advice) if write and advice is not None else ""
    if as_json:
        document = {"schema": 1, "paths": pages, "advice": recommended}
        _print_json({**document, "hides_package": owners, "written": written or None})
    else:
        print_findings(_console(), pages, is_verbose=verbose)
        if recommended is not None:
            print_advice(_console(), recommended, written)
        if owners:
            echo_error(warning_of(owners))
    return exit_code(findings) or int(bool(owners))


def _write(loaded: Loaded, advice: Advice) -> str:
    """Put the advice into the settings file; its path."""
    from scanner.commands.settings_file import edit_settings
    from scanner.settings.sources import CONFIG_NAME

    path = os.path.abspath(loaded.config or CONFIG_NAME)
    edit_settings(path, advice.values)
    return path


def _trust_again(outputs: Outputs, paths: list[str], *, as_json: bool) -> None:
    from scanner.commands.doctor.trust import trust_again

    answers = trust_again(outputs, [os.path.abspath(path) for path in paths])
    if as_json:
        _print_json({"schema": 1, "trusted": [answer._asdict() for answer in answers]})
    else:
        for answer in answers:
            typer.echo(answer.told, err=True)
