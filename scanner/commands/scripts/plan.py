"""What a script is made from: files to keep, and other files to deal with. Pure values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Known(NamedTuple):
    """A file as it was when its content was known."""

    path: str
    """Absolute, as the system spells it."""
    size: int
    """Bytes."""
    mtime: int
    """Nanoseconds since 1970."""

    @property
    def seconds(self) -> int:
        """The mtime in whole seconds, which every system and every tool agrees on."""
        return self.mtime // 10**9


class Group(NamedTuple):
    """One file that no step touches, and others that should hold the same bytes."""

    about: str
    """One line for the reader of the script."""
    keep: Known
    candidates: tuple[Known, ...]


class Plan(NamedTuple):
    """A script before it is written in a language."""

    action: str
    """The step that is done to every candidate: one of `ACTIONS` of the language."""
    groups: Sequence[Group]
    remarks: Sequence[str] = ()
    """Lines for the end of the script. They are printable, and become comments."""
