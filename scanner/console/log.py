"""Logging to stderr and to `log_file`."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TextIO

from scanner.console.relay import Relay
from scanner.console.terminal import _terminal
from scanner.core.serialize import printable
from scanner.core.times import CLOCK, Zone, zone_of
from scanner.errors import InventoryError
from scanner.settings.schema import Settings

if TYPE_CHECKING:
    from rich.text import Text

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


class _Printable(logging.Formatter):
    """Writes control characters as escapes: no name of a folder can forge a line of the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in logging)
        record.message = printable(record.message)
        return super().formatMessage(record)


def start_log(
    settings: Settings, check: Callable[[], None] = lambda: None, *, utc: bool = False
) -> None:
    """Log to stderr, plainly unless it is a terminal, and to `log_file`. Raises OSError.

    `check` raises OutputError if the file at the path of `log_file` must not be written. Times are
    local unless `utc`.
    """
    handlers: list[logging.Handler] = []
    plain = _Printable("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    if utc:
        plain.converter = time.gmtime
    if sys.stderr.isatty():
        handlers.append(_terminal_handler(zone_of(utc)))
    else:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(plain)
    if settings.log_file is not None:
        handlers.append(logging.StreamHandler(_opened(str(settings.log_file), check)))
        handlers[-1].setFormatter(plain)
    logger = logging.getLogger("scanner")
    logger.setLevel(LEVELS.get(settings.log_level, logging.ERROR))
    logger.handlers[:] = handlers
    logger.propagate = False


_COMMAND = re.compile(r"(.*:) (comfy-inventory .*)", re.DOTALL)


def _terminal_handler(zone: Zone) -> logging.Handler:
    from rich.logging import RichHandler
    from rich.text import Text

    class Handler(RichHandler):
        """A command at the end of a line goes on one of its own: a folded one cannot be copied."""

        def emit(self, record: logging.LogRecord) -> None:
            found = _COMMAND.fullmatch(record.getMessage())
            if found is None:
                super().emit(record)
                return
            first = logging.makeLogRecord({**record.__dict__, "msg": found[1], "args": ()})
            super().emit(first)
            self.console.print(Text(f"    {printable(found[2])}"), soft_wrap=True)

    handler = Handler(
        console=_terminal(),
        show_path=False,
        markup=False,
        highlighter=None,
        log_time_format=partial(_clock_text, zone),
    )
    handler.setFormatter(_Printable("%(message)s"))
    return handler


def _clock_text(zone: Zone, moment: datetime) -> Text:
    """A time of Rich's, which is local and names no zone, as the clock of `zone` shows it."""
    from rich.text import Text

    return Text(moment.astimezone(zone).strftime(CLOCK))


def _opened(path: str, check: Callable[[], None]) -> TextIO:
    """The log file at `path`, open to append. A mount that hangs or is full stops nothing.

    A file that was renamed or removed, as by logrotate, is followed by a new one at `path`. Where
    `check` refuses what stands there, the old one is written on.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)

    def on_failure(error: OSError) -> None:
        print(f"log_file: {path} cannot be written: {error.strerror}.", file=sys.stderr)

    def follow(descriptor: int) -> int:
        if _is_at(path, descriptor):
            return descriptor
        try:
            check()
            new = os.open(path, flags, 0o666)
        except (OSError, InventoryError):
            return descriptor
        os.close(descriptor)
        return new

    relay = Relay(os.open(path, flags, 0o666), on_failure, follow)
    return io.TextIOWrapper(
        io.BufferedWriter(relay), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )


def _is_at(path: str, descriptor: int) -> bool:
    """True if `path` leads to the open file, or cannot be looked at."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
    except OSError:
        return True
