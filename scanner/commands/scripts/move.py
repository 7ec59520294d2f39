"""A script for `sh` that moves files: names need not be UTF-8. The steps stand in `move.sh`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from scanner.commands.scripts.plan import Known
from scanner.commands.scripts.shell import quoted


def move_script(moves: Iterable[tuple[Known, str]]) -> bytes:
    """The script that moves each file to its absolute target. It has no effect before a person
    runs it."""
    steps = files(__package__).joinpath("move.sh").read_bytes()
    calls = [
        b"move %d %d %s %s" % (file.size, file.seconds, quoted(file.path), quoted(target))
        for file, target in moves
    ]
    return steps + b"\n".join((b"", *calls, b"finish", b""))
