"""`comfy-inventory fleet`: questions to the inventories of many machines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scanner.console.app import fleet_app
from scanner.console.options import (
    _FILES,
    _OUTPUT,
    AsJson,
    ExitCode,
    Limit,
    Utc,
    _checked,
    _cwd,
    _known_outputs,
    _load,
    _seconds,
    _taking,
)
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

Host = Annotated[str | None, typer.Option("--host", help="Only this host.")]


def _answer(
    kind: str,
    question: Any,
    options: dict[str, Any],
    at: str | None,
    limit: int | None,
    as_json: bool,
    utc: bool = False,
) -> int:
    """Ask, and show the answer; the number of rows."""  # fmt: skip
    loaded = _load(options)
    from scanner.commands.fleet import page
    from scanner.commands.fleet.asking import ask, place_of

    answer = ask(place_of(loaded.settings, at, _cwd()), kind, question, limit, echo_error)
    if as_json:
        _print_json(answer.document)
    else:
        page.print_answer(_console(), kind, answer.document, utc=utc)
    return answer.total


@fleet_app.command("where")
@_taking(_FILES)
def fleet_where(
    model: Annotated[
        str, typer.Argument(help="A name, a path, a pattern with * and ?, or a hash.")
    ],
    at: At = None,
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Say which hosts have a file, and where."""
    from scanner.fleet.questions import where

    count = _answer("where", where(model), options, at, limit, as_json)
    if exit_code and count:
        raise typer.Exit(1)


@fleet_app.command("missing")
@_taking(_FILES)
def fleet_missing(
    of: Annotated[str, typer.Option("--of", metavar="HOST", help="The host to compare with.")],
    on: Annotated[
        str | None, typer.Option("--on", metavar="HOST", help="Only what this host lacks.")
    ] = None,
    category: Annotated[
        str | None, typer.Option("--category", help="Only this category, by name or pattern.")
    ] = None,
    at: At = None,
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List the models that one host has and others lack, by category and name as ComfyUI has them.

    Where a host has the same content under another name, that is shown beside it.
    """
    from scanner.fleet.questions import missing

    question = missing(of, on, category)
    count = _answer("missing", question, options, at, limit, as_json)
    if exit_code and count:
        raise typer.Exit(1)


@fleet_app.command("duplicates")
@_taking(_FILES)
def fleet_duplicates(
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    at: At = None,
    limit: Limit = None,
    exit_code: ExitCode = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List files of the same content that several storages hold, and the space that this takes.

    What several hosts see on one network mount is stored once. The copies on one host are shown by
    `comfy-inventory duplicates`.
    """
    from scanner.fleet.questions import duplicates
    from scanner.settings.values import parse_size

    size = _checked("--least", parse_size, least)
    count = _answer("duplicates", duplicates(size), options, at, limit, as_json)
    if exit_code and count:
        raise typer.Exit(1)


@fleet_app.command("changes")
@_taking(_FILES)
def fleet_changes(
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far back: 24h, 7d.")
    ] = "24h",
    host: Host = None,
    at: At = None,
    limit: Limit = None,
    utc: Utc = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List what changed on all hosts."""
    import time

    from scanner.core.serialize import time_text
    from scanner.fleet.questions import changes

    moment = time.time_ns() - int(_seconds("--since", since) * 10**9)
    question = changes(time_text(moment) or "", host)
    _answer("changes", question, options, at, limit, as_json, utc)


@fleet_app.command("hosts")
@_taking(_FILES)
def fleet_hosts(
    silent_after: Annotated[
        str, typer.Option("--silent-after", metavar="TIME", help="When a host counts as silent.")
    ] = "1d",
    at: At = None,
    utc: Utc = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if a host is silent, for scripts.")
    ] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """List all hosts: what they have, when they published last, and which roots are away."""
    loaded = _load(options)
    from scanner.commands.fleet import page
    from scanner.commands.fleet.asking import hosts_of, place_of

    silence = _seconds("--silent-after", silent_after)
    document = hosts_of(place_of(loaded.settings, at, _cwd()), silence, echo_error)
    if as_json:
        _print_json(document)
    else:
        page.print_hosts(_console(), document, utc=utc)
    if exit_code and any(host["silent"] for host in document["hosts"]):
        raise typer.Exit(1)


@fleet_app.command("sql")
@_taking(_FILES)
def fleet_sql(
    query: Annotated[str, typer.Argument(help="A query to hosts, roots, entries and changes.")],
    at: At = None,
    limit: Limit = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Ask in SQL: the tables are hosts, roots, entries and changes.

    DuckDB answers for files and buckets, PostgreSQL for a database. Nothing can be written.
    """
    from scanner.fleet.questions import Question

    _answer("sql", Question(query, {}), options, at, limit, as_json)


@fleet_app.command("publish")
@_taking(_OUTPUT, _FILES)
def fleet_publish(at: At = None, as_json: AsJson = False, **options: Any) -> None:
    """Publish this machine's inventory now. `run` and `scan` do it by themselves with the setting
    publish."""
    loaded = _load(options)
    from scanner.commands.fleet.asking import place_of
    from scanner.fleet.publish import publish, source_of

    outputs = _known_outputs(loaded)
    source = source_of(outputs.inventory, outputs.journal, loaded.settings.publish_as)
    place = place_of(loaded.settings, at, _cwd())
    done = publish(place, source)
    if as_json:
        _print_json({**done._asdict(), "address": place.shown})
    elif not done.is_new:
        typer.echo(f"{place.shown} has scan {done.scan} of {done.host} already.")
    else:
        sent = f"{done.rows:,} entries and {done.changes:,} changes sent"
        typer.echo(f"{place.shown} has scan {done.scan} of {done.host} now: {sent}.")


@fleet_app.command("forget")
@_taking(_FILES)
def fleet_forget(
    host: Annotated[str, typer.Argument(help="The name of the host.")],
    at: At = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Remove what a host has published: it is gone for good, or another one takes its name."""
    loaded = _load(options)
    from scanner.commands.fleet.asking import place_of
    from scanner.errors import SettingsError
    from scanner.fleet.publish import place_at

    place = place_of(loaded.settings, at, _cwd())
    if not place_at(place).forget(host):
        raise SettingsError(f"HOST: no host {host!r} has published to {place.shown}.")
    if as_json:
        _print_json({"host": host, "address": place.shown})
    else:
        typer.echo(f"What {host} had published to {place.shown} is removed.")
