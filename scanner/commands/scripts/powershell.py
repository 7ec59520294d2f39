"""A plan as a script for PowerShell, in ASCII: no redirection and no old editor can spoil a name.

The steps themselves stand in `steps.ps1`. Here the names are put into it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from importlib.resources import files

from scanner.commands.scripts.plan import Known, Plan
from scanner.core.serialize import printable

ACTIONS = ("link", "delete")
"""Windows has no command that shares the blocks of two files."""


def powershell_script(plan: Plan) -> bytes:
    """The script. It has no effect before a person runs it."""
    steps = files(__package__).joinpath("steps.ps1").read_text("ascii")
    return "\n".join((steps, *_calls(plan), "Finish", "")).encode("ascii")


def quoted(text: str) -> str:
    """`text` as one argument, whatever it holds.

    Only printable ASCII stands in quotes. Everything else is a number: PowerShell takes several
    quotes of Unicode for its own, and reads a file without a mark in the code page of the system.
    """
    pieces = re.findall(r"[ -~]+|[^ -~]", text) or [""]
    return "(" + "+".join(["''", *map(_piece, pieces)]) + ")"


def _piece(piece: str) -> str:
    if re.fullmatch("[ -~]*", piece):
        return "'" + piece.replace("'", "''") + "'"
    raw = piece.encode("utf-16-le", "surrogatepass")
    return "+".join(f"[char]{unit}" for (unit,) in struct.iter_unpack("<H", raw))


def _calls(plan: Plan) -> Iterator[str]:
    for group in plan.groups:
        yield ""
        yield _comment(group.about)
        yield _call("Keep", group.keep)
        for candidate in group.candidates:
            yield _call(f"Try-{plan.action.title()}", candidate)
    yield ""
    yield from map(_comment, plan.remarks)


def _comment(text: str) -> str:
    line = f"# {printable(text)}".rstrip()
    return line.encode("ascii", "backslashreplace").decode("ascii")


def _call(words: str, file: Known) -> str:
    return f"{words} {file.size} {file.seconds} {quoted(file.path)}"
