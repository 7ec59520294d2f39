"""The mtime granularity of a zone, as the times of its directories show it (rule 4).

ext4 with inodes of 128 bytes counts whole seconds, and so does a union over it: their types do not
say so. The times of directories do. The kernel sets them, down to its clock tick, and nobody can
set a ctime.
"""

from __future__ import annotations

from itertools import islice

from scanner.core.roots import Root
from scanner.core.snapshot import Directory, Snapshot, directories_below
from scanner.disk.mounts import Mount
from scanner.walk.zones import Zones

SECOND = 10**9
"""Nanoseconds."""

SETTLE = 2.0
"""Twice the granularity of a zone that counts seconds."""

PROBES = 64
"""Directories whose times are looked at. Of a disk that counts nanoseconds, one in 250 stands on
a whole second by chance."""


def settle_of(mount: Mount, zone: Root, zones: Zones, snapshot: Snapshot) -> float:
    """Seconds after which a change in `zone`, which lives on `mount`, can no longer hide behind an
    equal mtime (rule 4)."""
    settle = mount.settle
    if settle >= SETTLE or not counts_seconds(zone, zones, snapshot):
        return settle
    return SETTLE


def counts_seconds(zone: Root, zones: Zones, snapshot: Snapshot) -> bool:
    """True if no time of the directories of `zone` has digits below a second."""
    if zone.path not in snapshot:
        return False
    # The top comes first, and is all that is looked at nearly everywhere.
    return not any(
        has_digits(directory)
        for path, directory in islice(directories_below(snapshot, zone.path), PROBES)
        if path == zone.path or zones.owner(path) == zone
    )


def has_digits(directory: Directory) -> bool:
    """True if its own time has digits below a second."""
    time = directory.mtime if directory.ctime is None else directory.ctime
    return time % SECOND != 0
