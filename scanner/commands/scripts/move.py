"""A script for `sh` that moves files: names need not be UTF-8. The steps stand in `move.sh`."""

from __future__ import annotations

from collections.abc import Iterable

from scanner.commands.scripts.plan import Known
from scanner.commands.scripts.shell import quoted, steps


def move_script(moves: Iterable[tuple[Known, str]]) -> bytes:
    """The script that moves each file to its absolute target. It has no effect before a person
    runs it."""
    calls = [
        b"move %d %d %s %s" % (file.size, file.seconds, quoted(file.path), quoted(target))
        for file, target in moves
    ]
    return steps("move.sh") + b"\n".join((b"", *calls, b"finish", b""))
