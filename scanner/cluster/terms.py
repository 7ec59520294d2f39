"""What the coordinator and the workers of a cluster tell each other. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scanner.core.mount_identity import MountIdentity
from scanner.workers.requests import Answer, Request


class Terms(NamedTuple):
    """The mount that a share of work is on, and how it is to be done."""

    version: str
    """The coordinator's version of this program."""
    point: str
    """The mount point, as the coordinator has it."""
    identity: MountIdentity
    device: int
    """The coordinator's number for the mount."""
    by_lookup: bool
    """True if stats come by lookup (`Mount.lookups_bring_stats`)."""
    threads: int
    per_second: float
    """Requests a second of one host; 0 for no limit."""


class Sample(NamedTuple):
    """An entry as the coordinator sees it."""

    path: str
    is_directory: bool
    size: int
    """0 for directories."""
    mtime: int


class Examined(NamedTuple):
    """What a worker says to the terms."""

    worker: str
    """Its address."""
    host: str
    refusal: str = ""
    """Why it cannot take part; empty if it can."""
    differing: tuple[Sample, ...] = ()
    """Samples as the worker sees them, where that is not what the coordinator saw."""
    is_same_kernel: bool = False
    """True if it sees the mount through the coordinator's own kernel."""


class Share(NamedTuple):
    """The answers of a worker to a part of the requests that it got."""

    worker: str
    answers: Sequence[Answer]
    rest: Sequence[Request]
    """Requests that it gives back, since the share turned out to be large."""
    refusal: str = ""
    """Why it gives back everything; empty if it does not."""
