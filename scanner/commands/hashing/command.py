"""`comfy-inventory hash` and `comfy-inventory verify`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from scanner.console.app import app
from scanner.console.options import _FILES, _OUTPUT, AsJson, Cluster, _taking
from scanner.console.steps import _checked, _load, _outputs, _rate, _seconds
from scanner.console.terminal import _console, _console_for_errors, _print_json

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.commands.hashing.read_files import Hashing, Result
    from scanner.core.progress import Progressed
    from scanner.settings.load import Loaded

_Rate = Annotated[
    str | None, typer.Option("--rate", help="Bytes per second at most on each mount: 50MB/s.")
]


@app.command("hash")
@_taking(_OUTPUT, _FILES)
def hash_(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Only files at or below these. Default: all models, downloads and extra folders.",
        ),
    ] = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option(
            help="xxh3, sha256 or blake3; repeatable. Default: the setting `hash`, or xxh3 and"
            " sha256."
        ),
    ] = None,
    rate: _Rate = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Read files whole and keep their hashes: proves duplicates, finds silent damage later."""
    loaded = _load(options)
    from scanner.core.digests import DEFAULT_ALGORITHMS
    from scanner.settings.values import parse_algorithms

    wanted = loaded.settings.hash or DEFAULT_ALGORITHMS
    if algorithm:
        wanted = _checked("--algorithm", parse_algorithms, algorithm)
    from scanner.commands.hashing.page import print_hashed

    def work(hashing: Hashing, progress: Callable[[Progressed], None]) -> Result:
        return hashing.hash(wanted, progress)

    reading = _Reading(paths or (), rate, cluster, "hashing")
    _read_files(loaded, reading, work, None if as_json else print_hashed)


@app.command()
@_taking(_OUTPUT, _FILES)
def verify(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Only files at or below these."),
    ] = None,
    older: Annotated[
        str, typer.Option(help="Only files that were last read so long ago: 30d.")
    ] = "0s",
    rate: _Rate = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Read hashed files again and compare: finds content that changed though size and time did
    not. Exits with 1 if there is any."""
    loaded = _load(options)
    import time

    before = time.time_ns() - int(_seconds("--older", older) * 1e9)
    from scanner.commands.hashing.page import print_verified

    def work(hashing: Hashing, progress: Callable[[Progressed], None]) -> Result:
        return hashing.verify(before, progress)

    reading = _Reading(paths or (), rate, cluster, "verifying")
    _read_files(loaded, reading, work, None if as_json else print_verified)


class _Reading(NamedTuple):
    """What is read, and how."""

    paths: Sequence[str]
    rate: str | None
    cluster: str | None
    what: str


def _read_files(
    loaded: Loaded,
    reading: _Reading,
    work: Callable[[Hashing, Callable[[Progressed], None]], Result],
    show: Callable[[Console, Console, Result], None] | None,
) -> None:
    """Read files whole, print the result (as JSON without `show`), and exit with its code."""
    limit = loaded.settings.hash_rate if reading.rate is None else _rate(reading.rate)
    outputs = _outputs(loaded)
    from scanner.commands.cluster import workers_for
    from scanner.commands.hashing.page import hashing_display
    from scanner.commands.hashing.read_files import Hashing, show_in_inventory
    from scanner.service.opening import stopping_on_signals

    workers_of = workers_for(reading.cluster)
    hashing = Hashing(loaded.settings, outputs, limit, reading.paths, workers_of)
    try:
        with stopping_on_signals(hashing) as signals, hashing_display(reading.what) as progress:
            result = work(hashing, progress)
    finally:
        hashing.close()
    if not signals:
        show_in_inventory(outputs, loaded.settings)
    if show is None:
        _print_json(result.as_json(), signals[0] if signals else 0)
    else:
        show(_console(), _console_for_errors(), result)
    if signals:
        raise typer.Exit(128 + signals[0])
    if result.damaged:
        raise typer.Exit(1)
    if result.unread or result.away:
        raise typer.Exit(3)
