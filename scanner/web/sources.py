"""The inventories that a server shows, and what is passed to it from the commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from scanner.core.paths import short_names
from scanner.core.serialize import printable
from scanner.output.file_names import Outputs


class Source(NamedTuple):
    """An inventory with the files beside it."""

    name: str
    """By which requests and the page name it."""
    outputs: Outputs

    @property
    def is_here(self) -> bool:
        """True if its state is on this machine, so that its scanner is, too."""
        return os.path.exists(self.outputs.state)


class Services(NamedTuple):
    """What commands do for a server. All of it may block, and raises InventoryError."""

    metrics: Callable[[Sequence[Source]], str]
    script: Callable[[Source, Mapping[str, str]], tuple[str, bytes]]
    """The name of a file and its content: the script that `duplicates --script` prints."""
    workflow: Callable[[Source, bytes, str], dict[str, Any]]
    """The answer of `workflow check` about a body and the name of its file."""
    accept: Callable[[Source, str, float], list[dict[str, Any]]]
    """The answer of `accept` about a place, within some seconds."""
    unused: Callable[[Source, int], dict[str, Any]]
    """The answer of `unused`, with that many models at most."""


def named(outputs: Sequence[Outputs]) -> list[Source]:
    """The inventories by their stems; where two have the same, by more of their paths."""
    stems = [os.path.splitext(os.path.basename(each.inventory))[0] for each in outputs]
    if len(set(stems)) < len(stems):
        names = short_names([os.path.splitext(each.inventory)[0] for each in outputs])
        stems = [names[os.path.splitext(each.inventory)[0]] for each in outputs]
    return [Source(printable(stem), each) for stem, each in zip(stems, outputs, strict=True)]
