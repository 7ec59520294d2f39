"""The mount table: what it says of a path, and what names a mount for good."""

from __future__ import annotations

import builtins
import errno
import io
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from scanner.core.mount_identity import MountIdentity
from scanner.core.paths import is_below
from scanner.disk import mounts
from scanner.disk.mount_types import (
    ATTRIBUTE_CACHES,
    DIRECTORY_MTIME_TYPES,
    DISK_TYPES,
    FAT_TYPES,
    GRANULARITIES,
    HOST_TYPES,
    LOCAL_TYPES,
    NETWORK_TYPES,
    STABLE_INODE_TYPES,
    STALE_DIRECTORY_TYPES,
)
from scanner.disk.mounts import UNKNOWN, Mount, mount_of, read_mounts
from scanner.errors import InventoryError

pytestmark = pytest.mark.skipif(os.sep != "/", reason="POSIX paths")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts lines into the mount table, or an error in its place."""
    real = builtins.open

    def put(content: bytes | OSError) -> None:
        def opened(path: Any, *args: Any, **values: Any) -> Any:
            if path != "/proc/self/mountinfo":
                return real(path, *args, **values)
            if isinstance(content, OSError):
                raise content
            return io.BytesIO(content)

        monkeypatch.setattr(builtins, "open", opened)

    return put


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "28 1 252:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro",
            Mount("/", "ext4", "/dev/vda1", "/"),
        ),
        # no optional fields, and several
        (
            "36 28 0:32 / /mnt/nas rw - cifs //nas/share rw",
            Mount("/mnt/nas", "cifs", "//nas/share"),
        ),
        (
            "36 28 0:32 / /m rw shared:1 master:2 propagate_from:3 - nfs4 nas:/v1 rw",
            Mount("/m", "nfs4", "nas:/v1"),
        ),
        # a bind mount, a sub-volume
        (
            "40 28 8:2 /data/models /models rw - xfs /dev/sdb2 rw",
            Mount("/models", "xfs", "/dev/sdb2", "/data/models"),
        ),
        (
            "41 28 0:40 /@home /home rw - btrfs /dev/sda1 rw",
            Mount("/home", "btrfs", "/dev/sda1", "/@home"),
        ),
        # escapes: space, tab, newline, backslash, and a backslash before digits
        (
            r"42 28 0:41 / /mnt/My\040Models rw - cifs //nas/My\040Share rw",
            Mount("/mnt/My Models", "cifs", "//nas/My Share"),
        ),
        (
            r"43 28 0:42 /a\011b /mnt/a\012b rw - ext4 /dev/c rw",
            Mount("/mnt/a\nb", "ext4", "/dev/c", "/a\tb"),
        ),
        (
            r"44 28 0:43 / /mnt/a\134b rw - ext4 /dev/c rw",
            Mount("/mnt/a\\b", "ext4", "/dev/c"),
        ),
        (
            r"45 28 0:44 / /mnt/a\134040b rw - ext4 /dev/c rw",
            Mount("/mnt/a\\040b", "ext4", "/dev/c"),
        ),
        # a source without a name, and one with a dash
        ("46 28 0:45 / /tmp rw - tmpfs  rw", Mount("/tmp", "tmpfs", "")),
        (
            r"47 28 0:46 / /mnt/a\040-\040b rw - fuse.rclone my-drive: rw",
            Mount("/mnt/a - b", "fuse.rclone", "my-drive:"),
        ),
        # WSL
        (
            r"48 28 0:47 / /mnt/c rw - 9p C:\134 rw,aname=drvfs",
            Mount("/mnt/c", "9p", "C:\\"),
        ),
    ],
)
def test_line_of_the_table(table: Any, line: str, expected: Mount) -> None:
    table(line.encode() + b"\n")
    assert [mount[:4] for mount in read_mounts()] == [expected[:4]]


@pytest.mark.parametrize(
    "name", [b"caf\xe9", b"\xff", b"cr\rx", b"\r", b"\x85\x0b\x1c", b"\xc3\xa9"]
)
def test_every_name_of_a_mount_point_survives(table: Any, name: bytes) -> None:
    table(b"1 0 0:1 / /mnt/" + name + b" rw - ext4 /dev/" + name + b" rw\n")
    (mount,) = read_mounts()
    assert os.fsencode(mount.point) == b"/mnt/" + name
    assert os.fsencode(mount.source) == b"/dev/" + name


def test_escaped_bytes_are_those_of_the_name(table: Any) -> None:
    table(rb"1 0 0:1 / /mnt/caf\303\251 rw - ext4 /dev/c rw")
    assert [mount.point for mount in read_mounts()] == ["/mnt/caf\u00e9"]


def test_lines_that_make_no_sense_are_passed_over(table: Any) -> None:
    table(b"\nnonsense\n1 0 0:1 / / rw shared:1\n1 0 - x\n1 0 0:1 / /a rw - ext4 /dev/c rw\n")
    assert [mount.point for mount in read_mounts()] == ["/a"]


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        # a mount over the folder above hides what is below, and is seen
        ("21 1 / ext4|30 21 /mnt/nas tmpfs|31 21 /mnt ext4", "ext4 / ext4 /mnt"),
        # the same two made in the other order
        ("21 1 / ext4|31 21 /mnt ext4|30 31 /mnt/nas tmpfs", "ext4 / ext4 /mnt tmpfs /mnt/nas"),
        # on one point the last one made counts, wherever it stands in the table
        ("21 1 / ext4|31 30 /mnt xfs|30 21 /mnt nfs", "ext4 / xfs /mnt"),
        ("21 1 / ext4|30 21 /mnt nfs|31 21 /mnt xfs", "ext4 / xfs /mnt"),
        # what lies on the hidden one is hidden as well
        ("21 1 / ext4|30 21 /a nfs|31 30 /a/b xfs|32 30 /a tmpfs", "ext4 / tmpfs /a"),
        # a root over the root
        ("1 1 / rootfs|21 1 / ext4|30 21 /mnt nfs|31 1 /old xfs", "ext4 / nfs /mnt"),
        # without a root, as after chroot
        ("30 21 /mnt nfs|31 30 /mnt/a xfs", "nfs /mnt xfs /mnt/a"),
        # an automounter stays below what it mounted, and not below another mount
        ("21 1 / ext4|31 30 /m nfs|30 21 /m autofs", "autofs /m ext4 / nfs /m"),
        ("21 1 / ext4|30 21 /a/m autofs|31 21 /a nfs", "ext4 / nfs /a"),
        # names that only begin alike
        ("21 1 / ext4|30 21 /mnt nfs|31 21 /mnt2 xfs", "ext4 / nfs /mnt xfs /mnt2"),
    ],
)
def test_a_mount_that_another_one_hides_is_not_seen(table: Any, lines: str, seen: str) -> None:
    text = ""
    for line in lines.split("|"):
        number, parent, point, type_ = line.split()
        text += f"{number} {parent} 0:1 / {point} rw - {type_} x rw\n"
    table(text.encode())
    assert " ".join(f"{mount.type} {mount.point}" for mount in read_mounts()) == seen


def test_source_with_a_number_sign(table: Any) -> None:
    table(rb"1 0 0:1 / /mnt rw - cifs //nas/a\043b rw" + b"\n")
    assert [mount.source for mount in read_mounts()] == ["//nas/a#b"]


def test_own_table_can_be_read_and_knows_the_root() -> None:
    assert mount_of("/", read_mounts()).point == "/"


def test_without_a_table_the_system_is_asked(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table(FileNotFoundError(2, "none"))
    parts = [
        SimpleNamespace(mountpoint="/", fstype="apfs", device="/dev/disk1s1", opts="rw"),
        SimpleNamespace(
            mountpoint="/Volumes/Nas/", fstype="SMBFS", device="//me@nas/share", opts="rw"
        ),
    ]
    asked: list[bool] = []

    def disk_partitions(all: bool = False) -> list[Any]:
        asked.append(all)
        return parts

    monkeypatch.setattr(psutil, "disk_partitions", disk_partitions)
    assert [mount[:3] for mount in read_mounts()] == [
        ("/", "apfs", "/dev/disk1s1"),
        ("/Volumes/Nas", "smbfs", "//me@nas/share"),
    ]
    assert asked == [True]  # network mounts are among them only then


# Which mount


MOUNTS = [
    Mount("/", "ext4", "root"),
    Mount("/mnt", "tmpfs", "mnt"),
    Mount("/mnt/nas", "cifs", "first"),
    Mount("/mnt/nas", "cifs", "second"),
    Mount("/mnt/nas/deep/er", "nfs", "deep"),
]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/", "root"),
        ("/home/u", "root"),
        ("/mnt", "mnt"),
        ("/mnt/x", "mnt"),
        ("/mntx", "root"),  # by components
        ("/mnt/nasty", "mnt"),
        ("/mnt/nas", "second"),  # the last one hides the others
        ("/mnt/nas/deep", "second"),
        ("/mnt/nas/deep/er/x/y", "deep"),
    ],
)
def test_longest_mount_point_wins(path: str, source: str) -> None:
    assert mount_of(path, MOUNTS).source == source
    assert mount_of(path, [*MOUNTS[1:], MOUNTS[0]]).source == source  # wherever / stands


def test_path_without_a_mount_is_unknown_and_taken_for_remote() -> None:
    assert mount_of("/x", []) == UNKNOWN
    assert mount_of("/x", [Mount("/y", "ext4", "y")]) == UNKNOWN
    assert UNKNOWN.is_remote
    assert not UNKNOWN.has_stable_inodes


# Kinds


@pytest.mark.parametrize(
    ("name", "is_remote", "has_stable_inodes"),
    [
        ("ext4", False, True),
        ("xfs", False, True),
        ("btrfs", False, True),
        ("APFS", False, True),
        ("overlay", False, False),
        ("ntfs3", False, False),
        ("exfat", False, False),
        ("vfat", False, False),
        ("cifs", True, False),
        ("nfs4", True, False),
        ("smbfs", True, False),
        ("9p", True, False),
        ("fuse.sshfs", True, False),
        ("fuse.mergerfs", True, False),
        ("fuseblk", True, False),
        ("virtiofs", True, False),
        ("autofs", True, False),
        ("something new", True, False),
    ],
)
def test_kinds_of_file_systems(name: str, is_remote: bool, has_stable_inodes: bool) -> None:
    mount = Mount("/x", name, "y")
    assert (mount.is_remote, mount.has_stable_inodes) == (is_remote, has_stable_inodes)


def test_every_type_with_stable_inodes_is_local() -> None:
    assert STABLE_INODE_TYPES <= LOCAL_TYPES


# Identity


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """UUIDs of block devices, by UUID; without any, there is no folder of them."""
    found: dict[str, str] = {}
    real = os.path.realpath

    def listdir(path: str) -> list[str]:
        if not found:
            raise FileNotFoundError(2, "none", path)
        return list(found)

    def realpath(path: str) -> str:
        return found.get(os.path.basename(path), path) if path.startswith("/dev/") else real(path)

    monkeypatch.setattr(mounts.os, "listdir", listdir)  # type: ignore[attr-defined]
    monkeypatch.setattr(mounts.os.path, "realpath", realpath)  # type: ignore[attr-defined]
    return found


def test_disk_is_known_again_under_another_device_name(disks: dict[str, str]) -> None:
    disks |= {"1111": "/dev/sda1", "2222": "/dev/sdb1"}
    before = Mount("/mnt/disk", "ext4", "/dev/sdb1").identity
    disks |= {"1111": "/dev/sdb1", "2222": "/dev/sda1"}
    assert Mount("/mnt/disk", "ext4", "/dev/sda1").identity.is_same(before)
    assert not Mount("/mnt/disk", "ext4", "/dev/sdb1").identity.is_same(before)


def test_disk_is_the_same_when_its_uuid_is_known_only_later(disks: dict[str, str]) -> None:
    before = Mount("/mnt/disk", "ext4", "/dev/sdb1").identity
    disks["2222"] = "/dev/sdb1"
    after = Mount("/mnt/disk", "ext4", "/dev/sdb1").identity
    assert before.is_same(after) and after.is_same(before)
    assert not Mount("/mnt/disk", "ext4", "/dev/sdc1").identity.is_same(before)


def test_disk_without_a_uuid_is_known_by_its_device(disks: dict[str, str]) -> None:
    without_folder = Mount("/mnt/disk", "ext4", "/dev/sdb1").identity
    assert "/dev/sdb1" in without_folder
    disks["1111"] = "/dev/sda1"
    assert Mount("/mnt/disk", "ext4", "/dev/sdb1").identity == without_folder


@pytest.mark.parametrize(
    "other",
    [
        Mount("/mnt/nas", "nfs", "//nas/share", "/"),
        Mount("/mnt/nas", "cifs", "//nas/other", "/"),
        Mount("/mnt/nas", "cifs", "//nas/share", "/models"),
    ],
)
def test_type_source_and_path_within_make_the_identity(other: Mount) -> None:
    assert not other.identity.is_same(Mount("/mnt/nas", "cifs", "//nas/share").identity)


def test_share_mounted_elsewhere_is_the_same_share() -> None:
    assert (
        Mount("/mnt/a", "cifs", "//nas/share").identity
        == Mount("/mnt/b", "cifs", "//nas/share").identity
    )


def test_device_number_is_no_part_of_the_identity(table: Any) -> None:
    """It changes over reboots and reconnections."""
    identities = set()
    for number in ("0:32", "0:57", "259:3"):
        table(f"36 28 {number} / /mnt/nas rw - cifs //nas/share rw\n".encode())
        identities.add(read_mounts()[0].identity)
    assert identities == {MountIdentity("cifs", "//nas/share", "/")}


# What types are known for


@pytest.mark.parametrize(
    ("name", "place", "events", "trust"),
    [
        ("ext4", "disk", "all", True),
        ("NTFS", "disk", "all", True),
        ("exfat", "disk", "all", False),
        ("vfat", "disk", "all", False),
        ("fuseblk", "disk", "all", None),
        ("fuse.mergerfs", "disk", "own", False),
        ("fuse.fuse-overlayfs", "disk", "own", None),
        ("nfs", "network", "own", None),
        ("nfs4", "network", "own", None),
        ("cifs", "network", "own", None),
        ("smb3", "network", "own", None),
        ("smbfs", "network", "own", None),
        ("afpfs", "network", "own", None),
        ("webdav", "network", "own", None),
        ("davfs", "network", "own", None),
        ("fuse.sshfs", "network", "own", None),
        ("fuse.rclone", "network", "own", False),
        ("fuse.s3fs", "network", "own", False),
        ("ceph", "network", "own", None),
        ("fuse.glusterfs", "network", "own", None),
        ("lustre", "network", "own", None),
        ("9p", "host", "own", None),
        ("v9fs", "host", "own", None),
        ("drvfs", "host", "own", None),
        ("virtiofs", "host", "own", None),
        ("something new", "unknown", "unknown", None),
    ],
)
def test_what_a_type_is_known_for(name: str, place: str, events: str, trust: bool | None) -> None:
    """`trust`: directory mtimes work, never do, or have to be seen working."""
    mount = Mount("/x", name, "y")
    assert (mount.locality, mount.events) == (place, events)
    assert mount.moves_directory_mtimes == (trust is True)
    assert mount.never_moves_directory_mtimes == (trust is False)


def test_bindfs_is_a_view_of_a_folder_of_this_computer() -> None:
    bindfs, other = Mount("/x", "fuse", "/srv/models"), Mount("/x", "fuse", "models")
    assert (bindfs.locality, bindfs.events, bindfs.is_remote) == ("disk", "own", True)
    assert (other.locality, other.events, other.is_remote) == ("unknown", "unknown", True)


def test_tables_agree_with_each_other() -> None:
    assert not LOCAL_TYPES & (DISK_TYPES | HOST_TYPES | NETWORK_TYPES)
    assert not DISK_TYPES & (HOST_TYPES | NETWORK_TYPES)
    assert not HOST_TYPES & NETWORK_TYPES
    assert DIRECTORY_MTIME_TYPES <= LOCAL_TYPES
    assert not DIRECTORY_MTIME_TYPES & STALE_DIRECTORY_TYPES
    assert FAT_TYPES <= STALE_DIRECTORY_TYPES
    known = LOCAL_TYPES | DISK_TYPES | HOST_TYPES | NETWORK_TYPES
    assert known >= STALE_DIRECTORY_TYPES | GRANULARITIES.keys() | ATTRIBUTE_CACHES.keys()
    assert all(name == name.lower() for name in known)


@pytest.mark.parametrize(
    ("name", "options", "settle"),
    [
        ("ext4", "rw", 0.05),
        ("ext3", "rw", 2.0),
        ("exfat", "rw", 4.0),
        ("something new", "", 4.0),
        ("9p", "rw,aname=drvfs;path=C:", 4.0),
        ("cifs", "rw,actimeo=1", 4.0),
        ("cifs", "rw,actimeo=30", 30.0),
        ("nfs4", "rw", 60.0),
        ("nfs4", "rw,noac", 4.0),
        ("nfs4", "rw,actimeo=5", 5.0),
        ("nfs4", "rw,acregmax=5", 60.0),  # acdirmax keeps its default
        ("nfs4", "rw,acregmax=5,acdirmax=7", 7.0),
        ("fuse.sshfs", "rw,user_id=0", 20.0),
        ("fuse.rclone", "rw", 300.0),
    ],
)
def test_settle_covers_steps_and_caches(name: str, options: str, settle: float) -> None:
    assert Mount("/x", name, "y", options=options).settle == settle


def test_steps_are_known_by_format_or_protocol_only() -> None:
    assert Mount("/x", "vfat", "y").known_granularity == 2.0
    assert Mount("/x", "fuse.sshfs", "y").known_granularity == 1.0
    assert Mount("/x", "ext4", "y").known_granularity == 1e-9
    assert Mount("/x", "cifs", "y").known_granularity is None
    assert Mount("/x", "cifs", "y").granularity == 0.0


def test_webdav_is_known_by_its_address(table: Any) -> None:
    table(b"1 0 0:1 / /dav rw - fuse https://me:secret@nas/dav rw\n2 0 0:2 / /f rw - fuse x rw\n")
    dav, other = read_mounts()
    assert (dav.type, other.type) == ("davfs", "fuse")
    assert dav.shown_source == "https://me@nas/dav"
    assert Mount("/x", "smbfs", "//me:secret@nas/share").shown_source == "//me@nas/share"
    assert Mount("/x", "cifs", "//nas/share").shown_source == "//nas/share"


def test_windows_drives_are_known_in_wsl() -> None:
    assert Mount("/mnt/c", "drvfs", "C:").is_windows_drive
    assert Mount("/mnt/c", "9p", "C:\\", options="rw,aname=drvfs;path=C:\\").is_windows_drive
    assert not Mount("/mnt/host", "9p", "share", options="rw,trans=virtio").is_windows_drive


def test_mapped_drive_of_windows_is_remote(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table(FileNotFoundError(2, "none"))
    parts = [
        SimpleNamespace(mountpoint="C:\\", fstype="NTFS", device="C:\\", opts="rw,fixed"),
        SimpleNamespace(mountpoint="Z:\\", fstype="NTFS", device="Z:\\", opts="rw,remote"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all=False: parts)
    assert [(m.type, m.is_remote) for m in read_mounts()] == [("ntfs", False), ("smb", True)]


def test_share_without_a_letter_is_remote() -> None:
    mount = mount_of("\\\\Nas\\Models\\loras", [Mount("/", "ext4", "root")])
    assert mount == Mount("\\\\Nas\\Models", "smb", "//nas/models")
    assert mount_of("\\\\wsl$\\Debian\\home", []).type == "9p"


def test_a_real_mount_over_the_folder_above_another(tmp_path: Path) -> None:
    inner, above = tmp_path / "a" / "b", tmp_path / "a"
    inner.mkdir(parents=True)
    mounted = []
    try:
        for point in (inner, above):
            made = subprocess.run(
                ["mount", "-t", "tmpfs", "x", str(point)], capture_output=True, check=False
            )
            if made.returncode:
                pytest.skip("only root may mount")
            mounted.append(point)
        seen = [m.point for m in read_mounts() if is_below(m.point, str(tmp_path))]
        assert seen == [str(above)]
        assert mount_of(str(inner), read_mounts()).point == str(above)
    finally:
        for point in reversed(mounted):
            subprocess.run(["umount", str(point)], check=True)
    assert not [m for m in read_mounts() if is_below(m.point, str(tmp_path))]


def test_no_mount_table_at_all_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /proc is not mounted."""
    import psutil

    def fails(**_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/filesystems")

    monkeypatch.setattr(psutil, "disk_partitions", fails)
    assert mounts._read_with_psutil() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
def test_a_mount_table_that_cannot_be_read_now_is_not_an_empty_one(table: Any, number: int) -> None:
    """With an empty one every folder would seem to live on another mount than before."""
    table(OSError(number, os.strerror(number)))
    with pytest.raises(InventoryError, match=os.strerror(number)):
        read_mounts()


@pytest.mark.parametrize(
    ("told", "format_", "is_never_trusted", "granularity"),
    [
        ("E:ID_FS_UUID=FB7F\nE:ID_FS_TYPE=exfat\nE:ID_FS_USAGE=filesystem\n", "exfat", True, 2.0),
        ("E:ID_FS_TYPE=ntfs\n", "ntfs", False, 1e-7),
        ("E:ID_FS_UUID=FB7F\n", "fuseblk", False, None),
        (None, "fuseblk", False, None),
    ],
)
def test_a_fuseblk_mount_is_what_udev_found_on_its_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: str | None,
    format_: str,
    is_never_trusted: bool,
    granularity: float | None,
) -> None:
    """exFAT is never trusted (rule 5), also where a process serves it."""
    device = os.stat(os.devnull).st_rdev
    monkeypatch.setattr(mounts, "_UDEV", str(tmp_path))
    if told is not None:
        (tmp_path / f"b{os.major(device)}:{os.minor(device)}").write_text(told)
    mount = Mount("/media/usb", "fuseblk", os.devnull)
    assert mount.format == format_
    assert mount.never_moves_directory_mtimes is is_never_trusted
    assert mount.known_granularity == granularity
    assert mount.is_remote, "a process serves it, and may hang"
    assert mount.identity.type == "fuseblk", "the mount itself is the same as before"
    assert Mount("/", "ext4", os.devnull).format == "ext4"
