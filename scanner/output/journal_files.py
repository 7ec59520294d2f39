"""The files of a journal: their names, and the form of their lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import orjson

from scanner.output.atomic import cannot
from scanner.output.regular_files import opening_regular


def generation_path(path: str, number: int) -> str:
    """Path of the file that was rotated `number` times; 0 is the newest, `path` itself."""
    stem, extension = os.path.splitext(path)
    return f"{stem}.{number}{extension}" if number else path


def generations(path: str) -> list[tuple[int, str]]:
    """(number, path) of the existing files of the journal at `path`, newest first.

    Raises OutputError if its folder cannot be listed.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    pattern = re.compile(rf"{re.escape(stem)}(?:\.([1-9]\d*))?{re.escape(extension)}")
    try:
        names = os.listdir(folder or os.curdir)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot("read", folder or os.curdir, error) from error
    matches = (pattern.fullmatch(name) for name in names)
    return sorted(
        (int(match[1] or 0), os.path.join(folder, match[0])) for match in matches if match
    )


def open_existing(
    path: str, mode: str = "rb", opener: Callable[[str, int], int] = opening_regular
) -> BinaryIO | None:
    """The open file, which the caller closes; None if there is none."""
    try:
        return cast(BinaryIO, open(path, mode, opener=opener))
    except FileNotFoundError:
        return None


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The fields of a complete line; None if the line is torn, damaged or not from a journal."""
    if not line.endswith(b"\n"):
        return None
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    numbers = (fields.get("scan"), fields.get("n"), fields.get("of"))
    texts = (fields.get("kind"), fields.get("path"), fields.get("time"))
    is_whole = all(type(value) is int for value in numbers) and all(type(t) is str for t in texts)
    return fields if is_whole else None
