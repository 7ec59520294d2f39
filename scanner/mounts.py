"""What file system a path lives on, read from the mount table without touching any mount."""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Place = Literal["disk", "network", "host", "unknown"]
"""Where files are: on a disk of this computer, on another computer, on the computer that this
system runs on (WSL, a virtual machine), or who knows."""

Events = Literal["all", "own", "unknown"]
"""Which changes file events (inotify and its kin) tell of: all, or only those made here."""


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
    def place(self) -> Place:
        """Where its files are. A disk may still be `is_remote`, where its driver may hang."""
        type_ = self.type.lower()
        if type_ in LOCAL_TYPES or type_ in DISK_TYPES:
            return "disk"
        if type_ in HOST_TYPES:
            return "host"
        return "network" if type_ in NETWORK_TYPES else "unknown"

    @property
    def events(self) -> Events:
        """Which changes file events would tell of, if this program waited for them.

        inotify reports what goes through this computer's kernel: nothing that a server, the host
        of a virtual machine, Windows around WSL or the branches below a union change by themselves.
        """
        if self.place == "disk":
            return "own" if self.type.lower() in UNION_TYPES else "all"
        return "unknown" if self.place == "unknown" else "own"

    @property
    def moves_directory_mtimes(self) -> bool:
        """Whether a directory's mtime is known to move with every change of its names."""
        return self.type.lower() in DIRECTORY_MTIME_TYPES

    @property
    def never_moves_directory_mtimes(self) -> bool:
        """Whether a directory's mtime is known to stay behind (FAT, unions, object stores)."""
        return self.type.lower() in STALE_DIRECTORY_TYPES

    @property
    def known_granularity(self) -> float | None:
        """Steps of its mtimes, seconds; None where the type does not tell."""
        return GRANULARITIES.get(self.type.lower())

    @property
    def granularity(self) -> float:
        """Steps of its mtimes, seconds; 0 where the type does not tell."""
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
        # What the table does not show has its default: acregmax=5 alone leaves acdirmax at 60.
        both = given.get("actimeo", default)
        return max(given.get("acregmax", both), given.get("acdirmax", both))

    @property
    def has_stable_inodes(self) -> bool:
        """Whether an inode number names the same file for as long as the file exists."""
        return self.type.lower() in STABLE_INODE_TYPES

    @property
    def shown_source(self) -> str:
        """`source` for people, without a password that stands in it."""
        return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1@", self.source)

    @property
    def is_windows_drive(self) -> bool:
        """Whether it is a drive of Windows, seen from WSL."""
        return self.type.lower() == "drvfs" or "drvfs" in self.options


STABLE_INODE_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "apfs", "hfs", "ufs", "tmpfs",
     "bcachefs")
)  # fmt: skip
"""On all others a number may be made up, change with the mount or be a function of the path: vfat
and exfat number by mount, sshfs by session, mergerfs by path (its default `hybrid-hash` does so for
folders), NTFS in `os.scandir` not at all; cifs changes all numbers at once when it reconnects to
another server, and what NFS, 9p and virtiofs hand on is whatever the server's file system has."""

LOCAL_TYPES = STABLE_INODE_TYPES | frozenset(
    ("overlay", "ntfs", "ntfs3", "exfat", "vfat", "msdos", "fat32", "fat", "refs", "ramfs",
     "squashfs", "iso9660", "udf", "rootfs", "reiserfs", "jfs", "minix", "hfsplus", "nilfs2",
     "erofs")
)  # fmt: skip
"""Types that answer from this machine's own disks, in the kernel."""

UNION_TYPES = frozenset(("fuse.mergerfs", "mergerfs", "fuse.unionfs", "fuse.mhddfs", "fuse.bindfs"))
"""Views of other folders of this machine, which may be changed there as well."""

DISK_TYPES = UNION_TYPES | frozenset(
    ("fuseblk", "fuse.ntfs-3g", "fuse.lowntfs-3g", "fuse.exfat", "fuse.exfat-fuse", "fuse.ntfs",
     "ufsd", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs", "fuse.squashfuse")
)  # fmt: skip
"""Types that keep their files on this machine but answer from a process (fuseblk is ntfs-3g or
exfat-fuse), or from a driver that is not the kernel's own: such a process can die or stop, and
whoever asks then hangs in the kernel as on a network mount. So a walker of its own asks them."""

HOST_TYPES = frozenset(
    ("drvfs", "9p", "v9fs", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "fuse.vmhgfs-fuse",
     "fakeowner", "fuse.grpcfuse", "fuse.osxfs")
)  # fmt: skip
"""Folders of the computer around this system: WSL 1 names Windows' drives drvfs and WSL 2 9p, QEMU
shares by 9p or virtiofs, VirtualBox, Parallels, VMware and Docker Desktop by types of their own."""

NETWORK_TYPES = frozenset(
    ("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "davfs",
     "fuse.davfs2", "fuse.sshfs", "sshfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse",
     "fuse.goofys", "fuse.blobfuse", "fuse.blobfuse2", "fuse.juicefs", "fuse.curlftpfs",
     "fuse.smbnetfs", "fuse.gvfsd-fuse", "ceph", "fuse.ceph", "fuse.ceph-fuse", "glusterfs",
     "fuse.glusterfs", "lustre", "beegfs", "ncpfs", "afs", "coda", "orangefs")
)  # fmt: skip

FAT_TYPES = frozenset(("vfat", "exfat", "msdos", "fat", "fat32", "fuse.exfat", "fuse.exfat-fuse"))
"""On exFAT a new file was seen to leave the folder's mtime where it was (ComfyUI's own list cache
goes stale there); FAT's root folder has no mtime at all."""

STALE_DIRECTORY_TYPES = FAT_TYPES | frozenset(
    (
        # Shows the times of one of the disks it joins (func.getattr=ff, the default, the first
        # that has the folder), and a file may be created on any other.
        "fuse.mergerfs",
        "mergerfs",
        # Seen on rclone 1.60 over Samba: a file created on the server is in the listing while the
        # folder's mtime stays (rclone#6335 is about the same).
        "fuse.rclone",
        # Object stores have no folders: their times are made up by the client.
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.goofys",
        "fuse.blobfuse",
        "fuse.blobfuse2",
    )
)
"""Types whose directory mtimes are never trusted (design rule 5)."""

DIRECTORY_MTIME_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "apfs", "hfs", "ntfs", "ntfs3",
     "tmpfs", "bcachefs", "ufs")
)  # fmt: skip
"""Local types whose directory mtimes POSIX semantics or NTFS promise. Nothing seen through a server
or a host is among them: exFAT may be behind it. Those have to earn it."""

_NANOSECOND = 1e-9
_FILETIME = 1e-7

GRANULARITIES = {
    # FAT counts modification times in steps of two seconds. exFAT keeps 10 ms beside them, but not
    # all drivers write these.
    "vfat": 2.0,
    "msdos": 2.0,
    "fat": 2.0,
    "fat32": 2.0,
    "exfat": 2.0,
    "fuse.exfat": 2.0,
    "fuse.exfat-fuse": 2.0,
    # Whole seconds on disk.
    "hfs": 1.0,
    "hfsplus": 1.0,
    "ext2": 1.0,
    "ext3": 1.0,
    "minix": 1.0,
    "reiserfs": 1.0,
    "iso9660": 1.0,
    "lustre": 1.0,
    # Whole seconds on the wire: SFTP 3 (the only version of sshfs) and AFP send 32 bits of seconds,
    # WebDAV's getlastmodified is an HTTP date.
    "fuse.sshfs": 1.0,
    "sshfs": 1.0,
    "afpfs": 1.0,
    "webdav": 1.0,
    "davfs": 1.0,
    "fuse.davfs2": 1.0,
    # Windows counts in units of 100 ns (FILETIME), UDF in microseconds.
    "ntfs": _FILETIME,
    "ntfs3": _FILETIME,
    "refs": _FILETIME,
    "fuse.ntfs-3g": _FILETIME,
    "fuse.lowntfs-3g": _FILETIME,
    "udf": 1e-6,
    # Nanoseconds; Linux sets them by its clock tick of at most 10 ms, which SETTLE_LOCAL covers.
    **dict.fromkeys(
        ("ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "bcachefs", "apfs", "ufs", "nilfs2"),
        _NANOSECOND,
    ),
}
"""Steps of mtimes in seconds, where format or protocol say them. Not in it is what hands on the
times of a file system that it does not name (NFS, SMB, 9p, virtiofs, ceph, mergerfs, overlay,
fuseblk): `doctor` looks at the times found there. glusterfs keeps nanoseconds that may differ
between replicas (rclone#2811)."""

ATTRIBUTE_CACHES = {
    "nfs": 60.0,  # acdirmax and acregmax of nfs(5)
    "nfs3": 60.0,
    "nfs4": 60.0,
    "cifs": 1.0,  # actimeo of mount.cifs(8)
    "smb3": 1.0,
    "fuse.sshfs": 20.0,  # dcache_timeout of sshfs(1); its options do not show in the mount table
    "sshfs": 20.0,
    "fuse.rclone": 300.0,  # --dir-cache-time of rclone mount
    "davfs": 60.0,  # dir_refresh of davfs2.conf(5)
    "fuse.davfs2": 60.0,
    "virtiofs": 1.0,  # cache=auto of virtiofsd(1)
    "glusterfs": 1.0,  # attribute-timeout of mount.glusterfs(8)
    "fuse.glusterfs": 1.0,
    "fuse.mergerfs": 1.0,  # cache.attr and cache.entry of mergerfs(1)
    "mergerfs": 1.0,
    "fuse.gcsfuse": 60.0,  # metadata-cache ttl of gcsfuse
    "fuse.s3fs": 900.0,  # stat_cache_expire of s3fs(1)
}
"""Longest life of cached attributes in seconds, the clients' defaults; `actimeo`, `acdirmax`,
`acregmax` and `noac` among the mount's options override them. None where the client is kept
coherent (ceph and lustre by locks) or asks each time (9p with its default `cache=none`)."""

SETTLE_LOCAL = 0.05
SETTLE_REMOTE = 4.0
"""Least seconds of `Mount.settle`: a clock tick of a local disk takes at most 10 ms; of a remote
or unknown mount nothing is known, and FAT behind it steps by 2 s, of which this is twice."""

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
    type_, source = right[0], _unescape(right[1])
    if type_ == "fuse" and source.startswith(("http://", "https://")):
        type_ = "davfs"  # what davfs2 is to mount(8), the kernel does not know
    return Mount(_unescape(left[4]), type_, source, _unescape(left[3]), options)


def _unescape(text: str) -> str:
    """Undo the octal escapes of the mount table."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _read_with_psutil() -> list[Mount]:
    import psutil

    return [
        Mount(
            os.path.normpath(part.mountpoint),
            # A mapped drive bears the type that its server tells Windows, mostly NTFS.
            "smb" if "remote" in part.opts.split(",") else part.fstype.lower(),
            part.device,
        )
        for part in psutil.disk_partitions(all=True)
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
        point = os.path.normcase(mount.point)
        if len(point) >= len(best.point) and (
            path == point or path.startswith(point if point.endswith(os.sep) else point + os.sep)
        ):
            best = mount
    return best


def _unc_mount(path: str) -> Mount:
    """The share that a path such as \\\\nas\\models\\loras lies on."""
    share = ntpath.splitdrive(path)[0]
    host = share[2:].partition("\\")[0].lower()
    # Windows shows the disks of WSL under these two names, by 9p.
    type_ = "9p" if host in ("wsl$", "wsl.localhost") else "smb"
    return Mount(share, type_, share.replace("\\", "/").lower())


def leads_to(
    path: str, mounts: Iterable[Mount], read_link: Callable[[str], str] = os.readlink
) -> str:
    """Where absolute `path` leads, links on local mounts followed. The first folder that is not on
    a local mount ends it, before it is touched: what lies below is for that mount's walker."""
    mounts = list(mounts)
    if mount_of(path, mounts).is_remote:
        return path
    drive, below = os.path.splitdrive(path)
    found, rest, links = drive + os.sep, _parts(below), 0
    while rest:
        part = rest.pop()
        child = os.path.dirname(found) if part == os.pardir else os.path.join(found, part)
        if mount_of(child, mounts).is_remote:
            return os.path.normpath(os.path.join(child, *reversed(rest)))
        found_link = _target(child, read_link)
        links += found_link is not None
        if found_link is None or links > MOST_LINKS:
            found = child
            continue
        if os.path.isabs(found_link):
            drive, found_link = os.path.splitdrive(found_link)
            found = drive + os.sep
        rest += _parts(found_link)
    return found


def _parts(path: str) -> list[str]:
    """The names in `path`, last one first."""
    return [part for part in reversed(path.split(os.sep)) if part not in ("", os.curdir)]


def _target(path: str, read_link: Callable[[str], str]) -> str | None:
    try:
        return read_link(path)
    except OSError:
        return None  # no link, or nothing there


MOST_LINKS = 40
"""Links on the way to one file that Linux follows before it calls them a circle."""


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
