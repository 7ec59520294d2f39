"""Progress and results of hashing and verifying."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanner.console.progress import _Plain
from scanner.console.terminal import _terminal
from scanner.core.progress import Progressed
from scanner.core.serialize import printable
from scanner.core.times import DAY, moment_of
from scanner.core.wording import count_text, size_text

if TYPE_CHECKING:
    from rich.console import Console

    from scanner.commands.hashing.read_files import Result


@contextmanager
def hashing_display(what: str) -> Iterator[Callable[[Progressed], None]]:
    """Display a bar of bytes with rate and time left on a terminal, elsewhere a line every
    minute."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def print_line(done: Progressed) -> None:
            nonlocal last
            if time.monotonic() - last >= _Plain.EVERY:
                last = time.monotonic()
                left = f"{count_text(done.left.files, 'file')}, {size_text(done.left.bytes)}"
                print(f"{what}: {size_text(done.bytes)} read, {left} left", file=sys.stderr)

        yield print_line
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[left]}"),
        console=_terminal(),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None, left="")

        def show(done: Progressed) -> None:
            left = f"{count_text(done.left.files, 'file')} left"
            bar.update(task, completed=done.bytes, total=done.bytes + done.left.bytes, left=left)

        yield show


def print_hashed(console: Console, errors: Console, result: Result) -> None:
    """Print the result of `hash` in a line or two, and the damage it found on stdout."""
    _print_damaged(console, result)
    read, left = result.read, result.left
    text = f"{count_text(read.files, 'file')} hashed, {size_text(read.bytes)}"
    if left.files:
        text += f"; {count_text(left.files, 'file')} left, {size_text(left.bytes)}"
    errors.print(f"{text}.", highlight=False)
    _print_unread(errors, result.unread, result.away)


def print_verified(console: Console, errors: Console, result: Result) -> None:
    """Print the result of `verify`, with one damaged file a line on stdout."""
    _print_damaged(console, result)
    read = result.read
    sound = read.files - len(result.damaged)
    errors.print(
        f"{count_text(read.files, 'file')} read, {size_text(read.bytes)}: {sound:,} unchanged, "
        f"{len(result.damaged):,} damaged.",
        highlight=False,
    )
    _print_unread(errors, result.unread, result.away)


def _print_damaged(console: Console, result: Result) -> None:
    for damage in result.damaged:
        was = moment_of(damage.hashed, None).strftime(DAY)
        console.print(
            f"{printable(damage.path)}: content has changed since {was}, size and time have not",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _print_unread(console: Console, unread: Sequence[str], away: Sequence[str]) -> None:
    for root in away:
        console.print(f"{printable(root)} does not answer.", highlight=False, markup=False)
    if unread:
        console.print(
            f"{count_text(len(unread), 'file')} could not be read or changed since the last scan, "
            f"such as {printable(unread[0])}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
