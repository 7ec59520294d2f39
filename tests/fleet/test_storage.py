"""What several hosts see on one network mount is one file; what each has on a disk is its own."""

from __future__ import annotations

import pytest

from scanner.fleet.storage import Storages

NFS = {"path": "/comfy/models", "point": "/mnt/nas", "type": "nfs4", "source": "nas:/volume1"}
SMB = {"path": "/m", "point": "/m", "type": "cifs", "source": "//NAS/Models", "within": "/sub"}
DISK = {"path": "/comfy/models", "point": "/", "type": "ext4", "source": "/dev/sda1"}


@pytest.mark.parametrize(
    ("mounts", "path", "expected"),
    [
        ([], "/a/b", ("host:one", "/a/b")),
        ([DISK], "/comfy/models/x", ("host:one", "/comfy/models/x")),
        ([{**NFS, "path": "/mnt/nas"}], "/mnt/nas/loras/x", ("nas:/volume1", "loras/x")),
        ([{**NFS, "target": "/mnt/nas/ai"}], "/comfy/models/x", ("nas:/volume1", "ai/x")),
        ([{**NFS, "target": "../mnt/nas/ai"}], "/comfy/models/x", ("nas:/volume1", "ai/x")),
        # Why the zone is on this mount is not known: perhaps a link above it.
        ([NFS], "/comfy/models/x", ("host:one", "/comfy/models/x")),
        ([SMB], "/m/x", ("//nas/models/sub", "x")),
        ([{**SMB, "source": ""}], "/m/x", ("host:one", "/m/x")),
        # The inner zone owns its paths.
        ([{**NFS, "path": "/mnt/nas"}, {**DISK, "path": "/mnt/nas/d"}], "/mnt/nas/d/x",
         ("host:one", "/mnt/nas/d/x")),
    ],
)  # fmt: skip
def test_storage_of_a_path(
    mounts: list[dict[str, str]], path: str, expected: tuple[str, str]
) -> None:
    assert Storages({"mounts": mounts}, "one").of(path) == expected


def test_two_hosts_name_a_shared_file_alike() -> None:
    here = Storages({"mounts": [{**NFS, "path": "/mnt/nas"}]}, "one")
    there = Storages({"mounts": [{**NFS, "path": "/z", "point": "/z"}]}, "two")
    assert here.of("/mnt/nas/loras/x") == there.of("/z/loras/x")
