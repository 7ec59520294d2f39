"""Logging to stderr and to `log_file`."""

from __future__ import annotations

import logging
import sys

from scanner.console.terminal import _terminal
from scanner.settings.schema import Settings

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def start_log(settings: Settings) -> None:
    """Log to stderr, plainly unless it is a terminal, and to `log_file`. Raises OSError."""
    handlers: list[logging.Handler] = []
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handlers.append(
            RichHandler(
                console=_terminal(),
                show_path=False,
                markup=False,
                highlighter=None,
                log_time_format="%X",
            )
        )
    else:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(plain)
    if settings.log_file is not None:
        handlers.append(
            logging.FileHandler(settings.log_file, encoding="utf-8", errors="backslashreplace")
        )
        handlers[-1].setFormatter(plain)
    logger = logging.getLogger("scanner")
    logger.setLevel(LEVELS.get(settings.log_level, logging.ERROR))
    logger.handlers[:] = handlers
    logger.propagate = False
