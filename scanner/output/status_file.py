"""The status: a small file that is replaced after every scan, the heartbeat of the program.

Values that change in every scan are here and not in the inventory (rule 10,
readers see a whole file). `schemas/status.schema.json` documents each field.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import index
from typing import Any

import orjson

if sys.platform != "win32":
    import fcntl

from scanner.core.serialize import printable, readable, time_ns
from scanner.errors import InventoryError
from scanner.output.atomic import VolatileFile, cannot
from scanner.output.regular_files import opening_regular

SCHEMA = 1

_CLOCK_SLACK = 10**10
"""Nanoseconds by which a process may seem too young: its start time is relative to the start of the
machine, and the wall clock may have been set since."""


def write_status(path: str | os.PathLike[str], status: Mapping[str, Any]) -> None:
    """Replace the status at `path`. Raises OutputError.

    Readers see it whole, but there is no fsync: after a power cut an old heartbeat is worth
    nothing, and an fsync in every scan would keep an idle disk awake.
    """
    with VolatileFile(path) as file:
        file.write(_dumps(status))


def read_status(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The status at `path`; None if it is missing or damaged.

    Raises OutputError if it cannot be read.
    """
    try:
        with open(path, "rb", opener=opening_regular) as file:
            status = orjson.loads(file.read())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    except OSError as error:
        raise cannot("read", os.fspath(path), error) from error
    return status if isinstance(status, dict) else None


@contextmanager
def damage_reported(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors from a malformed status into an InventoryError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InventoryError(
            f"The status {printable(os.fspath(path))} is damaged "
            f"({type(error).__name__}: {printable(str(error))}); the next scan replaces it."
        ) from error


def is_alive(status: Mapping[str, Any] | None, lock: str = "") -> bool:
    """True if the program that wrote `status` still runs.

    The lock file `lock` says so, also of a program in another container, where process ids are
    others. Without it the process id must do. A process that is younger than the status only has
    the same one.
    """
    if status is None or status.get("state") == "stopped":
        return False
    is_held = _is_held(lock)
    if is_held is not None:
        return is_held
    import psutil

    try:
        born = psutil.Process(index(status["pid"])).create_time()
        return born * 10**9 <= time_ns(status["updated"]) + _CLOCK_SLACK
    except psutil.AccessDenied:
        return True  # on Windows and macOS: a process of another user, without further details
    except (psutil.Error, KeyError, TypeError, ValueError, OverflowError):
        return False


def _is_held(lock: str) -> bool | None:
    """True if a process holds the lock file; None if that cannot be said."""
    if sys.platform == "win32" or not lock:
        return None
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        # Shared and only for a moment: one who starts now waits longer than that for it.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None  # the mount of the lock has none
    else:
        return False
    finally:
        os.close(handle)


def _dumps(status: Mapping[str, Any]) -> bytes:
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(dict(status), option=option)
    except orjson.JSONEncodeError:
        # A text is not UTF-8, for example a name in a message of the operating system.
        return orjson.dumps(_readable(status), option=option)


def _readable(value: Any) -> Any:
    """`value` with every text in it made readable."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_readable(item) for item in value]
    return value
