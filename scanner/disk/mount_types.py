"""Tables of file-system types: locality, inode stability, mtime granularity, attribute caches.

Each number has its source next to it. `scanner.disk.mounts.Mount` looks them up.
"""

from __future__ import annotations

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

UNION_TYPES = frozenset(
    ("fuse.mergerfs", "mergerfs", "fuse.unionfs", "fuse.mhddfs", "fuse.bindfs",
     "fuse.fuse-overlayfs")
)  # fmt: skip
"""Views of other folders of this machine, which may be changed there as well."""

DISK_TYPES = UNION_TYPES | frozenset(
    ("fuseblk", "fuse.ntfs-3g", "fuse.lowntfs-3g", "fuse.exfat", "fuse.exfat-fuse", "fuse.ntfs",
     "ufsd", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs", "fuse.squashfuse")
)  # fmt: skip
"""Types that keep their files on this machine but answer from a process (fuseblk is ntfs-3g or
exfat-fuse), or from a driver that is not the kernel's own: such a process can die or stop, and
whoever asks then hangs in the kernel as on a network mount. So a worker of its own asks them."""

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
"""Types whose directory mtimes are never trusted (rule 5)."""

DIRECTORY_MTIME_TYPES = frozenset(
    ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "apfs", "hfs", "ntfs", "ntfs3",
     "tmpfs", "bcachefs", "ufs")
)  # fmt: skip
"""Local types whose directory mtimes POSIX semantics or NTFS promise. Nothing seen through a server
or a host is among them: exFAT may be behind it. Those have to earn it."""

_NANOSECOND = 1e-9

_FILETIME = 1e-7

GRANULARITIES = {
    # FAT counts modification times in steps of two seconds. exFAT also keeps 10 ms, but not
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

LOOKUP_TYPES = frozenset(("fuse.sshfs", "sshfs"))
"""Types where a lookup brings attributes that are at least as fresh as those of a stat: libfuse
keeps a name (entry_timeout) no longer than attributes (attr_timeout), a second each by default.
Elsewhere an option may say otherwise, and the kernel's own clients answer from their caches."""

SETTLE_LOCAL = 0.05

SETTLE_REMOTE = 4.0
"""Least seconds of `Mount.settle`: a clock tick of a local disk takes at most 10 ms; of a remote
or unknown mount nothing is known, and FAT behind it steps by 2 s, of which this is twice."""
