"""The command line. Everything heavy is imported by the command that needs it, so that help and
small scans feel instant."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from scanner import __version__
from scanner.errors import InventoryError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.backlog import Done
    from scanner.hashing import Hashing, Result
    from scanner.installation import Found
    from scanner.outputs import Outputs
    from scanner.settings import Loaded

app = typer.Typer(
    name="comfy-inventory",
    help="Inventory of ComfyUI's folders, by polling: made for NAS, external disks and WSL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Settings in effect, and where each comes from.")
app.add_typer(config_app, name="config", no_args_is_help=True)

log = logging.getLogger("scanner")

# Paths are taken as texts: typer looks at what it is to make a Path of, and hangs on a mount that
# hangs (design rule 3).
_ROOTS_PANEL = "Folders"
_TIMES_PANEL = "Times"
_FILES_PANEL = "Files"

ComfyRoot = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's folder (default: ./ComfyUI).", rich_help_panel=_ROOTS_PANEL
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="A bare models folder, as on a NAS without ComfyUI. Repeatable.",
        rich_help_panel=_ROOTS_PANEL,
    ),
]
Downloads = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="A folder of downloads. Repeatable.", rich_help_panel=_ROOTS_PANEL
    ),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH", help="Any other folder. Repeatable.", rich_help_panel=_ROOTS_PANEL
    ),
]
ExtraModelPaths = Annotated[
    list[str] | None,
    typer.Option(
        "--extra-model-paths-config",
        metavar="PATH",
        help="An extra_model_paths.yaml besides ComfyUI's own. Repeatable.",
        rich_help_panel=_ROOTS_PANEL,
    ),
]
BaseDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]
OutputDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]
InputDirectory = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="ComfyUI's option of the same name.", rich_help_panel=_ROOTS_PANEL
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="The inventory (default: ./comfy_inventory.json); the rest lies beside it.",
        rich_help_panel=_FILES_PANEL,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(help="Ready-made settings: nas, wsl or local.", rich_help_panel=_FILES_PANEL),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="PATH",
        help="A TOML file of settings.",
        rich_help_panel=_FILES_PANEL,
    ),
]
LogFile = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Log to this file as well.", rich_help_panel=_FILES_PANEL),
]
LogLevel = Annotated[
    str | None,
    typer.Option(help="debug, info, warning or error.", rich_help_panel=_FILES_PANEL),
]
Every = Annotated[
    str | None,
    typer.Option(help="Time between scans: 30s, 2m, 1h; or auto.", rich_help_panel=_TIMES_PANEL),
]
Cron = Annotated[
    str | None,
    typer.Option(
        help='When to scan, as in a crontab: "*/5 * * * *".', rich_help_panel=_TIMES_PANEL
    ),
]
HoldWait = Annotated[
    str | None,
    typer.Option(
        help="How long `scan` waits to look again at deletions like those of a lost mount.",
        rich_help_panel=_TIMES_PANEL,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]

# Options that several commands have: settings by name. All are None where they are not given.
_ROOTS = {
    "comfy_root": ComfyRoot,
    "models": Models,
    "downloads": Downloads,
    "extra": Extra,
    "extra_model_paths_config": ExtraModelPaths,
    "base_directory": BaseDirectory,
    "output_directory": OutputDirectory,
    "input_directory": InputDirectory,
}
_OUTPUT = {"output": Output}
_TIMES = {"every": Every, "cron": Cron}
_HOLD = {"hold_wait": HoldWait}
_FILES = {"profile": Profile, "config": Config}
_LOG = {"log_file": LogFile, "log_level": LogLevel}

_Command = TypeVar("_Command", bound=Callable[..., None])
_Value = TypeVar("_Value")


def _taking(*groups: Mapping[str, Any]) -> Callable[[_Command], _Command]:
    """Give a command these options besides its own; they reach it as `options`."""

    def with_them(command: _Command) -> _Command:
        own = inspect.signature(command, eval_str=True)
        parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        for group in groups:
            parameters += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind
                )
                for name, kind in group.items()
            ]
        # This is where typer looks for options.
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        return command

    return with_them


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfy-inventory {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


# Scanning


@app.command()
@_taking(_ROOTS, _OUTPUT, _TIMES, _FILES, _LOG)
def run(
    **options: Any,
) -> None:
    """Scan now and then again and again, until stopped."""
    loaded = _load(options)
    _start_log(loaded)
    found = _find_roots(loaded)
    from scanner.display import display
    from scanner.schedule import trigger_of
    from scanner.service import opened, stopping_on_signals

    trigger = trigger_of(loaded.settings.first_every, loaded.settings.cron)
    with opened(loaded.settings, found, os.getcwd()) as service, stopping_on_signals(service):
        _greet(loaded, found, service.outputs)
        has_ended = service.run(trigger, display())
        log.info("stopping")
    if not has_ended:
        # A pass is stuck in the kernel on a mount that hangs: it holds no lock and nothing that
        # is not written, but waiting for its thread would never end (design rule 3).
        logging.shutdown()
        os._exit(0)


@app.command()
@_taking(_ROOTS, _OUTPUT, _HOLD, _FILES, _LOG)
def scan(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if something changed.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Read size and time of every file, whatever the times of folders say. Every "
            "one-shot scan does; `run` does it in turn.",
        ),
    ] = True,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Scan once, for cron."""
    loaded = _load(options)
    _start_log(loaded)
    found = _find_roots(loaded)
    from scanner.display import display
    from scanner.service import opened, stopping_on_signals

    with (
        opened(loaded.settings, found, os.getcwd()) as service,
        stopping_on_signals(service) as signals,
    ):
        outcome = service.scan_once(display())
        summary = service.summary(outcome)
    if as_json:
        _print_json(summary)
    else:
        from scanner.report import summary_text

        typer.echo(summary_text(summary), err=True)
    if signals:
        raise typer.Exit(128 + signals[0])
    if summary["incomplete_roots"]:
        raise typer.Exit(3)
    if exit_code and summary["changes"]:
        raise typer.Exit(1)


# Reading what a scan wrote


@app.command()
@_taking(_OUTPUT, _FILES)
def status(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """What the last scan found and when the next is due."""
    outputs = _outputs(_load(options))
    from scanner.status import is_alive, read_status

    found = read_status(outputs.status)
    if found is None:
        raise InventoryError(f"No scan has written {outputs.status} yet.")
    found["alive"] = is_alive(found)
    if as_json:
        _print_json(found)
    else:
        from scanner.display import print_status

        print_status(_console(), found)
    if any(root["state"] != "online" for root in found["roots"]):
        raise typer.Exit(3)


@app.command()
@_taking(_OUTPUT, _FILES)
def changes(
    since: Annotated[
        str | None,
        typer.Option(help="A duration (2h), the number of a scan, or a time in ISO format."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="created, deleted, modified, moved or baseline. Repeatable."),
    ] = None,
    root: Annotated[
        list[str] | None, typer.Option(help="Kind, path or id of a root. Repeatable.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come.")] = False,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """The change list, oldest first."""
    outputs = _outputs(_load(options))
    if not follow and not os.path.exists(outputs.journal):
        raise InventoryError(f"No scan has written {outputs.journal} yet.")
    from scanner.display import print_changes

    print_changes(
        _console(),
        outputs.journal,
        since=since,
        kinds=kind or (),
        roots=root or (),
        follow_on=follow,
        as_json=as_json,
    )


@app.command()
@_taking(_OUTPUT, _FILES)
def find(
    globs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GLOB]...",
            help="Patterns of names, or with a slash of the end of paths: '*.gguf', 'loras/**'. "
            "Capitals do not matter. Default: everything.",
        ),
    ] = None,
    root: Annotated[
        list[str] | None, typer.Option(help="Kind, path or id of a root. Repeatable.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="As ComfyUI names it: loras, '*_models'. Repeatable.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="What it is: lora, checkpoint, vae, pack. Repeatable."),
    ] = None,
    base_model: Annotated[
        list[str] | None,
        typer.Option(help="Part of a base model's name, or a pattern: sdxl, 'wan*'. Repeatable."),
    ] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="safetensors, gguf, ckpt. Repeatable.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="'>1GB', '<=100MB', 1GB..2GB, 1GB.., =0.")
    ] = None,
    age: Annotated[
        str | None, typer.Option(help="Since it was modified: '>30d', '<2h', 7d..30d, 30d...")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="unsettled, partial, truncated, damaged, pointer, page or corrupt; or broken, "
            "unfinished, any. Repeatable."
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="file, directory, symlink or other. Repeatable. Default: files, links to files.",
        ),
    ] = None,
    hash_prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--hash",
            help="First digits of a fingerprint, xxh3, SHA-256, AutoV2 or AutoV3. Repeatable.",
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="In title, trigger words, description or path.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="path, size (largest first) or age (youngest first).")
    ] = None,
    is_reversed: Annotated[
        bool, typer.Option("--reverse", help="Sort the other way round.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="So many at most.")] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Search the inventory. Exits with 1 where nothing is found."""
    inventory = _outputs(_load(options)).inventory
    import time

    from scanner.find import find_entries, header_of, parse_wanted
    from scanner.find_page import print_found, write_found

    header = header_of(inventory)
    wanted = parse_wanted(
        header,
        os.getcwd(),
        globs=globs or (),
        roots=root or (),
        categories=category or (),
        kinds=kind or (),
        base_models=base_model or (),
        formats=format_ or (),
        size=size,
        age=age,
        statuses=status or (),
        types=type_ or (),
        hashes=hash_prefix or (),
        text=text,
        sort=sort,
        is_reversed=is_reversed,
        limit=limit,
    )
    entries = find_entries(inventory, wanted, time.time_ns())
    if as_json:
        found = write_found(sys.stdout.buffer, header, entries)
    else:
        found = print_found(_console(), entries, limit)
    if not found.count:
        raise typer.Exit(1)


@app.command()
@_taking(_OUTPUT, _FILES)
def packs(
    is_enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only those. Default: all.")
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """The node packs, their versions and where they come from."""
    inventory = _outputs(_load(options)).inventory
    from scanner.find import header_of, packs_of
    from scanner.find_page import print_packs, write_packs

    header = header_of(inventory)
    found = packs_of(inventory, is_enabled=is_enabled)
    if as_json:
        write_packs(sys.stdout.buffer, header, found)
    else:
        print_packs(_console(), found)


@app.command()
@_taking(_ROOTS, _OUTPUT, _FILES)
def roots(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """The folders that would be scanned, and their state where it is known."""
    loaded = _load(options)
    found = _find_roots(loaded, tell=_tell_plainly)
    outputs = _outputs(loaded)
    from scanner.portable import readable, shown
    from scanner.status import read_status

    known = {root["id"]: root for root in (read_status(outputs.status) or {}).get("roots", ())}
    listed = [
        {
            "id": readable(root.id),
            "kind": root.kind,
            "path": shown(root.path, None),
            "category": root.category or None,
            "state": known.get(readable(root.id), {}).get("state"),
            "reason": known.get(readable(root.id), {}).get("reason"),
            "filesystem": known.get(readable(root.id), {}).get("filesystem"),
        }
        for root in found.roots
    ]
    if as_json:
        _print_json({"schema": 1, "base": found.base and shown(found.base, None), "roots": listed})
    else:
        from scanner.display import print_roots

        print_roots(_console(), listed)


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
            help="Also make a small hidden file in each folder, see what that does, and remove it "
            "after two seconds: the only thing that this program ever writes there.",
        ),
    ] = False,
    timeout: Annotated[
        str, typer.Option(help="How long to wait for a mount that does not answer.")
    ] = "10s",
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """What folders live on, how fast they answer, what a scan costs, which settings fit."""
    limit = _seconds("--timeout", timeout)
    loaded = _load(options)
    from scanner.roots import Root

    if paths:
        wanted = [Root("extra", os.path.abspath(path)) for path in paths]
    else:
        wanted = list(_find_roots(loaded, tell=_tell_plainly).roots)
    from scanner.display import print_advice, print_finding, waiting
    from scanner.doctor import combined, exit_code, opened

    findings = []
    with opened(loaded.settings, _outputs(loaded), limit=limit) as examiner:
        for root in wanted:
            with waiting(f"examining {root.path}"):
                finding = examiner.examine(root, probe=probe)
            findings.append(finding)
            if not as_json:
                print_finding(_console(), finding.as_json())
    advice = combined(findings)
    told = None if advice is None else advice.as_json()
    if as_json:
        pages = [finding.as_json() for finding in findings]
        _print_json({"schema": 1, "paths": pages, "advice": told})
    elif told is not None and len({f.advice for f in findings if f.advice is not None}) > 1:
        print_advice(_console(), "Settings that fit all of them:", told)
    if code := exit_code(findings):
        raise typer.Exit(code)


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
    from scanner.display import display
    from scanner.store import read_trust
    from scanner.tune import Budget, advise, opened

    budget = Budget(budget_share, settings.verify_within, settings.duty)
    with opened(
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
        from scanner.tune_page import print_tuning

        print_tuning(_console(), told)


@app.command()
@_taking(_OUTPUT, _FILES)
def accept(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLACE]...",
            help="Root (id or path) whose held deletions or new mount to believe, or an offline "
            "root or unreachable folder to drop. Default: everything that is held.",
        ),
    ] = None,
    timeout: Annotated[
        str, typer.Option(help="How long to wait for the running scanner to do it.")
    ] = "2m",
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Believe deletions that were held back, or drop what cannot be reached any more."""
    outputs = _outputs(_load(options))
    from scanner.accepting import accept_places

    seconds = _seconds("--timeout", timeout)
    answers = accept_places(outputs, places or (), os.getcwd(), seconds)
    if as_json:
        _print_json({"schema": 1, "accepted": [answer._asdict() for answer in answers]})
        return
    for answer in answers:
        typer.echo(answer.told, err=True)


@app.command()
@_taking(_OUTPUT, _FILES)
def duplicates(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Only sets with a copy at or below these."),
    ] = None,
    least: Annotated[str, typer.Option(help="Only files of at least this size: 100MB.")] = "1B",
    proven: Annotated[
        bool, typer.Option("--proven", help="Only sets whose content is proven to be the same.")
    ] = False,
    root: Annotated[
        list[str] | None, typer.Option(help="Kind, path or id of a root. Repeatable.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="As ComfyUI names it: loras. Repeatable.")
    ] = None,
    sort: Annotated[str, typer.Option(help="wasted, count or size.")] = "wasted",
    limit: Annotated[
        int | None, typer.Option(min=0, help="So many sets at most; 0 for all.")
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Files of the same content and what they waste, going by what is known: nothing is read, and
    nothing is deleted. Exits with 1 where there are any."""
    outputs = _outputs(_load(options))
    from scanner.duplicates import SORTS, choice_of, chosen, find_duplicates, load
    from scanner.duplicates_page import SHOWN, print_duplicates
    from scanner.duplicates_page import as_json as told_for_programs
    from scanner.inventory import base_of, read_header
    from scanner.knowledge import Knowledge
    from scanner.mounts import read_mounts
    from scanner.roots import KINDS
    from scanner.settings import parse_size

    if sort not in SORTS:
        raise SettingsError(f"--sort: expected {', '.join(SORTS)}, not {sort!r}.")
    at_least = _checked("--least", parse_size, least)
    known = load(outputs.state, read_mounts())
    within = [os.path.abspath(path) for path in paths or ()]
    names = {name for record in known.roots for name in (record.id, record.kind)} | set(KINDS)
    wanted = [one if one in names else os.path.abspath(one) for one in root or ()]
    choice = choice_of(
        known.roots, paths=within, roots=wanted, categories=category or (), only_proven=proven
    )
    with contextlib.closing(Knowledge(outputs.state, is_readonly=True)) as knowledge:
        report = find_duplicates(
            known.snapshot,
            known.roots,
            knowledge.digests_of,
            least=at_least,
            within=within,
            skip=known.unsettled,
            hashed=knowledge.versions,
        )
    report = chosen(report, choice, sort)
    header = read_header(outputs.inventory)
    most = limit if limit is not None else (None if as_json else SHOWN)
    told = told_for_programs(report, known.roots, base_of(header) if header else None, most or None)
    if as_json:
        _print_json(told)
    else:
        print_duplicates(_console(), told)
    if report.sets:
        raise typer.Exit(1)


# Reading files


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
        typer.Option(help="xxh3 or sha256; repeatable. Default: the setting `hash`, or both."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(help="Bytes per second at most on each mount: 50MB/s.")
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Read files whole and keep their hashes: proves duplicates, finds silent damage later."""
    loaded = _load(options)
    from scanner.content import ALGORITHMS
    from scanner.settings import parse_algorithms

    wanted = loaded.settings.hash or ALGORITHMS
    if algorithm:
        wanted = _checked("--algorithm", parse_algorithms, algorithm)
    from scanner.display import print_hashed

    def work(hashing: Hashing, progress: Callable[[Done], None]) -> Result:
        return hashing.hash(wanted, progress)

    _read_files(loaded, paths or (), rate, "hashing", work, None if as_json else print_hashed)


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
    rate: Annotated[
        str | None, typer.Option(help="Bytes per second at most on each mount: 50MB/s.")
    ] = None,
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Read hashed files again and compare: finds content that changed though size and time did
    not. Exits with 1 where there is any."""
    loaded = _load(options)
    import time

    before = time.time_ns() - int(_seconds("--older", older) * 1e9)
    from scanner.display import print_verified

    def work(hashing: Hashing, progress: Callable[[Done], None]) -> Result:
        return hashing.verify(before, progress)

    _read_files(loaded, paths or (), rate, "verifying", work, None if as_json else print_verified)


def _read_files(
    loaded: Loaded,
    paths: Sequence[str],
    rate: str | None,
    what: str,
    work: Callable[[Hashing, Callable[[Done], None]], Result],
    show: Callable[[Console, Console, Result], None] | None,
) -> None:
    """Have files read whole, show what came of it (as JSON without `show`), and exit by it."""
    limit = loaded.settings.hash_rate if rate is None else _rate(rate)
    outputs = _outputs(loaded)
    from scanner.display import hashing_display
    from scanner.hashing import Hashing, show_in_inventory
    from scanner.service import stopping_on_signals

    hashing = Hashing(loaded.settings, outputs, limit, paths)
    try:
        with stopping_on_signals(hashing) as signals, hashing_display(what) as progress:
            result = work(hashing, progress)
    finally:
        hashing.close()
    if not signals:
        show_in_inventory(outputs, loaded.settings)
    if show is None:
        _print_json(result.as_json())
    else:
        show(_console(), _console_for_errors(), result)
    if signals:
        raise typer.Exit(128 + signals[0])
    if result.damaged:
        raise typer.Exit(1)
    if result.unread or result.away:
        raise typer.Exit(3)


@config_app.command("show")
@_taking(_ROOTS, _OUTPUT, _TIMES, _HOLD, _FILES, _LOG)
def config_show(
    as_json: AsJson = False,
    **options: Any,
) -> None:
    """Every setting, its value, and where the value comes from."""
    loaded = _load(options)
    from scanner.settings import describe

    settings = describe(loaded)
    if as_json:
        _print_json(
            {
                "schema": 1,
                "settings": {
                    name: {"value": value, "origin": origin} for name, value, origin in settings
                },
            }
        )
    else:
        from scanner.display import print_settings

        print_settings(_console(), settings)


# Shared steps


def _load(options: Mapping[str, Any]) -> Loaded:
    """Settings, from the options that were given and everything else."""
    from scanner.settings import load

    return load(options, environ=os.environ, cwd=os.getcwd())


def _checked(option: str, read: Callable[[Any], _Value], value: object) -> _Value:
    try:
        return read(value)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None


def _seconds(option: str, text: str) -> float:
    from scanner.settings import parse_duration

    return _checked(option, parse_duration, text)


def _fraction(option: str, text: str) -> float:
    from scanner.settings import parse_fraction

    return _checked(option, parse_fraction, text)


def _rate(text: str) -> int:
    """Bytes per second, with or without "/s"."""
    from scanner.settings import parse_size

    return _checked("--rate", parse_size, text.strip().removesuffix("/s"))


def _find_roots(loaded: Loaded, tell: Any = None) -> Found:
    from scanner.installation import find_roots

    found = find_roots(
        loaded.settings, cwd=os.getcwd(), home=os.path.expanduser("~"), environ=os.environ
    )
    for notice in found.notices:
        (tell or log.info)(notice)
    for warning in found.warnings:
        (tell or log.warning)(warning)
    return found


def _tell_plainly(text: str) -> None:
    typer.echo(text, err=True)


def _tell_on_terminal(text: str) -> None:
    if sys.stderr.isatty():
        typer.secho(f"{text} ...", err=True, dim=True)


def _outputs(loaded: Loaded) -> Outputs:
    from scanner.filesystem import DiskFileSystem
    from scanner.service import outputs_of

    return outputs_of(loaded.settings, DiskFileSystem(), os.getcwd())


def _greet(loaded: Loaded, found: Found, outputs: Outputs) -> None:
    from scanner.portable import readable
    from scanner.report import count_text, share_text
    from scanner.settings import format_duration

    settings = loaded.settings
    if settings.cron:
        when = f'at "{settings.cron}"'
    elif settings.is_paced:
        when = f"as often as {share_text(settings.auto_duty)} of the time allows"
    else:
        when = f"every {format_duration(settings.first_every)}"
    log.info(
        "comfy-inventory %s: %s, %s; writing %s",
        __version__,
        count_text(len(found.roots), "root"),
        when,
        readable(outputs.inventory),
    )


def _console() -> Console:
    from rich.console import Console

    # Where nobody looks at it line by line nothing is cut or wrapped.
    return Console(width=None if sys.stdout.isatty() else 100_000)


def _console_for_errors() -> Console:
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else 100_000)


def _start_log(loaded: Loaded) -> None:
    from scanner.display import start_log

    try:
        start_log(loaded.settings)
    except OSError as error:
        raise SettingsError(
            f"log_file: {error.filename} cannot be written: {error.strerror}."
        ) from None


def _print_json(value: object) -> None:
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` without the program's name."""
    from scanner.stdout import ReaderGoneError, guarded_stdout

    try:
        with guarded_stdout():
            result = app(
                None if argv is None else list(argv),
                prog_name="comfy-inventory",
                standalone_mode=False,
            )
    except ReaderGoneError as error:
        return error.exit_code
    except InventoryError as error:
        typer.echo(f"comfy-inventory: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        return 130
    except Exception as error:
        if _is_usage_error(error):
            error.show()  # type: ignore[attr-defined]
            return 2
        if type(error).__name__ == "Abort":
            return 130
        import traceback

        traceback.print_exc()
        typer.echo("comfy-inventory: this is a bug; please report the lines above.", err=True)
        return 70
    return result if isinstance(result, int) else 0


def _is_usage_error(error: Exception) -> bool:
    return any(base.__name__ == "ClickException" for base in type(error).__mro__)
