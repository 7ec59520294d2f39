"""A plan as a script for `sh`, in bytes: names need not be UTF-8.

The steps themselves stand in `steps.sh`. Here the names are put into it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import files

from scanner.commands.scripts.plan import Known, Plan
from scanner.core.serialize import printable

ACTIONS = ("link", "reflink", "delete")


def shell_script(plan: Plan) -> bytes:
    """The script. It has no effect before a person runs it."""
    return steps("steps.sh") + b"\n".join((*_calls(plan), b"finish", b""))


def steps(name: str) -> bytes:
    """The script `name` of this package, with `common.sh` put in after the comment at its top."""
    package = files(__package__)
    top, own = package.joinpath(name).read_bytes().split(b"\n\n", 1)
    return b"\n\n".join((top, package.joinpath("common.sh").read_bytes(), own))


def quoted(text: str) -> bytes:
    """`text` as one word of a shell, whatever it holds.

    In single quotes every byte stands for itself, line ends too; only the quote has to be left
    out of them.
    """
    return b"'" + os.fsencode(text).replace(b"'", b"'\\''") + b"'"


def _calls(plan: Plan) -> Iterator[bytes]:
    for group in plan.groups:
        yield b""
        yield _comment(group.about)
        yield _call("keep", group.keep)
        for candidate in group.candidates:
            yield _call(f"try {plan.action}", candidate)
    yield b""
    yield from map(_comment, plan.remarks)


def _comment(text: str) -> bytes:
    return f"# {printable(text)}".rstrip().encode()


def _call(words: str, file: Known) -> bytes:
    return b"%s %d %d %s" % (words.encode(), file.size, file.seconds, quoted(file.path))
