"""Two mounts are the same file system if what both are known by says so (rule 2)."""

from __future__ import annotations

import pytest

from scanner.core.mount_identity import MountIdentity, identity_from

DISK = MountIdentity("ext4", "/dev/sdb1", "/", uuid="1111", fsid="a1")
POOL = MountIdentity("fuse.mergerfs", "1:2", "/")
SHARE = MountIdentity("cifs", "//nas/share", "/")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (DISK, DISK, True),
        (DISK, DISK._replace(source="/dev/sdc1"), True),  # another name, the same UUID
        (DISK, DISK._replace(uuid=""), True),  # no udev (yet)
        (DISK._replace(uuid=""), DISK._replace(source="/dev/sdc1", uuid=""), True),
        (DISK._replace(uuid="", fsid=""), DISK._replace(fsid=""), True),
        (DISK, DISK._replace(uuid="2222"), False),  # another disk under the same name
        (DISK._replace(uuid=""), DISK._replace(fsid="b2"), False),
        (DISK._replace(uuid="", fsid=""), DISK._replace(source="/dev/sdc1", fsid=""), False),
        (DISK, DISK._replace(type="xfs"), False),
        (DISK, DISK._replace(within="/models"), False),
        (SHARE, SHARE, True),
        (SHARE, SHARE._replace(source="//nas/other"), False),
        # All that an old inventory says is the type.
        (SHARE, MountIdentity("cifs"), True),
        (SHARE, MountIdentity("ext4"), False),
        # A pool gets a disk.
        (POOL, POOL._replace(source="1:2:3"), True),
    ],
)
def test_same_file_system(one: MountIdentity, other: MountIdentity, is_same: bool) -> None:
    assert one.is_same(other) is is_same
    assert other.is_same(one) is is_same


def test_uuid_that_is_not_named_for_a_moment_is_kept() -> None:
    assert DISK._replace(uuid="", fsid="").completed_by(DISK) == DISK
    renamed = DISK._replace(source="/dev/sdc1", fsid="")
    assert renamed.completed_by(DISK) == renamed._replace(fsid=DISK.fsid)
    other = DISK._replace(uuid="2222", fsid="")
    assert other.completed_by(DISK) == other
    assert DISK.completed_by(None) == DISK


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("", None),
        ("ext4 uuid=1234 /", MountIdentity("ext4", "", "/", uuid="1234")),
        ("ext4 /dev/sda1 /a b", MountIdentity("ext4", "/dev/sda1", "/a b")),
        ("cifs //nas/my share /x", MountIdentity("cifs", "//nas/my share", "/x")),
        ("davfs https://me:secret@h/a /", MountIdentity("davfs", "https://me@h/a", "/")),
        ("btrfs /dev/sda1 /@home", MountIdentity("btrfs", "/dev/sda1", "/@home")),
    ],
)
def test_identities_that_older_states_hold_are_read(
    text: str, identity: MountIdentity | None
) -> None:
    assert identity_from(text) == identity


@pytest.mark.parametrize("identity", [DISK, SHARE, MountIdentity("x", "a\udcff\n", "/ /")])
def test_identity_is_kept_as_it_is(identity: MountIdentity) -> None:
    assert identity_from(identity.as_text()) == identity


@pytest.mark.parametrize("text", ["[", "[]", "[1]", '["a","b","c","d","e","f"]'])
def test_damaged_identity_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        identity_from(text)
