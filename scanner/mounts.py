"""What file system a path lives on, read from the mount table without touching any mount."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


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
        """What must not change behind a root's back (rule 2): type, source and path within it.

        Never st_dev: it changes over reboots and reconnections.
        """
        return f"{self.type} {_source_identity(self.source)} {self.within}"

    @property
    def is_remote(self) -> bool:
        """True for network mounts and for every type that is not known to be local."""
        return self.type.lower() not in LOCAL_TYPES

    @property
    def moves_directory_mtimes(self) -> bool:
        """Whether a directory's mtime is known to move with every change of its names."""
        return self.type.lower() in DIRECTORY_MTIME_TYPES

    @property
    def never_moves_directory_mtimes(self) -> bool:
        """Whether a directory's mtime is known to stay behind (FAT and its kin)."""
        return self.type.lower() in FAT_TYPES

    @property
    def granularity(self) -> float:
        """Steps of its mtimes, seconds."""
        return GRANULARITIES.get(self.type.lower(), 0.0)

    @property
    def settle(self) -> float:
        """Seconds after which a change can no longer hide behind an equal mtime (rule 4)."""
        least = SETTLE_REMOTE if self.is_remote else SETTLE_LOCAL
        return max(least, 2 * self.granularity, self._attribute_cache)

    @property
    def _attribute_cache(self) -> float:
        """Seconds for which the client may answer from its own cache."""
        default = ATTRIBUTE_CACHES.get(self.type.lower(), 0.0)
        given = [
            float(value)
            for option in self.options.split(",")
            for name, _, value in [option.partition("=")]
            if name in ("actimeo", "acdirmax", "acregmax") and value.isdigit()
        ]
        return max(given) if given else default

    @property
    def has_stable_inodes(self) -> bool:
        """Whether an inode number names the same file for as long as the file exists."""
        return self.type.lower() in STABLE_INODE_TYPES


STABLE_INODE_TYPES = frozenset(
    (
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "apfs",
        "hfs",
        "ufs",
        "tmpfs",
        "bcachefs",
    )
)
"""On all others a number may be made up, change with the mount or be a function of the path: vfat
and exfat number by mount, sshfs by session, mergerfs by path, NTFS in `os.scandir` not at all."""

LOCAL_TYPES = STABLE_INODE_TYPES | frozenset(
    ("overlay", "ntfs", "ntfs3", "exfat", "vfat", "msdos", "fat32", "fat", "refs", "ramfs",
     "squashfs", "iso9660", "udf", "rootfs", "reiserfs", "jfs", "minix")
)  # fmt: skip
"""Types that answer from this machine's own disks. fuseblk is not among them: it may hang."""

FAT_TYPES = frozenset(("vfat", "exfat", "msdos", "fat", "fat32"))
"""On exFAT a new file was seen to leave the folder's mtime where it was (ComfyUI's own list cache
goes stale there); FAT's root folder has no mtime at all."""

DIRECTORY_MTIME_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "apfs", "hfs", "ntfs", "ntfs3",
     "tmpfs", "bcachefs", "ufs")
)  # fmt: skip
"""Local types whose directory mtimes POSIX semantics or NTFS promise."""

GRANULARITIES = {
    "vfat": 2.0,
    "msdos": 2.0,
    "fat": 2.0,
    "fat32": 2.0,
    "exfat": 2.0,
    "hfs": 1.0,
    "ext2": 1.0,
    "ext3": 1.0,
}
"""Steps of mtimes in seconds, where they are coarse by the format. exFAT keeps 10 ms, but not all
drivers write them."""

ATTRIBUTE_CACHES = {"nfs": 60.0, "nfs4": 60.0, "cifs": 1.0, "smb3": 1.0}
"""Longest life of cached attributes in seconds, the clients' defaults (acdirmax of nfs(5), actimeo
of mount.cifs(8)); `actimeo`, `acdirmax` and `acregmax` among the mount's options override them."""

SETTLE_LOCAL = 0.05
SETTLE_REMOTE = 3.0
"""Least seconds of `Mount.settle`: a clock tick of a local disk takes at most 10 ms; of a remote
or unknown mount nothing is known, and FAT behind it steps by 2 s."""

UNKNOWN = Mount("", "unknown", "")


def read_mounts() -> list[Mount]:
    """The mount table; empty where the platform gives none."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            return [mount for line in table if (mount := _parse_mountinfo(line))]
    except OSError:
        return _read_with_psutil()


def _parse_mountinfo(line: str) -> Mount | None:
    """One line of Linux's mountinfo (proc(5)): ... root point options [tags] - type source ..."""
    before, dash, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < 5 or len(right) < 2:
        return None
    options = ",".join((left[5] if len(left) > 5 else "", *right[2:3]))
    return Mount(_unescape(left[4]), right[0], _unescape(right[1]), _unescape(left[3]), options)


def _unescape(text: str) -> str:
    """Undo the octal escapes of the mount table."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _read_with_psutil() -> list[Mount]:
    import psutil

    return [
        Mount(os.path.normpath(part.mountpoint), part.fstype.lower(), part.device)
        for part in psutil.disk_partitions(all=True)
    ]


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount:
    """The mount that `path` lies on, by the longest mount point; UNKNOWN without one.

    Of several mounts on one point the last counts: it hides the others.
    """
    best = UNKNOWN
    for mount in mounts:
        point = mount.point
        if len(point) >= len(best.point) and (
            path == point or path.startswith(point if point.endswith(os.sep) else point + os.sep)
        ):
            best = mount
    return best


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
