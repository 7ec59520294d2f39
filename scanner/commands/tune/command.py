"""`comfy-inventory tune`: measure the cost of scans and recommend an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, _taking
from scanner.console.steps import _fraction, _load, _outputs, _tell_on_terminal
from scanner.console.terminal import _console, _print_json

if TYPE_CHECKING:
    from scanner.commands.advice import Advice
    from scanner.settings.load import Loaded


@app.command()
@_taking(_OUTPUT, _FILES)
def tune(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Folders to measure. Nothing is written there."),
    ],
    auto_duty: Annotated[
        str | None,
        typer.Option(
            "--auto-duty",
            "--duty",
            help="The most of the time that scans may take: 2%, 0.02. Default: the setting "
            "auto_duty. --duty is an older name of this option.",
        ),
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Measure what scans every 5 s to 1 h cost here, and recommend an interval."""
    measure_scans(_load(options), paths, auto_duty=auto_duty, as_json=as_json)


def measure_scans(
    loaded: Loaded, paths: Sequence[str], *, auto_duty: str | None = None, as_json: bool = False
) -> Advice:
    """Time scans of `paths` and print the result; the settings that it recommends."""
    settings = loaded.settings
    if auto_duty is not None:
        from dataclasses import replace

        share = _fraction("--auto-duty", auto_duty)
        settings = replace(settings, auto_duty=share)
    from scanner.commands.tune.costs import advise
    from scanner.commands.tune.measure import open_tuner
    from scanner.console.progress import display
    from scanner.store.mount_trust import read_trust
    from scanner.walk.cost import Budget

    budget = Budget.of(settings)
    with open_tuner(
        paths,
        settings,
        read_trust(_outputs(loaded).state),
        tell=_tell_on_terminal,
        display=display(),
    ) as tuner:
        lanes = tuner.run()
    advice = advise(lanes, budget)
    page = {
        "schema": 1,
        "auto_duty": budget.auto_duty,
        "duty": budget.auto_duty,  # its name before there was the setting
        "verify_within_seconds": budget.verify_within,
        "verification_duty": budget.duty,
        "workers": settings.workers,
        "lanes": [lane.as_json(budget) for lane in lanes],
        "advice": advice.as_json(),
    }
    if as_json:
        _print_json(page)
    else:
        from scanner.commands.tune.page import print_tuning

        print_tuning(_console(), page)
    return advice
