"""The mount that a path lives on, by the mount table, without touching any mount."""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from scanner.core.paths import is_below
from scanner.disk.mount_types import (
    ATTRIBUTE_CACHES,
    DIRECTORY_MTIME_TYPES,
    DISK_TYPES,
    GRANULARITIES,
    HOST_TYPES,
    LOCAL_TYPES,
    NETWORK_TYPES,
    SETTLE_LOCAL,
    SETTLE_REMOTE,
    STABLE_INODE_TYPES,
    STALE_DIRECTORY_TYPES,
    UNION_TYPES,
)

Locality = Literal["disk", "network", "host", "unknown"]
"""The location of files: on a disk of this computer, on the network, on the computer that this
system runs on (WSL, a virtual machine), or unknown."""

Events = Literal["all", "own", "unknown"]
"""The changes that file events (inotify and its kin) report: all, or only those made here."""


class Mount(NamedTuple):
    """One line of the mount table.

    `source` is the device, or host and share; `within` the path inside the source that is mounted
    (bind mounts, sub-volumes).
    """

    point: str
    type: str
    source: str
    within: str = "/"
    options: str = ""

    @property
    def identity(self) -> str:
        """The identity of the mount, which must not change unnoticed (rule 2): type, source and
        path within the source.

        Never st_dev: it changes over reboots and reconnections.
        """
        return f"{self.type} {_source_identity(self.source)} {self.within}"

    @property
    def is_remote(self) -> bool:
        """True for network mounts and for every type that is not known to be local."""
        return self.type.lower() not in LOCAL_TYPES

    @property
    def locality(self) -> Locality:
        """The location of its files. A disk may still be `is_remote`, if its driver may hang."""
        type_ = self.type.lower()
        if type_ in LOCAL_TYPES or type_ in DISK_TYPES:
            return "disk"
        if type_ in HOST_TYPES:
            return "host"
        return "network" if type_ in NETWORK_TYPES else "unknown"

    @property
    def events(self) -> Events:
        """The changes that file events would report, if this program waited for them.

        inotify reports what goes through this computer's kernel: nothing that a server, the host
        of a virtual machine, Windows around WSL or the branches below a union change by themselves.
        """
        if self.locality == "disk":
            return "own" if self.type.lower() in UNION_TYPES else "all"
        return "unknown" if self.locality == "unknown" else "own"

    @property
    def moves_directory_mtimes(self) -> bool:
        """True if a directory's mtime is known to move with every change of its names."""
        return self.type.lower() in DIRECTORY_MTIME_TYPES

    @property
    def never_moves_directory_mtimes(self) -> bool:
        """True if a directory's mtime is known to stay behind (FAT, unions, object stores)."""
        return self.type.lower() in STALE_DIRECTORY_TYPES

    @property
    def known_granularity(self) -> float | None:
        """Its mtime granularity in seconds; None if the type does not say."""
        return GRANULARITIES.get(self.type.lower())

    @property
    def granularity(self) -> float:
        """Its mtime granularity in seconds; 0 if the type does not say."""
        return self.known_granularity or 0.0

    @property
    def settle(self) -> float:
        """Seconds after which a change can no longer hide behind an equal mtime (rule 4)."""
        least = SETTLE_REMOTE if self.is_remote else SETTLE_LOCAL
        return max(least, 2 * self.granularity, self._attribute_cache)

    @property
    def _attribute_cache(self) -> float:
        """Seconds for which the client may answer from its own cache."""
        default = ATTRIBUTE_CACHES.get(self.type.lower(), 0.0)
        options = self.options.split(",")
        if "noac" in options:
            return 0.0
        given = {
            name: float(value)
            for option in options
            for name, _, value in [option.partition("=")]
            if value.isdigit()
        }
        # An option that the table does not show has its default: acregmax=5 leaves acdirmax at 60.
        both = given.get("actimeo", default)
        return max(given.get("acregmax", both), given.get("acdirmax", both))

    @property
    def has_stable_inodes(self) -> bool:
        """True if an inode number names the same file for as long as the file exists."""
        return self.type.lower() in STABLE_INODE_TYPES

    @property
    def shown_source(self) -> str:
        """`source` for people, without a password that stands in it."""
        return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1@", self.source)

    @property
    def is_windows_drive(self) -> bool:
        """True for a drive of Windows, seen from WSL."""
        return self.type.lower() == "drvfs" or "drvfs" in self.options


UNKNOWN = Mount("", "unknown", "")


def read_mounts() -> list[Mount]:
    """The mount table; empty if the platform gives none."""
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            text = table.read()
    except OSError:
        return _read_with_psutil()
    return list(_parse_table(text))


@lru_cache(maxsize=1)
def _parse_table(text: bytes) -> tuple[Mount, ...]:
    """The mounts in `text` of mountinfo. A scan reads it a dozen times, and it rarely changes:
    parsing it each time was a tenth of an unchanged scan of 2,000 files."""
    # Only a newline ends a line: a carriage return in a name stands there as it is.
    return tuple(mount for line in text.split(b"\n") if (mount := _parse_mountinfo(line)))


def _parse_mountinfo(line: bytes) -> Mount | None:
    """One line of Linux's mountinfo (proc(5)): ... root point options [tags] - type source ..."""
    before, dash, after = line.partition(b" - ")
    left = [_decoded(field) for field in before.split(b" ")]
    right = [_decoded(field) for field in after.split(b" ")]
    if not dash or len(left) < 5 or len(right) < 2:
        return None
    options = ",".join((left[5] if len(left) > 5 else "", *right[2:3]))
    type_, source = right[:2]
    if type_ == "fuse" and source.startswith(("http://", "https://")):
        type_ = "davfs"  # what davfs2 is to mount(8), the kernel does not know
    return Mount(left[4], type_, source, left[3], options)


def _decoded(field: bytes) -> str:
    """A field of the mount table without its octal escapes, decoded as every path is."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda escape: bytes([int(escape[1], 8)]), field))


def _read_with_psutil() -> list[Mount]:
    import psutil

    try:
        parts = psutil.disk_partitions(all=True)
    except (OSError, psutil.Error):
        return []  # as where /proc is not mounted
    return [
        Mount(
            os.path.normpath(part.mountpoint),
            # A mapped drive bears the type that its server tells Windows, mostly NTFS.
            "smb" if "remote" in part.opts.split(",") else part.fstype.lower(),
            part.device,
        )
        for part in parts
    ]


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount:
    """The mount that `path` lies on, by the longest mount point; UNKNOWN without one.

    Of several mounts on one point the last counts: it hides the others. A share that Windows
    knows by its name only (\\\\nas\\models) stands in no table.
    """
    if path.startswith("\\\\"):
        return _unc_mount(path)
    best = UNKNOWN
    path = os.path.normcase(path)
    for mount in mounts:
        if len(mount.point) >= len(best.point) and is_below(path, os.path.normcase(mount.point)):
            best = mount
    return best


def _unc_mount(path: str) -> Mount:
    """The share that a path such as \\\\nas\\models\\loras lies on."""
    share = ntpath.splitdrive(path)[0]
    host = share[2:].partition("\\")[0].lower()
    # Windows shows the disks of WSL under these two names, by 9p.
    type_ = "9p" if host in ("wsl$", "wsl.localhost") else "smb"
    return Mount(share, type_, share.replace("\\", "/").lower())


def _source_identity(source: str) -> str:
    """UUID of a block device where known, since device names change over reboots."""
    if source.startswith("/dev/"):
        folder = "/dev/disk/by-uuid"
        try:
            for name in os.listdir(folder):
                if os.path.realpath(os.path.join(folder, name)) == os.path.realpath(source):
                    return f"uuid={name}"
        except OSError:
            pass  # no udev here (containers, other systems): the device's name has to do
    return source
