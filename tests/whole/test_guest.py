"""The program on the kernel's own clients, in a guest with a kernel of its own.

They take minutes, so they run only if COMFY_GUEST asks for them: `short` (`make guest-short`, which
`.ci/run` calls) tries a few in one boot, `all` (`make guest`) tries all, each in a boot of its own.
With COMFY_GUEST_REPORT=path what was observed is added to that file. Of that
`python -m tests.support.network_table` makes a table.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.guest.boot import Guest, run_python
from tests.support.guest.cells import CELLS, SHORT, clients
from tests.support.guest.scenes import EDITED, LINKED, scenes
from tests.support.network_table import guest_tables
from tests.support.real_mounts import require

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the guest has this machine's programs"),
    # One guest at a time: each is two busy processors.
    pytest.mark.xdist_group("guest"),
    pytest.mark.timeout(1200),
]

ASKED_FOR = os.environ.get("COMFY_GUEST", "")
REPORT = os.environ.get("COMFY_GUEST_REPORT")

NFS = ("rpc.nfsd", "rpc.mountd", "exportfs", "rpcbind", "mount.nfs", "mkfs.ext4")
SMB = ("smbd", "mount.cifs", "pkill", "mkfs.ext4")
PROGRAMS: dict[str, tuple[str, ...]] = {
    "NFS 3": NFS,
    "NFS 4.2": NFS,
    "SMB": SMB,
    "9p": (),
    "vfat": ("mkfs.vfat",),
    "exfat": ("mkfs.exfat",),
    "clock": ("mkfs.ext4",),
    "vfat, hour": ("mkfs.vfat",),
    "exfat, hour": ("mkfs.exfat",),
    "autofs, direct": (*NFS, "automount"),
    "autofs, indirect": (*NFS, "automount"),
    "inner export": (*NFS, "sysctl"),
    "output": NFS,
}
"""What each cell needs of this machine."""


def observe(*cells: str) -> list[dict[str, Any]]:
    """What the cells observed in one boot, all of it as it must be."""
    with Guest() as guest:
        report = guest.share / "report.json"
        arguments = ("/share/report.json", *cells)
        result = run_python(guest, "tests.support.guest.cells", *arguments, seconds=1100)
        observed = json.loads(report.read_text()) if report.exists() else []
    record(observed)
    for one in observed:
        check(one, result.output)
    assert result.code == 0, result.output
    return observed


def check(one: dict[str, Any], output: str) -> None:
    """Nothing was deleted by mistake, nothing was missed, and no state was wrong."""
    assert not one["failed"], output + one["failed"]
    assert set(one["states"]) <= set(one["states_allowed"]), one
    assert one["changes_during"] == [], one
    assert one["entries_during"] >= one["entries_before"], one
    assert one["changes_after"] == one["expected"], output
    assert one["is_same"], one
    if one["stop_code"] is not None:
        assert one["stop_code"] == one["stop_code_expected"], one
        # Two seconds, and what a start of a process takes where the processor is emulated.
        assert one["stop_seconds"] <= 2 + one["start_seconds"], one
    if one["exit_code"] is not None:
        assert one["exit_code"] == (0 if one["header"] == "online" else 3), one


def record(observed: list[dict[str, Any]]) -> None:
    """Add to the report; a case that ran before is replaced."""
    if REPORT is None:
        return
    path = Path(REPORT)
    known = json.loads(path.read_text()) if path.exists() else []
    new = {(one["fault"], one["share"]) for one in observed}
    kept = [one for one in known if (one["fault"], one["share"]) not in new]
    path.write_text(json.dumps([*kept, *observed], indent=1) + "\n")


def test_every_cell_is_tried() -> None:
    assert {*PROGRAMS, *SHORT} == set(CELLS)


def test_what_was_not_run_is_named_in_the_table_and_not_left_out() -> None:
    text, _, rest = guest_tables([]).partition("\n\n")
    header, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines()]
    assert header[1:] == [client.name for client in clients()]
    for client, column in zip(clients(), range(1, len(header)), strict=True):
        not_run = {row[0] for row in rows if row[column] == "not run"}
        assert not_run == set(scenes(client)), client.name
    for cell in {*PROGRAMS} - {*header}:
        assert f"| {cell} | not run |" in rest


@pytest.mark.skipif(ASKED_FOR != "short", reason="takes minutes: COMFY_GUEST=short runs it")
def test_nfs_smb_and_vfat_lose_nothing_and_recover_by_themselves() -> None:
    require(*NFS, *SMB, "mkfs.vfat")
    observed = observe(*SHORT)
    assert [(one["share"], one["fault"]) for one in observed] == [
        ("NFS 4.2", EDITED),
        ("NFS 4.2", "server stopped"),
        ("NFS 4.2", "server stopped" + LINKED),
        ("SMB", "server killed"),
        ("SMB", "server killed" + LINKED),
        ("vfat", EDITED),
        ("vfat", "another disk in its place"),
    ]


@pytest.mark.skipif(ASKED_FOR != "all", reason="takes minutes: `make guest` runs it")
@pytest.mark.parametrize("cell", PROGRAMS)
def test_every_fault_on_every_kernel_client(cell: str) -> None:
    require(*PROGRAMS[cell])
    assert observe(cell)
