"""The mount that a path lives on, by the mount table, without touching any mount."""

from __future__ import annotations

import ntpath
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from scanner.core.mount_identity import MountIdentity, without_password
from scanner.core.paths import nearest_above
from scanner.disk.mount_types import (
    ATTRIBUTE_CACHES,
    DIRECTORY_MTIME_TYPES,
    DISK_TYPES,
    FAT_TYPES,
    GRANULARITIES,
    HOST_TYPES,
    LOCAL_TYPES,
    LOOKUP_TYPES,
    NETWORK_TYPES,
    SETTLE_LOCAL,
    SETTLE_REMOTE,
    STABLE_INODE_TYPES,
    STALE_DIRECTORY_TYPES,
    UNION_TYPES,
)
from scanner.errors import InventoryError, exhausted

if TYPE_CHECKING:
    import select

Locality = Literal["disk", "network", "host", "unknown"]
"""The location of files: on a disk of this computer, on the network, on the computer that this
system runs on (WSL, a virtual machine), or unknown."""

_EXT_TYPES = frozenset(("ext2", "ext3", "ext4"))

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
    def identity(self) -> MountIdentity:
        """The identity of the mount, which must not change unnoticed (rule 2)."""
        return MountIdentity(
            self.type, self.shown_source, self.within, _uuid_of(self.source), _fsid_of(self)
        )

    @property
    def is_remote(self) -> bool:
        """True for network mounts and for every type that is not known to be local."""
        return self.type.lower() not in LOCAL_TYPES

    @property
    def locality(self) -> Locality:
        """The location of its files. A disk may still be `is_remote`, if its driver may hang."""
        type_ = self.type.lower()
        if type_ in LOCAL_TYPES or type_ in DISK_TYPES or self.is_view:
            return "disk"
        if type_ in HOST_TYPES:
            return "host"
        return "network" if type_ in NETWORK_TYPES else "unknown"

    @property
    def is_view(self) -> bool:
        """True for a view of other folders of this computer. bindfs is plain `fuse` in the mount
        table, with the folder that it shows as its source."""
        is_bindfs = self.type == "fuse" and self.source.startswith("/")
        return self.type.lower() in UNION_TYPES or is_bindfs

    @property
    def format(self) -> str:
        """The type of the file system itself. `fuseblk` says only how it is mounted: udev knows if
        it is NTFS or exFAT."""
        return self.type.lower() if self.type != "fuseblk" else _format_of(self.source) or self.type

    @property
    def events(self) -> Events:
        """The changes that file events would report, if this program waited for them.

        inotify reports what goes through this computer's kernel: nothing that a server, the host
        of a virtual machine, Windows around WSL or the branches below a union change by themselves.
        """
        if self.locality == "disk":
            return "own" if self.is_view else "all"
        return "unknown" if self.locality == "unknown" else "own"

    @property
    def moves_directory_mtimes(self) -> bool:
        """True if a directory's mtime is known to move with every change of its names."""
        return self.type.lower() in DIRECTORY_MTIME_TYPES

    @property
    def never_moves_directory_mtimes(self) -> bool:
        """True if a directory's mtime is known to stay behind (FAT, unions, object stores)."""
        return self.format in STALE_DIRECTORY_TYPES

    @property
    def keeps_local_time(self) -> bool:
        """True if its mtimes are in local time, and move with the clock's changes (FAT)."""
        return self.type.lower() in FAT_TYPES

    @property
    def known_granularity(self) -> float | None:
        """Its mtime granularity in seconds; None if the type does not say."""
        return GRANULARITIES.get(self.format)

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
    def lookups_bring_stats(self) -> bool:
        """True if the lookup of a name brings a stat that is as fresh as a stat would be."""
        return self.type.lower() in LOOKUP_TYPES

    @property
    def has_stable_inodes(self) -> bool:
        """True if an inode number names the same file for as long as the file exists."""
        return self.type.lower() in STABLE_INODE_TYPES

    @property
    def shown_source(self) -> str:
        """`source` for people, without a password that stands in it."""
        return without_password(self.source)

    @property
    def is_windows_drive(self) -> bool:
        """True for a drive of Windows, seen from WSL."""
        return self.type.lower() == "drvfs" or "drvfs" in self.options


UNKNOWN = Mount("", "unknown", "")


def read_mounts() -> list[Mount]:
    """The mounts that can be seen, and automounters below them; empty if the platform has no table.

    A mount that a later one hides, on its own point or on a folder above it, is left out.

    Raises InventoryError where the table cannot be read now.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            text = table.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return _read_with_psutil()
    except OSError as error:
        # Without the table all paths would seem to live on mounts that nobody knows.
        raise exhausted(error) or InventoryError(
            f"The mount table cannot be read: {error.strerror or error}."
        ) from error
    return list(_parse_table(text))


FRESH = 0.1
"""Seconds after which it is read again in any case: the kernel tells of mounts that come, go or
move, and not of every option."""

_TABLE = "/proc/self/mountinfo"


class MountTable:
    """The mounts that can be seen, as `read_mounts` gives them.

    A scan asks for them a dozen times, and each reading takes the kernel 40 us and more. poll(2)
    on the table says whether it has changed (proc(5)). `_lock` is held while it is read: a change
    that one thread is told of is told to no other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: select.poll | None = None
        self._mounts: list[Mount] = []
        self._read_at = float("-inf")
        """When it was read, by the monotonic clock."""

    def mounts(self) -> list[Mount]:
        """The mounts of now. Raises InventoryError."""
        if sys.platform != "linux":
            return read_mounts()
        with self._lock:
            if self._changes is None:
                self._changes = self._opened()
            if self._changes is None:
                return read_mounts()
            # Asked before the table is read: what changes meanwhile is told the next time.
            has_changed = bool(self._changes.poll(0))
            now = time.monotonic()
            if has_changed or now - self._read_at >= FRESH:
                # Not known while it cannot be read.
                self._read_at = float("-inf")
                self._mounts = read_mounts()
                self._read_at = now
            return list(self._mounts)

    def _opened(self) -> select.poll | None:
        import select  # a process that only reads what was written waits for no change

        try:
            table = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        weakref.finalize(self, os.close, table)
        changes = select.poll()
        changes.register(table, select.POLLPRI | select.POLLERR)
        return changes


@lru_cache(maxsize=1)
def _parse_table(text: bytes) -> tuple[Mount, ...]:
    """The mounts in `text` of mountinfo. A scan reads it a dozen times, and it rarely changes:
    parsing it each time was a tenth of an unchanged scan of 2,000 files."""
    # Only a newline ends a line: a carriage return in a name stands there as it is.
    return _visible([line for row in text.split(b"\n") if (line := _parse_mountinfo(row))])


class _Line(NamedTuple):
    """A mount with its number, and that of the mount that its point lies on."""

    number: str
    parent: str
    mount: Mount


def _visible(lines: Sequence[_Line]) -> tuple[Mount, ...]:
    """The mounts that a path can lead to.

    A path goes from mount to mount: on each, the first folder on the way that is a mount point
    leads on. A mount whose point is not reached so is hidden. What mounts automatically stays, if
    only what it mounted hides it.
    """
    numbers = {line.number for line in lines}
    below: dict[str, dict[str, str]] = {}
    for line in lines:
        is_first = line.parent not in numbers or line.parent == line.number
        below.setdefault("" if is_first else line.parent, {})[line.mount.point] = line.number

    def is_seen(line: _Line) -> bool:
        reached, passed = "", {""}
        for folder in _folders_to(line.mount.point):
            while (deeper := below.get(reached, {}).get(folder, "")) and deeper not in passed:
                reached = deeper
                passed.add(deeper)
                if deeper == line.number and line.mount.type == "autofs":
                    return True
        return reached == line.number

    seen = [line.mount for line in lines if is_seen(line)]
    # An automounter must come before what it mounted: of two on one point the last one counts.
    return tuple(sorted(seen, key=lambda mount: mount.type != "autofs"))


def _folders_to(path: str) -> list[str]:
    """The folders from the top down to `path`, itself included."""
    folders = [path]
    while (above := os.path.dirname(path)) != path:
        folders.append(above)
        path = above
    return folders[::-1]


def _parse_mountinfo(row: bytes) -> _Line | None:
    """One line of Linux's mountinfo (proc(5)): number parent device root point options [tags] -
    type source ..."""
    before, dash, after = row.partition(b" - ")
    left = [_decoded(field) for field in before.split(b" ")]
    right = [_decoded(field) for field in after.split(b" ")]
    if not dash or len(left) < 5 or len(right) < 2:
        return None
    options = ",".join((left[5] if len(left) > 5 else "", *right[2:3]))
    type_, source = right[:2]
    if type_ == "fuse" and source.startswith(("http://", "https://")):
        type_ = "davfs"  # what davfs2 is to mount(8), the kernel does not know
    return _Line(left[0], left[1], Mount(left[4], type_, source, left[3], options))


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
    by_point = mounts_by_point(tuple(mounts))
    point = nearest_above(os.path.normcase(path), by_point)
    return UNKNOWN if point is None else by_point[point]


@lru_cache(maxsize=4)
def mounts_by_point(mounts: tuple[Mount, ...]) -> Mapping[str, Mount]:
    """`mounts` by their points in normal case. Every scan asks for those of one table many
    times."""
    return {os.path.normcase(mount.point): mount for mount in mounts}


def _unc_mount(path: str) -> Mount:
    """The share that a path such as \\\\nas\\models\\loras lies on."""
    share = ntpath.splitdrive(path)[0]
    host = share[2:].partition("\\")[0].lower()
    # Windows shows the disks of WSL under these two names, by 9p.
    type_ = "9p" if host in ("wsl$", "wsl.localhost") else "smb"
    return Mount(share, type_, share.replace("\\", "/").lower())


def _uuid_of(source: str) -> str:
    """UUID of a block device where udev knows it, since device names change over reboots."""
    if source.startswith("/dev/"):
        folder = "/dev/disk/by-uuid"
        with suppress(OSError):  # no udev here (containers, other systems)
            for name in os.listdir(folder):
                if os.path.realpath(os.path.join(folder, name)) == os.path.realpath(source):
                    return name
    return ""


def _fsid_of(mount: Mount) -> str:
    """The number that an ext file system derives from its UUID; empty where it cannot be had.

    The device's number proves that the answer comes from this mount and not from one above it.
    """
    if mount.type not in _EXT_TYPES or not mount.source.startswith("/dev/"):
        return ""
    with suppress(OSError, AttributeError):  # no such device here; no statvfs on Windows
        if os.stat(mount.source).st_rdev == os.stat(mount.point).st_dev:
            return f"{os.statvfs(mount.point).f_fsid:x}"
    return ""


_UDEV = "/run/udev/data"
"""What udev knows of devices, one file for each. To ask the device itself might hang."""


def _format_of(device: str) -> str:
    """The type of the file system on a block device, as udev found it; empty if it is not known."""
    with suppress(OSError, AttributeError):  # no such device here, no udev; no os.major on Windows
        number = os.stat(device).st_rdev
        name = f"{_UDEV}/b{os.major(number)}:{os.minor(number)}"
        with open(name, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("E:ID_FS_TYPE="):
                    return line.partition("=")[2].strip()
    return ""
