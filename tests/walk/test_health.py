"""A root has a state, and a walk counts only if its root stayed healthy meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scanner.core.memory import HELD, MISSING, OFFLINE, ONLINE
from scanner.core.roots import Root
from scanner.disk.filesystem import Stat
from scanner.disk.location import located
from scanner.disk.mounts import Mount
from scanner.walk.health import Health, KnownMount, examine, stayed_healthy
from scanner.workers.requests import Failed

ROOT = Root("models", "/mnt/nas/models")
BELOW = Mount("/", "ext4", "/dev/fake1")
SHARE = Mount("/mnt/nas", "cifs", "//nas/share")
OTHER_SHARE = Mount("/mnt/nas", "cifs", "//nas/other")
KNOWN = KnownMount(SHARE.point, SHARE.identity)
KNOWN_BELOW = KnownMount(BELOW.point, BELOW.identity)
FOLDER = Stat(True, 0, 1, 7, 8)
A_FILE = Stat(False, 5, 1, 7, 9)
GONE = Failed(ROOT.path, 2, "No such file or directory")
BROKEN = Failed(ROOT.path, 5, "Input/output error")


@pytest.mark.parametrize(
    ("answer", "mounts", "known", "state", "reason"),
    [
        (FOLDER, [BELOW, SHARE], KNOWN, ONLINE, ""),
        (FOLDER, [BELOW, SHARE], None, ONLINE, ""),
        # never seen: missing; seen before: offline
        (GONE, [BELOW, SHARE], None, MISSING, "No such file"),
        (GONE, [BELOW, SHARE], KNOWN, OFFLINE, "No such file"),
        (BROKEN, [BELOW, SHARE], KNOWN, OFFLINE, "Input/output error"),
        (A_FILE, [BELOW, SHARE], KNOWN, OFFLINE, "not a folder"),
        (A_FILE, [BELOW, SHARE], None, MISSING, "not a folder"),
        # unmounted: the empty mount point below answers
        (FOLDER, [BELOW], KNOWN, OFFLINE, "/mnt/nas is not mounted"),
        (GONE, [BELOW], KNOWN, OFFLINE, "/mnt/nas is not mounted"),
        (FOLDER, [], KNOWN, OFFLINE, "/mnt/nas is not mounted"),
        # another one in its place
        (FOLDER, [BELOW, OTHER_SHARE], KNOWN, HELD, "another file system"),
        (FOLDER, [BELOW, SHARE], KNOWN_BELOW, HELD, "another file system"),
        (GONE, [BELOW, OTHER_SHARE], KNOWN, OFFLINE, "No such file"),
        # hidden by a later mount on the same point, and seen through it again
        (FOLDER, [BELOW, SHARE, OTHER_SHARE], KNOWN, HELD, "another file system"),
        (FOLDER, [BELOW, OTHER_SHARE, SHARE], KNOWN, ONLINE, ""),
        # the same share mounted elsewhere as well
        (FOLDER, [BELOW, Mount("/mnt/b", "cifs", "//nas/share")], KNOWN, OFFLINE, "not mounted"),
        # accepted, or lost with the state
        (FOLDER, [BELOW, OTHER_SHARE], KnownMount(), ONLINE, ""),
        (FOLDER, [BELOW], KnownMount(), ONLINE, ""),
        (GONE, [BELOW], KnownMount(), OFFLINE, "No such file"),
    ],
)
def test_health_of_a_root(
    answer: Stat | Failed,
    mounts: list[Mount],
    known: KnownMount | None,
    state: str,
    reason: str,
) -> None:
    health = examine(located(ROOT.path, mounts), answer, mounts, known)
    assert health.state == state
    assert reason in health.reason
    assert bool(health.reason) is bool(reason)


def test_health_names_the_mount_and_the_folder_itself() -> None:
    health = examine(located(ROOT.path, [BELOW, SHARE]), FOLDER, iter([BELOW, SHARE]), KNOWN)
    assert (health.mount, health.identity) == (SHARE, (7, 8))


HEALTHY = Health(ONLINE, "", SHARE, (7, 8))


def test_folder_replaced_on_a_disk_with_stable_inodes_is_not_believed() -> None:
    local = replace(HEALTHY, mount=Mount("/mnt/nas", "ext4", "/dev/sdb1"))
    assert stayed_healthy(local, local)
    assert not stayed_healthy(local, replace(local, identity=(7, 9)))


@pytest.mark.parametrize(
    ("after", "is_believed"),
    [
        (HEALTHY, True),
        (replace(HEALTHY, state=OFFLINE), False),
        (replace(HEALTHY, state=HELD), False),
        (replace(HEALTHY, mount=OTHER_SHARE), False),
        (replace(HEALTHY, mount=BELOW), False),
        # Where inodes are not stable, a look may give another number for the same folder.
        (replace(HEALTHY, identity=(7, 9)), True),
    ],
)
def test_walk_is_believed_only_if_nothing_changed_under_it(
    after: Health, is_believed: bool
) -> None:
    assert stayed_healthy(HEALTHY, after) is is_believed
