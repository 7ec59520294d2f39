"""`comfy-inventory doctor`: examine folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    _ROOTS,
    _TIMES,
    AsJson,
    _cwd,
    _find_roots,
    _load,
    _outputs,
    _seconds,
    _taking,
    _tell_plainly,
)
from scanner.console.terminal import _console, _print_json

if TYPE_CHECKING:
    from scanner.output.file_names import Outputs


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
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Examine the mount, speed and scan cost of folders, and recommend settings."""
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
    from scanner.commands.doctor.examine import open_doctor
    from scanner.commands.doctor.finding import combined, exit_code
    from scanner.commands.doctor.page import print_advice, print_finding
    from scanner.console.terminal import waiting

    findings = []
    with open_doctor(loaded.settings, _outputs(loaded), limit=limit) as examiner:
        for root in roots:
            with waiting(f"examining {root.path}"):
                finding = examiner.examine(root, probe=probe)
            findings.append(finding)
            if not as_json:
                print_finding(_console(), finding.as_json())
    advice = combined(findings)
    recommended = None if advice is None else advice.as_json()
    if as_json:
        pages = [finding.as_json() for finding in findings]
        _print_json({"schema": 1, "paths": pages, "advice": recommended})
    elif recommended is not None and len({f.advice for f in findings if f.advice is not None}) > 1:
        print_advice(_console(), "Settings that fit all of them:", recommended)
    if code := exit_code(findings):
        raise typer.Exit(code)


def _trust_again(outputs: Outputs, paths: list[str], *, as_json: bool) -> None:
    from scanner.commands.doctor.trust import trust_again

    answers = trust_again(outputs, [os.path.abspath(path) for path in paths])
    if as_json:
        _print_json({"schema": 1, "trusted": [answer._asdict() for answer in answers]})
    else:
        for answer in answers:
            typer.echo(answer.told, err=True)
