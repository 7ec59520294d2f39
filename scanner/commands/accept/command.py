"""`comfy-inventory accept`: confirm a loss that is held back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _taking
from scanner.console.steps import _cwd, _load, _outputs, _seconds
from scanner.console.terminal import _print_json


@app.command()
@_taking(_OUTPUT, _FILES)
def accept(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PLACE",
            help="A root (id or path) whose held deletions or changed mount to confirm, or an "
            "offline root or unreachable path to drop. Default: everything that is held.",
        ),
    ] = None,
    timeout: Annotated[str, typer.Option(help="How long to wait for the running scanner.")] = "2m",
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Confirm deletions that are held back, or drop what cannot be reached any more."""
    outputs = _outputs(_load(options))
    from scanner.commands.accept import page
    from scanner.commands.accept.ask import accept_places

    answers = accept_places(outputs, places or (), _cwd(), _seconds("--timeout", timeout))
    if as_json:
        _print_json(page.as_json(answers))
    else:
        page.print_answers(answers)
