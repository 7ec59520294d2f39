"""The content of an inventory file, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from scanner.core.mount_identity import MountIdentity
from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Snapshot


@dataclass(frozen=True, slots=True)
class RootView:
    """A root as it appears in the header."""

    root: Root
    state: str
    """`online`, `partial`, `offline`, `stalled`, `held` or `missing`."""
    since: int
    """Start of that state, nanoseconds since 1970."""
    filesystem: str
    reason: str = ""
    """The reason why it is not online, one sentence."""


@dataclass(frozen=True, slots=True)
class MountView:
    """The mount that a root, or a folder below one, was last walked on, as the header has it.

    A state that was lost is rebuilt with it, so that a mount which is away then deletes nothing.
    """

    path: str
    target: str
    """The target, if the folder is a link."""
    point: str
    identity: MountIdentity


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A path below a root that could not be read. The last known entries below it are kept."""

    path: str
    error: str
    since: int
    """Nanoseconds since 1970."""


class EntryAnnotations(Protocol):
    """Fields of entries that are not part of the snapshot, such as hashes and model facts."""

    @property
    def folders(self) -> Mapping[str, object]:
        """Folders with annotations, each with a value that changes whenever its annotations do."""
        ...

    def of(self, folder: str, directory: Directory) -> dict[str, dict[str, Any]]:
        """The fields by name, for the entries of `folder` that have any."""
        ...


@dataclass(frozen=True, slots=True)
class InventoryView:
    """The content of an inventory."""

    scan: int
    generated: int
    """Nanoseconds since 1970."""
    base: str | None
    """The folder that displayed paths are relative to."""
    roots: Sequence[RootView]
    unreachable: Sequence[Unreachable]
    snapshot: Snapshot
    status: Mapping[str, str] = field(default_factory=dict)
    """The status of some paths, for example `unsettled`."""
    mounts: Sequence[MountView] = ()
    """One for each root, and for each mount below one, that has been walked."""
    annotations: EntryAnnotations | None = None
    """Further fields of entries."""
