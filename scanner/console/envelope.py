"""The envelope: the one form of what commands print with `--json`, errors too.

    {"command": "find", "version": "0.1.0", "data": {...}, "ok": true, "error": null}

`ok` and `error` come last, because large data is written while it is read: an error in the middle
still ends in a whole document. `schemas/envelope.schema.json` describes the fields.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from scanner import __version__
from scanner.core.serialize import printable
from scanner.errors import InventoryError, exhausted

INTERRUPTED = 130
BUG = 70
WRONG_USE = 2

_GROUPS = ("comfyui", "config", "fleet", "service", "workflow")
"""Commands that have commands of their own."""


class Failure(NamedTuple):
    """Why a command did not do its work."""

    code: int
    """The exit code."""
    message: str
    hint: str | None = None
    """What may help; None if the message says it all."""


class Envelope:
    """What one command prints on stdout."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        """`argv`: the command line without the program's name."""
        own = argv[: argv.index("--")] if "--" in argv else argv
        self.is_wanted = "--json" in own
        self.command = command_of(own)
        self._has_begun = False

    def write(self, data: object, failure: Failure | None = None) -> None:
        """Print `data` as one line; with `failure` it is what there was until then."""
        self._begin(sys.stdout.buffer)
        sys.stdout.buffer.write(_dumped(data))
        self._end(sys.stdout.buffer, failure)

    def write_failure(self, failure: Failure) -> None:
        """Print an error in place of data. Do nothing if something was printed before."""
        if self.is_wanted and not self._has_begun:
            self.write(None, failure)

    def write_items(
        self,
        out: BinaryIO,
        start: Mapping[str, Any],
        name: str,
        items: Iterable[Mapping[str, Any]],
        sums: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Print the fields of `start`, `items` as a list called `name`, an item a line, and the
        fields of `sums`. Each item is written as it comes. If one cannot be read, the document ends
        with that error, and the error is raised."""
        remaining = iter(items)
        first = list(islice(remaining, 1))
        self._begin(out)
        opening = _dumped(dict(start))[:-1]
        out.write(opening + (b"," if start else b"") + b'"%b":[' % name.encode())
        separator = b"\n"
        try:
            for item in chain(first, remaining):
                out.write(separator + _dumped(item))
                separator = b",\n"
        except BaseException as error:
            out.write(b"\n]}")
            self._end(out, failure_of(error))
            raise
        out.write(b"\n]")
        if after := sums():
            out.write(b"," + _dumped(dict(after))[1:-1])
        out.write(b"}")
        self._end(out, None)

    def write_line(self, item: Mapping[str, Any]) -> None:
        """Print `item` as a line of its own, without an envelope, for output that has no end."""
        self._has_begun = True
        sys.stdout.buffer.write(_dumped(item) + b"\n")
        sys.stdout.flush()

    def _begin(self, out: BinaryIO) -> None:
        self._has_begun = True
        start = {"command": self.command, "version": __version__}
        out.write(_dumped(start)[:-1] + b',"data":')

    def _end(self, out: BinaryIO, failure: Failure | None) -> None:
        end = {"ok": failure is None, "error": None if failure is None else failure._asdict()}
        out.write(b"," + _dumped(end)[1:] + b"\n")
        out.flush()


def _dumped(value: object) -> bytes:
    import orjson  # not needed by most commands

    return orjson.dumps(value)


def command_of(argv: Sequence[str]) -> str:
    """The command in a command line: `find`, `config show`; empty if there is none."""
    words = [word for word in argv if not word.startswith("-")]
    if words[:1] and words[0] in _GROUPS:
        return " ".join(words[:2])
    return words[0] if words and not argv[0].startswith("-") else ""


def failure_of(error: BaseException) -> Failure:
    """`error` as people and programs read it."""
    if isinstance(error, InventoryError):
        return Failure(error.exit_code, printable(str(error)), error.hint)
    names = {base.__name__ for base in type(error).__mro__}
    if "ClickException" in names:  # of Typer or of Click, which is not imported for this
        return Failure(WRONG_USE, printable(error.format_message()), _help_hint(error))  # type: ignore[attr-defined]
    if isinstance(error, KeyboardInterrupt | EOFError) or "Abort" in names:
        return Failure(INTERRUPTED, "Interrupted.")
    if scarce := exhausted(error):
        return failure_of(scarce)
    text = f"This is a bug ({type(error).__name__}: {error})."
    return Failure(BUG, printable(text), "Please report the lines on stderr.")


def _help_hint(error: object) -> str | None:
    context = getattr(error, "ctx", None)
    return None if context is None else f"{context.command_path} --help lists what it takes."


_current = Envelope()


def begin_envelope(argv: Sequence[str]) -> Envelope:
    """The envelope of the command line that is run now."""
    global _current  # noqa: PLW0603 - one process runs one command line at a time
    _current = Envelope(argv)
    return _current


def envelope() -> Envelope:
    """The envelope that `begin_envelope` made last."""
    return _current
