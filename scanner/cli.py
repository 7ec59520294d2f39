"""The command line. A command is imported when it is called: help, the version and small scans
have to feel instant."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing costs as much as the rest of this module
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    import typer

COMPLETION = "_COMFY_INVENTORY_COMPLETE", "_TYPER_COMPLETE_ARGS", "COMP_WORDS"
"""Environment variables of a shell that asks for completion: the first says so, the others hold
the words that were typed."""


LASTING = ("serve",)
"""Commands that go on until they are stopped. `run` does as well, and sees to garbage itself once
its first scan is over."""

PLAIN = ("scan",)
"""Commands that need no Typer where their options are plain."""

MANY = 200_000
"""New objects from which on cyclic garbage is looked for. Imports alone make some 100,000, and
garbage of this size is 20 MB."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `argv` without the program's name: without it the
    process ends after this."""
    if argv is not None:
        return _guarded(list(argv))
    import gc

    argv = sys.argv[1:]
    if not argv or argv[0] not in LASTING:
        gc.set_threshold(MANY)
    try:
        return _guarded(list(argv))
    finally:
        # The end of the process frees all at once. Python would look for garbage in everything
        # first, which takes a sixth of an unchanged scan.
        gc.freeze()


def _guarded(argv: list[str]) -> int:
    from scanner.console.streams import guarded_stderr, open_missing

    open_missing()
    with guarded_stderr():
        return _run(argv)


def _run(argv: list[str]) -> int:
    from scanner.console.streams import ReaderGoneError, guarded_stdout

    try:
        with guarded_stdout():
            try:
                return _called(argv)
            except ReaderGoneError:
                raise
            except (Exception, KeyboardInterrupt) as error:
                _write_failure(error)
                raise
    except ReaderGoneError as error:
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return _failed(error)


def _called(argv: list[str]) -> int:
    if argv == ["--version"]:
        from scanner import __version__

        print(f"comfy-inventory {__version__}")
        return 0
    from scanner.console.envelope import begin_envelope

    begin_envelope(argv)
    from scanner.console.apart import NeedsChildError, run_apart

    try:
        if run := _plain_command(argv):
            return run()
        result = _app_for(argv)(argv, prog_name="comfy-inventory", standalone_mode=False)
    except NeedsChildError:
        return run_apart(argv)
    return result if isinstance(result, int) else 0


def _plain_command(argv: list[str]) -> Callable[[], int] | None:
    if not argv or argv[0] not in PLAIN:
        return None
    from scanner.commands.plain import plain_command

    return plain_command(argv)


def _write_failure(error: BaseException) -> None:
    from scanner.console.envelope import envelope, failure_of

    envelope().write_failure(failure_of(error))


def _failed(error: BaseException) -> int:
    """Print why the command ended, for people; the exit code."""
    from scanner.console.envelope import BUG, INTERRUPTED, failure_of
    from scanner.console.terminal import echo_failure

    failure = failure_of(error)
    if show := _show_of(error):
        show()
    elif failure.code == BUG:
        import traceback

        traceback.print_exception(error)
        echo_failure("comfy-inventory: this is a bug; please report the lines above.")
    elif failure.code != INTERRUPTED:
        echo_failure(f"comfy-inventory: {failure.message}")
    return failure.code


def _app_for(argv: list[str]) -> typer.Typer:
    """The application for `argv`: the command that is called alone if `argv` begins with its name,
    else all commands, of which only those in `argv` are imported. The others are their lines in
    the help."""
    from scanner.commands.table import COMMANDS

    if argv and argv[0] in COMMANDS:
        return _app_with({argv[0]: True})
    words = {*argv, *_words_to_complete()}
    return _app_with({name: name in words for name in COMMANDS})


def whole_app() -> typer.Typer:
    """The application with all commands, for what describes or tests them."""
    from scanner.commands.table import COMMANDS

    return _app_with(dict.fromkeys(COMMANDS, True))


def _words_to_complete() -> Collection[str]:
    asked, *typed = COMPLETION
    if asked not in os.environ:
        return ()
    return " ".join(os.environ.get(name, "") for name in typed).split()


def _app_with(is_imported: dict[str, bool]) -> typer.Typer:
    """The application with the commands named, in that order: each imported, or as its line in the
    help alone."""
    from copy import copy
    from importlib import import_module

    from scanner.commands.table import COMMANDS
    from scanner.console.app import app, groups, outlined

    narrowed = copy(app)
    narrowed.registered_commands, narrowed.registered_groups = [], []
    for name, is_wanted in is_imported.items():
        if not is_wanted:
            narrowed.registered_commands.append(outlined(name, COMMANDS[name].summary))
            continue
        import_module(COMMANDS[name].module)
        if name in groups:
            narrowed.registered_groups.append(groups[name])
        else:
            narrowed.registered_commands += [
                each
                for each in app.registered_commands
                if each.callback and (each.name or each.callback.__name__) == name
            ]
    return narrowed


def _show_of(error: BaseException) -> Callable[[], Any] | None:
    """What prints a wrong use; None for another error. Typer brings a Click of its own, so the
    class is known by its name."""
    is_wrong_use = any(base.__name__ == "ClickException" for base in type(error).__mro__)
    return getattr(error, "show", None) if is_wrong_use else None
