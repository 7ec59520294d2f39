"""`comfy-inventory fleet`: questions to the inventories of many machines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import fleet_app
from scanner.console.options import _FILES, _OUTPUT, AsJson, ExitCode, Limit, Utc, _taking
from scanner.console.steps import _checked, _cwd, _known_outputs, _load, _seconds
from scanner.console.terminal import _console, _print_json, echo_error

At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="ADDRESS",
        help="The place to read: file:///share/inventory (or a path), s3://... or postgresql://... "
        "(default: the setting publish).",
    ),
]

_PLACE = {"at": At, "as_json": AsJson}

_LIST = {"at": At, "limit": Limit, "exit_code": ExitCode, "as_json": AsJson}


def _place(options: dict[str, Any]) -> tuple[Any, Any]:
    """The settings, and the place that `--at` or a setting names."""
    at = options.pop("at")
    loaded = _load(options)
    from scanner.commands.fleet.asking import place_of

    return loaded, place_of(loaded.settings, at, _cwd())


def _answer(kind: str, question: Any, options: dict[str, Any], *, utc: bool = False) -> None:
    """Ask, and show the answer, with the options of `_LIST` and `_FILES`."""
    limit, exit_code, as_json = (options.pop(name) for name in ("limit", "exit_code", "as_json"))
    _, place = _place(options)
    from scanner.commands.fleet import page
    from scanner.commands.fleet.asking import ask

    document = ask(place, question, limit, echo_error)
    if as_json:
        _print_json(document)
    else:
        page.print_answer(_console(), kind, document, utc=utc)
    _end(document, is_told=exit_code and document["count"])


def _end(document: dict[str, Any], *, is_told: bool) -> None:
    """End with the exit code of an answer."""
    if document["left_out"]:
        raise typer.Exit(3)
    if is_told:
        raise typer.Exit(1)


@fleet_app.command("where")
@_taking(_LIST, _FILES)
def fleet_where(
    model: Annotated[
        str, typer.Argument(help="A name, a path, a pattern with * and ?, or a hash.")
    ],
    **options: Any,
) -> None:
    """Say which hosts have a file, and where."""
    from scanner.fleet.questions import where

    _answer("where", where(model), options)


@fleet_app.command("missing")
@_taking(_LIST, _FILES)
def fleet_missing(
    of: Annotated[str, typer.Option("--of", metavar="HOST", help="The host to compare with.")],
    on: Annotated[
        str | None, typer.Option("--on", metavar="HOST", help="Only what this host lacks.")
    ] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Only this category, by name or pattern.")
    ] = None,
    **options: Any,
) -> None:
    """List the models that one host has and others lack, by category and name as ComfyUI has them.

    Where a host has the same content under another name, that is shown beside it.
    """
    from scanner.fleet.questions import missing

    _answer("missing", missing(of, on, category), options)


@fleet_app.command("duplicates")
@_taking(_LIST, _FILES)
def fleet_duplicates(
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    **options: Any,
) -> None:
    """List files of the same content that several storages hold, and the space that this takes.

    What several hosts see on one network mount is stored once. The copies on one host are shown by
    `comfy-inventory duplicates`.
    """
    from scanner.fleet.questions import duplicates
    from scanner.settings.values import parse_size

    _answer("duplicates", duplicates(_checked("--least", parse_size, least)), options)


@fleet_app.command("changes")
@_taking(_LIST, _FILES)
def fleet_changes(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far back: 24h, 7d.")
    ] = "24h",
    host: Annotated[str | None, typer.Option("--host", help="Only this host.")] = None,
    utc: Utc = False,
    **options: Any,
) -> None:
    """List what changed on all hosts."""
    import time

    from scanner.core.serialize import time_text
    from scanner.fleet.questions import changes

    moment = time.time_ns() - int(_seconds("--since", since) * 10**9)
    _answer("changes", changes(time_text(moment) or "", host), options, utc=utc)


@fleet_app.command("hosts")
@_taking(_PLACE, _FILES)
def fleet_hosts(
    silent_after: Annotated[
        str, typer.Option("--silent-after", metavar="TIME", help="When a host counts as silent.")
    ] = "1d",
    utc: Utc = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if a host is silent, for scripts.")
    ] = False,
    **options: Any,
) -> None:
    """List all hosts: what they have, when they published last, and which roots are away."""
    as_json = options.pop("as_json")
    _, place = _place(options)
    from scanner.commands.fleet import page
    from scanner.commands.fleet.asking import hosts_of

    document = hosts_of(place, _seconds("--silent-after", silent_after), echo_error)
    if as_json:
        _print_json(document)
    else:
        page.print_hosts(_console(), document, utc=utc)
    _end(document, is_told=exit_code and any(host["silent"] for host in document["hosts"]))


@fleet_app.command("sql")
@_taking(_LIST, _FILES)
def fleet_sql(
    query: Annotated[str, typer.Argument(help="A query to hosts, roots, entries and changes.")],
    **options: Any,
) -> None:
    """Ask in SQL: the tables are hosts, roots, entries and changes.

    DuckDB answers for files and buckets, PostgreSQL for a database. Nothing can be written, and no
    other file be read.
    """
    from scanner.fleet.questions import Question

    _answer("sql", Question(query, {}), options)


@fleet_app.command("publish")
@_taking(_PLACE, _OUTPUT, _FILES)
def fleet_publish(**options: Any) -> None:
    """Publish this machine's inventory now. `run` and `scan` do it by themselves with the setting
    publish."""
    as_json = options.pop("as_json")
    loaded, place = _place(options)
    from scanner.fleet.publish import publish, source_of

    outputs = _known_outputs(loaded)
    source = source_of(outputs.inventory, outputs.journal, loaded.settings.publish_as)
    done = publish(place, source, makes_place=True)
    if as_json:
        _print_json({**done._asdict(), "address": place.shown})
    elif not done.is_new:
        typer.echo(f"{place.shown} has scan {done.scan} of {done.host} already.")
    else:
        sent = f"{done.rows:,} entries and {done.changes:,} changes sent"
        typer.echo(f"{place.shown} has scan {done.scan} of {done.host} now: {sent}.")


@fleet_app.command("forget")
@_taking(_PLACE, _FILES)
def fleet_forget(
    host: Annotated[str, typer.Argument(help="The name of the host.")], **options: Any
) -> None:
    """Remove what a host has published: it is gone for good, or another one takes its name."""
    as_json = options.pop("as_json")
    _, place = _place(options)
    from scanner.errors import SettingsError
    from scanner.fleet.publish import place_at

    if not place_at(place).forget(host):
        raise SettingsError(f"HOST: no host {host!r} has published to {place.shown}.")
    if as_json:
        _print_json({"host": host, "address": place.shown})
    else:
        typer.echo(f"What {host} had published to {place.shown} is removed.")
