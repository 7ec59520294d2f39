"""Commands that cron calls, without Typer: it takes a tenth of the time of a small scan.

Only command lines of plain options are read here. Everything else, wrong use and help too, is left
to Typer. `tests/commands/test_plain.py` compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Options(NamedTuple):
    """The options of a command, by what is typed. The values are names of parameters."""

    texts: Mapping[str, str]
    lists: Mapping[str, str]
    flags: Mapping[str, str]


def _named(*names: str) -> dict[str, str]:
    return {"--" + name.replace("_", "-"): name for name in names}


_VOLUME = _named("quiet", "verbose") | {"-q": "quiet", "-v": "verbose"}

_SCAN = Options(
    _named("comfy_root", "base_directory", "output_directory", "input_directory", "user_directory")
    | _named(
        "output", "profile", "config", "log_file", "log_level", "hold_wait", "cluster", "split_by"
    )
    | {"--workspace": "comfy_root", "-o": "output", "-c": "config"},
    _named("models", "downloads", "workflows", "extra", "extra_model_paths_config"),
    _named("exit_code", "utc") | {"--json": "as_json"} | _VOLUME,
)


def _scan(given: Mapping[str, Any]) -> int:
    from scanner.commands.scan.once import scan_once

    return scan_once(**given)


COMMANDS: Mapping[str, tuple[Options, Callable[[Mapping[str, Any]], int]]] = {
    "scan": (_SCAN, _scan),
}


def plain_command(
    argv: Sequence[str], environ: Mapping[str, str] = os.environ
) -> Callable[[], int] | None:
    """What runs the command line `argv` and returns the exit code; None if Typer has to read it."""
    if not argv or argv[0] not in COMMANDS or "_COMFY_INVENTORY_COMPLETE" in environ:
        return None
    options, command = COMMANDS[argv[0]]
    given = parsed(argv[1:], options)
    if given is None:
        return None
    quiet, verbose = given.pop("quiet"), given.pop("verbose")

    def run() -> int:
        from scanner.console.terminal import set_quiet

        set_quiet(quiet)
        if not given["log_level"]:
            given["log_level"] = "debug" if verbose else "warning" if quiet else None
        return command(given)

    return run


def parsed(words: Sequence[str], options: Options) -> dict[str, Any] | None:
    """The values by the names of parameters; None if `words` hold anything but plain options."""
    given: dict[str, Any] = {
        **dict.fromkeys(options.texts.values()),
        **dict.fromkeys(options.lists.values()),
        **dict.fromkeys(options.flags.values(), False),
    }
    waiting = list(reversed(words))
    while waiting:
        word, has_value, value = waiting.pop().partition("=")
        if word in options.flags and not has_value:
            given[options.flags[word]] = True
            continue
        if has_value and not word.startswith("--"):
            return None
        if not has_value:
            if not waiting or waiting[-1].startswith("-"):
                return None
            value = waiting.pop()
        if word in options.lists:
            name = options.lists[word]
            given[name] = [*(given[name] or ()), value]
        elif word in options.texts and given[options.texts[word]] is None:
            given[options.texts[word]] = value
        else:
            return None
    return given
