"""`comfy-inventory tune`: measure what scans cost and recommend an interval."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    _fraction,
    _load,
    _outputs,
    _taking,
    _tell_on_terminal,
)
from scanner.console.terminal import _console, _print_json


@app.command()
@_taking(_OUTPUT, _FILES)
def tune(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Folders to measure. Nothing is written there."),
    ],
    share: Annotated[
        str,
        typer.Option("--duty", help="The most of the time that scans may take: 2%, 0.02."),
    ] = "2%",
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """What scanning folders every 5 s to 1 h costs here, and which interval fits."""
    loaded = _load(options)
    budget_share = _fraction("--duty", share)
    settings = loaded.settings
    from scanner.commands.tune.costs import Budget, advise
    from scanner.commands.tune.measure import open_tuner
    from scanner.console.progress import display
    from scanner.store.mount_trust import read_trust

    budget = Budget(budget_share, settings.verify_within, settings.duty)
    with open_tuner(
        paths,
        settings,
        read_trust(_outputs(loaded).state),
        tell=_tell_on_terminal,
        display=display(),
    ) as tuner:
        lanes = tuner.run()
    told = {
        "schema": 1,
        "duty": budget.share,
        "verify_within_seconds": budget.verify_within,
        "verification_duty": budget.duty,
        "workers": settings.workers,
        "lanes": [lane.as_json(budget) for lane in lanes],
        "advice": advise(lanes, budget).as_json(),
    }
    if as_json:
        _print_json(told)
    else:
        from scanner.commands.tune.page import print_tuning

        print_tuning(_console(), told)
