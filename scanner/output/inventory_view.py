"""Everything that an inventory file shows, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Snapshot


@dataclass(frozen=True, slots=True)
class RootView:
    """A root as the header shows it."""

    root: Root
    state: str
    """`online`, `partial`, `offline`, `stalled`, `held` or `missing`."""
    since: int
    """When it entered that state, nanoseconds since 1970."""
    filesystem: str
    reason: str = ""
    """Why it is not online, one sentence."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A place below a root that answered with an error; what was known below it is kept."""

    path: str
    error: str
    since: int
    """Nanoseconds since 1970."""


class EntryAnnotations(Protocol):
    """What stands beside entries and is no part of them."""

    @property
    def folders(self) -> Mapping[str, object]:
        """Folders with annotations, each with something that is another whenever they are."""
        ...

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        """The fields of each entry of `folder` that has any."""
        ...


@dataclass(frozen=True, slots=True)
class InventoryView:
    """Everything that an inventory shows."""

    scan: int
    generated: int
    """Nanoseconds since 1970."""
    base: str | None
    """Folder that paths are shown relative to."""
    roots: Sequence[RootView]
    unreachable: Sequence[Unreachable]
    snapshot: Snapshot
    status: Mapping[str, str] = field(default_factory=dict)
    """A word for some paths, as `unsettled`."""
    annotations: EntryAnnotations | None = None
    """What else is known of entries."""
