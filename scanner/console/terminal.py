"""Rich consoles for stdout and stderr, and helpers that several pages share."""

from __future__ import annotations

import functools
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanner.core.serialize import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def _console() -> Console:
    from rich.console import Console

    # Output for a file or a program is neither cut nor wrapped.
    return Console(width=None if sys.stdout.isatty() else 100_000)


def _console_for_errors() -> Console:
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else 100_000)


def _print_json(value: object, signal_number: int = 0) -> None:
    """Print `value` as the data of the envelope. `signal_number` is the signal that ended the
    command before its work was done."""
    from scanner.console.envelope import Failure, envelope

    failure = Failure(128 + signal_number, "Interrupted.") if signal_number else None
    envelope().write(value, failure)


STATE_STYLES = {
    "online": "green",
    "partial": "yellow",
    "held": "yellow",
    "offline": "red",
    "stalled": "red",
    "missing": "red",
    "absent": "dim",
}

KIND_STYLES = {
    "created": "green",
    "deleted": "red",
    "modified": "yellow",
    "moved": "cyan",
    "baseline": "dim",
}


@functools.cache
def _terminal() -> Console:
    """The terminal on stderr. Log and progress share it, or they would overwrite each other."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show `text` on a terminal while the block runs."""
    if is_quiet() or not sys.stderr.isatty():
        yield
        return
    with _terminal().status(text):
        yield


def printed(text: str, style: str = "") -> Text:
    """`text` for a console. Names in it may hold control characters, which are written as escapes:
    a folder's name can neither forge a line nor move the cursor."""
    from rich.text import Text

    return Text(printable(text), style)


_is_quiet = False


def set_quiet(is_quiet: bool) -> None:
    """Let `echo_error` and the displays of progress print nothing: the user wants errors only."""
    global _is_quiet  # noqa: PLW0603 - one process runs one command line at a time
    _is_quiet = is_quiet


def is_quiet() -> bool:
    """True if the user wants errors and the result only."""
    return _is_quiet


_TOGETHER = re.compile(r"`[^`]*`|(?<=: )comfy-inventory .*$")
"""Commands in a sentence: one that is folded cannot be copied."""


def folded(text: str, width: int) -> str:
    """`text` in lines of at most `width`, broken between words and never within a command."""
    if len(text) <= width:
        return text
    whole = _TOGETHER.sub(lambda found: found[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def _for_terminal(text: str) -> str:
    """`text` for stderr, with control characters as escapes: in lines if that is a terminal."""
    text = printable(text)
    try:
        return folded(text, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return text  # no terminal


def echo_failure(text: str) -> None:
    """Print the line that ends the program on stderr, with control characters as escapes."""
    _echo(_for_terminal(text))


def _echo(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def echo_error(text: str, *, dim: bool = False) -> None:
    """Print a line on stderr unless --quiet is given, with control characters as escapes."""
    if _is_quiet:
        return
    if not dim:
        _echo(_for_terminal(text))
        return
    import typer  # it knows whether a terminal has styles

    typer.secho(_for_terminal(text), err=True, dim=True)


def print_folded(console: Console, text: str, style: str = "") -> None:
    """Print a sentence: on a terminal in lines that break no word and no command."""
    safe = printable(text)
    if console.is_terminal:
        safe = folded(safe, console.width)
    from rich.text import Text

    console.print(Text(safe, style), soft_wrap=True)


def print_indented(console: Console, text: str, style: str = "", indent: int = 2) -> None:
    """Print `text` as a wrapped and indented paragraph."""
    from rich.text import Text

    lines = textwrap.wrap(
        printable(text),
        min(console.width, 100),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text("\n".join(lines), style), soft_wrap=True)
