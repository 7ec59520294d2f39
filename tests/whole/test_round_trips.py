"""What a scan asks a server, counted on real mounts: one question a folder, one a file.

Those on the kernel's own clients take minutes and run only with COMFY_GUEST=all (`make guest`).
With COMFY_ROUND_TRIPS=path what was counted there is added to that file.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.network import build_tree
from benchmarks.round_trips import BY_PATH, UNCHANGED, VERIFICATION, CountedEngine, Step, steps_on
from tests.support.guest.boot import Guest, run_python
from tests.support.guest.round_trips import KINDS, UNCACHED
from tests.support.real_mounts import SshfsMount, require
from tests.whole.test_guest import NFS, SMB

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="sshfs and the guest are Linux'"),
]

FILES = 1_000
REPORT = os.environ.get("COMFY_ROUND_TRIPS")


def test_sshfs_is_asked_once_for_each_folder_and_once_for_each_file(tmp_path: Path) -> None:
    folders = build_tree(tmp_path / "server", FILES)
    with SshfsMount(tmp_path / "server", tmp_path / "mount") as mount:
        steps = {
            step.name: step
            for step in steps_on(
                "sshfs", mount.point, lambda: mount.requests, cache_seconds=0, has_find=False
            )
        }
    assert steps[UNCHANGED].things == folders
    # A scan lists one folder in its turn, and looks at the root before and after.
    assert steps[UNCHANGED].each <= 1.25
    assert steps[BY_PATH].each > 2.5, "the caches are not off: this test proves nothing"
    # Each file once; each folder is opened by its path and stat-ed twice besides.
    assert steps[VERIFICATION].requests["LSTAT"] <= steps[VERIFICATION].things + 4 * folders


def test_sshfs_can_be_unmounted_between_scans(tmp_path: Path) -> None:
    build_tree(tmp_path / "server", 100)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    with SshfsMount(tmp_path / "server", tmp_path / "mount") as mount:
        engine = CountedEngine(outputs, mount.point)
        try:
            engine.learn()
            engine.scan_later()
            mount.unmount()  # raises OSError where something of ours keeps it busy
            assert mount.identity is None
        finally:
            engine.close()


def test_change_shows_in_the_next_scan_of_sshfs(tmp_path: Path) -> None:
    """The times that a lookup brings are the server's, and not those of an earlier one."""
    build_tree(tmp_path / "server", 200)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    changed = tmp_path / "server" / "category_03" / "folder_0003"
    with SshfsMount(tmp_path / "server", tmp_path / "mount") as mount:
        engine = CountedEngine(outputs, mount.point)
        try:
            engine.learn()
            for number in range(3):
                (changed / f"new_{number}").write_bytes(b"")
                os.utime(changed, (number, number))
                engine.scan_later()
                names = engine.store.snapshot[str(mount.point / changed.relative_to(mount.source))]
                assert f"new_{number}" in names.listing.split_names()
        finally:
            engine.close()


@pytest.mark.skipif(
    os.environ.get("COMFY_GUEST") != "all", reason="takes minutes: `make guest` runs it"
)
@pytest.mark.xdist_group("guest")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", KINDS)
def test_kernel_clients_ask_once_for_each_folder_and_once_for_each_file(name: str) -> None:
    require(*(SMB if name.startswith("SMB") else NFS))
    with Guest() as guest:
        report = guest.share / "report.json"
        arguments = ("/share/report.json", name)
        result = run_python(guest, "tests.support.guest.round_trips", *arguments, seconds=1100)
        found = json.loads(report.read_text()) if report.exists() else []
    assert result.code == 0, result.output
    _record(found)
    steps = {one["name"]: Step(**_values(one)) for one in found}
    if name in UNCACHED:
        # These ask several times for one stat; the way to the folder is not asked for again.
        assert steps[UNCHANGED].each <= 0.75 * steps[BY_PATH].each
    else:
        assert steps[UNCHANGED].each <= 1.25
        assert steps[VERIFICATION].each <= 1.25


def _values(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "each"}


def _record(found: list[dict[str, Any]]) -> None:
    if REPORT is not None:
        path = Path(REPORT)
        known = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*known, *found], indent=1) + "\n")
