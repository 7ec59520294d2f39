"""Judge the health of a zone before and after a walk: rule 2 (a lost mount deletes nothing)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scanner.core.memory import HELD, MISSING, OFFLINE, ONLINE
from scanner.core.mount_identity import MountIdentity
from scanner.disk.filesystem import Stat
from scanner.disk.location import Location
from scanner.disk.mounts import UNKNOWN, Mount
from scanner.workers.requests import Failed

NOT_A_FOLDER = "not a folder"


@dataclass(frozen=True, slots=True)
class Health:
    """State of a root at one moment, with the reason in words if it is not online."""

    state: str
    reason: str = ""
    mount: Mount = UNKNOWN
    identity: tuple[int, int] = (0, 0)
    """Device and inode of the root's folder, to tell within one scan that it is the same."""


@dataclass(frozen=True, slots=True)
class KnownMount:
    """The mount that a root was last walked on: its point and `Mount.identity`.

    The identity is None where it is not known, or where a person accepted another one: the present
    mount is then taken for known.
    """

    point: str = ""
    identity: MountIdentity | None = None
    has_entries: bool = True
    """False if nothing was known below the root. Then no other mount can be confused with it."""

    @property
    def name(self) -> str:
        """The mount for people: its point, or its type where only that is known."""
        if self.point or self.identity is None:
            return self.point
        return f"a file system of type {self.identity.type}"

    def is_same(self, mount: Mount) -> bool:
        """True if `mount` is taken for this one."""
        if self.identity is None:
            return True
        # Two mounts of `tmpfs` are told apart by their points alone.
        is_there = self.identity.is_unique or self.point in ("", mount.point)
        return is_there and self.identity.is_same(mount.identity)


def examine(
    location: Location, answer: Stat | Failed, mounts: Iterable[Mount], known: KnownMount | None
) -> Health:
    """Health of a zone from its location, a stat of its folder, and the mount table.

    `known` is None where the zone has never been walked: it is then missing, not offline.
    """
    mount = location.mount
    absent = MISSING if known is None else OFFLINE
    if known is not None and not known.is_same(mount):
        if not any(other.point == known.point for other in mounts):
            return Health(OFFLINE, f"{known.name} is not mounted", mount)
        if location.waits_for_automount:
            return Health(OFFLINE, f"{mount.point} was not mounted by its automounter", mount)
        if known.has_entries and not isinstance(answer, Failed):
            return Health(HELD, f"{mount.point} now holds another file system", mount)
    if isinstance(answer, Failed):
        return Health(absent, answer.error, mount)
    if not answer.is_directory:
        return Health(absent, NOT_A_FOLDER, mount)
    return Health(ONLINE, "", mount, (answer.device, answer.inode))


def stayed_healthy(before: Health, after: Health) -> bool:
    """True if a walk between the two can be trusted: same folder, same mount, still there."""
    if after.state != ONLINE:
        return False
    if before.mount != after.mount and not before.mount.identity.is_same(after.mount.identity):
        return False
    # Elsewhere an inode number may be another one at each look.
    return before.identity == after.identity or not after.mount.has_stable_inodes


@dataclass(frozen=True, slots=True)
class Moment:
    """When a walk started, on both clocks, and the interval between walks in seconds.

    `boot` names the boot since which the monotonic clock counts; empty if it is not known.
    """

    wall: int
    monotonic: float
    interval: float
    boot: str = ""
