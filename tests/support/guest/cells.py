"""The program on the guest's mounts, while their servers stop, go, and come back.

    python -m tests.support.guest.cells REPORT CELL...

runs inside the guest, and adds to REPORT what it observed. `SMB=unmounted=server killed` as a CELL
plays these scenes alone. Each cell waits for conditions, never for a number of seconds, since the
guest is slow.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.support.guest.clients import Automounted, Client, Disk, Nfs, Plan9, Smb
from tests.support.guest.program import Cell, Observations, Observed, fill, start_seconds
from tests.support.guest.scenes import EDITED, finish, mount_cell
from tests.support.guest.servers import DISK, POINT, do, mount_image, mounted, remove, set_clock
from tests.support.machine import wait_for, write


class Report:
    """What was observed so far, in a file that is whole at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._observed: list[Observed] = []

    def add(self, observed: Observed) -> None:
        self._observed.append(observed)
        made = self._path.with_suffix(".new")
        made.write_text(json.dumps([asdict(one) for one in self._observed], indent=1))
        made.rename(self._path)
        print(f"{time.monotonic():6.1f} s: {asdict(observed)}", flush=True)


def zone_cell(kind: str) -> Observations:
    """The clocks of a zone go forward by an hour, and with them all times of a FAT disk."""
    client = Disk(kind)
    client.start()
    client.unmount()
    client.mount("time_offset=60")
    cell = Cell(kind, POINT, start_seconds())
    fill(cell.models)
    observed = Observed("the zone's hour changes", kind, ["online"], ["online"])
    assert cell.scan() == 0
    observed.entries_before = len(cell.entries())
    client.unmount()
    client.mount("time_offset=120")
    observed.exit_code = cell.scan()
    observed.header = cell.header_state()
    observed.entries_during = len(cell.entries())
    observed.changes_after = cell.told(1)
    yield observed


def clock_cell() -> Observations:
    """A clock that starts in 1970, is set right, and later goes three days back."""
    now = time.time()
    set_clock(86_460)
    point = Path("/guest/disk")
    mount_image(Path("/guest/disk.img"), point)
    cell = Cell("local disk", point, start_seconds())
    fill(cell.models)
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "the first scan")
    for fault, clock in (
        ("the clock stands in 1970", None),
        ("the clock is set right", now + 60),
        ("the clock goes three days back", now - 3 * 86_400),
    ):
        observed = Observed(fault, cell.name, states_allowed=["online"])
        before = cell.machine.status()["scan"]
        observed.entries_before = len(cell.entries())
        if clock is not None:
            set_clock(clock)
        name = fault.replace(" ", "_")
        started = time.monotonic()
        write(cell.models / "d0" / name, fault)
        cell.running.wait_for(lambda: cell.told(before), f"{name} reported")  # noqa: B023
        observed.recovery_seconds = time.monotonic() - started
        cell.next_scans()
        observed.states, observed.header = [cell.state()], cell.header_state()
        observed.expected = [f"created d0/{name}"]
        observed.changes_after = cell.told(before)
        observed.entries_during = observed.entries_before
        observed.is_same = cell.is_same()
        yield observed
    cell.end()


def automount_cell(*, is_direct: bool) -> Observations:
    """One-shot scans of a mount that is made when somebody looks, and is gone when it is idle."""
    client = Automounted(is_direct)
    start = start_seconds()
    client.start()
    fill(DISK / "models")
    cell = Cell(client.name, client.point, start)
    observed = Observed("unmounted when idle", cell.name, states_allowed=["online"])
    observed.exit_code = cell.scan()
    observed.states = [cell.header_state()]
    observed.entries_before = len(cell.entries())
    wait_for(lambda: not mounted("nfs4"), "that it is idle")
    client.server.write("models/d0/new.safetensors", "new")
    observed.exit_code = cell.scan()
    observed.states += [cell.header_state()]
    observed.header = cell.header_state()
    observed.entries_during = len(cell.entries())
    observed.changes_after = cell.told(1)
    observed.expected = ["created d0/new.safetensors"]
    yield observed


def inner_export_cell() -> Observations:
    """An export inside an export: the client mounts it when somebody looks, and lets go of it."""
    client = Nfs("4.2", "no_root_squash,crossmnt")
    start = start_seconds()
    client.start()
    fill(POINT / "models")
    inner = DISK / "models" / "loras"
    mount_image(Path("/guest/inner.img"), inner)
    do("exportfs", "-ra")
    fill(inner)
    do("sysctl", "-q", "-w", "fs.nfs.nfs_mountpoint_timeout=15")
    cell = Cell("NFS 4.2", POINT, start)
    observed = Observed("export inside the export unmounted when idle", cell.name)
    observed.states_allowed = ["online"]
    # The server may need some seconds to know that there is an export: it is an empty folder then.
    wait_for(lambda: not cell.scan() and inner_is_known(cell), "that the inner export is known")
    observed.entries_before = len(cell.entries())
    wait_for(lambda: len(mounted("nfs4")) == 1, "that the inner export is idle")
    client.server.write("models/loras/d0/new.safetensors", "new")
    before = cell.last_scan()
    observed.exit_code = cell.scan()
    observed.states = [cell.header_state()]
    observed.header = cell.header_state()
    observed.entries_during = len(cell.entries())
    observed.changes_after = cell.told(before)
    observed.expected = ["created loras/d0/new.safetensors"]
    yield observed


def inner_is_known(cell: Cell) -> bool:
    return any("/loras/" in path for path in cell.entries())


def output_cell() -> Observations:
    """The inventory lies on the mount that hangs, and nothing that is scanned does."""
    client = Nfs("4.2")
    start = start_seconds()
    client.start()
    cell = Cell(client.name, POINT, start)
    cell.models = cell.local
    cell.roots = ("--extra", cell.local, "--output", POINT / "out" / "inventory.json")
    cell.machine.output = POINT / "out" / "inventory.json"
    cell.machine.output.parent.mkdir()
    cell.begin()
    cell.running.wait_for(cell.machine.output.exists, "the inventory on the mount")
    cell.running.wait_for(cell.is_of_this_run, "the first scan")
    observed = Observed("output on the mount, server stopped", cell.name)
    # It says that not all could be written.
    observed.stop_code_expected = 5
    observed.entries_before = observed.entries_during = len(cell.entries())
    before = cell.machine.status()["scan"]
    client.stop_serving()
    write(cell.local / "more.safetensors", "more")
    time.sleep(4 * start)  # until a write hangs: nothing here may look at the mount
    try:
        cell.stop(observed)
    except AssertionError as error:
        observed.failed = str(error)
    started = time.monotonic()
    client.serve()
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a new start")
    observed.expected = ["created more.safetensors"]
    cell.running.wait_for(lambda: cell.told(before), "what could not be written")
    observed.recovery_seconds = time.monotonic() - started
    cell.next_scans()
    finish(cell, observed, before)
    cell.end()
    yield observed


def clients() -> tuple[Client, ...]:
    """All clients that have scenes, each before its start."""
    return Nfs("3"), Nfs("4.2"), Smb(), Plan9(), Disk("vfat"), Disk("exfat")


CELLS: dict[str, Callable[[], Observations]] = {
    **{client.name: partial(mount_cell, client) for client in clients()},
    "clock": clock_cell,
    "vfat, hour": lambda: zone_cell("vfat"),
    "exfat, hour": lambda: zone_cell("exfat"),
    "autofs, direct": lambda: automount_cell(is_direct=True),
    "autofs, indirect": lambda: automount_cell(is_direct=False),
    "inner export": inner_export_cell,
    "output": output_cell,
    "NFS 4.2, short": lambda: mount_cell(Nfs("4.2"), EDITED, "server stopped"),
    "SMB, short": lambda: mount_cell(Smb(), "server killed"),
    "vfat, short": lambda: mount_cell(Disk("vfat"), EDITED, "another disk in its place"),
}
SHORT = ("NFS 4.2, short", "SMB, short", "vfat, short")
"""Cells of a few scenes, which one boot tries."""


def cell_of(name: str) -> Callable[[], Observations]:
    name, *scenes = name.split("=")
    if not scenes:
        return CELLS[name]
    client = next(client for client in clients() if client.name == name)
    return partial(mount_cell, client, *scenes)


def main(arguments: list[str]) -> None:
    report = Report(Path(arguments[0]))
    for name in arguments[1:]:
        try:
            for observed in cell_of(name)():
                observed.cell = name.partition("=")[0]
                report.add(observed)
        except Exception:
            report.add(Observed("", name, failed=traceback.format_exc(), cell=name))
            # Its mounts and processes are left as they are, and no other cell could trust them.
            return
        for folder in ("cell", "late", "bound"):
            remove(f"/guest/{folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
