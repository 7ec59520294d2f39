"""The program on the guest's mounts, while their servers stop, go, and come back.

    python -m tests.support.guest.cells REPORT CELL...

runs inside the guest, and adds to REPORT what it observed. Each cell waits for conditions, never
for a number of seconds, since the guest is slow.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scanner.core.serialize import native
from scanner.output.inventory_reader import read_entries, read_header
from tests.support.guest.clients import (
    DISK,
    POINT,
    Automounted,
    Client,
    Disk,
    Fault,
    Nfs,
    Plan9,
    Smb,
    do,
    mount_image,
    mounted,
    remove,
    set_clock,
)
from tests.support.machine import Machine, Running, wait_for, walked, write

FOLDERS, FILES = 4, 6
"""More files than a loss must have to be suspicious."""
OLD = 1_500_000_000
"""The mtime of all files, in 2017: FAT has none before 1980."""


@dataclass
class Observed:
    """One fault on one mount, and what the program did."""

    fault: str
    share: str
    states: list[str] = field(default_factory=list)
    states_allowed: list[str] = field(default_factory=list)
    reason: str = ""
    header: str = ""
    entries_before: int = 0
    entries_during: int = 0
    changes_during: list[str] = field(default_factory=list)
    changes_after: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """What `changes_after` must be."""
    exit_code: int | None = None
    """Of a one-shot scan meanwhile."""
    local_seconds: float = 0.0
    recovery_seconds: float = 0.0
    stop_seconds: float = 0.0
    """From SIGTERM, sent while the fault lasted, to the end of `run`."""
    start_seconds: float = 0.0
    """For comparison: what a start of Python with the program's modules takes in this guest."""
    stop_code: int | None = None
    is_same: bool = True
    """Whether the inventory was in the end what a walk found."""
    failed: str = ""


Observations = Iterator[Observed]


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


def start_seconds() -> float:
    """The seconds that a start of Python with the program's modules takes, once they are cached."""
    for _ in range(2):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import scanner.workers.process"], check=True)
    return time.monotonic() - started


class Cell:
    """The program on a mount and on a local folder."""

    def __init__(self, name: str, point: Path, start: float) -> None:
        self.name = name
        self.models = point / "models"
        self.start = start
        folder = Path("/guest/cell")
        self.local = folder / "local"
        # A worker that starts slowly is not one that hangs.
        self.stall_after = max(10.0, 8 * start)
        self.machine = Machine(
            folder / "machine",
            COMFY_INVENTORY_STALL_AFTER=f"{self.stall_after:.0f}s",
            COMFY_INVENTORY_BACKLOG_TIME="0",
        )
        write(self.local / "local.safetensors", "local")
        self.roots = ("--models", self.models, "--extra", self.local)
        self.running: Running
        self._runs = ExitStack()
        self._names = 0

    # The program

    def begin(self, every: str = "1s") -> None:
        """Start `run`."""
        self.running = self._runs.enter_context(
            self.machine.running("run", *self.roots, "--every", every)
        )

    def end(self) -> tuple[int, float]:
        """Send SIGTERM to `run`; its exit code, and the seconds that it took."""
        started = time.monotonic()
        self.running.process.send_signal(signal.SIGTERM)
        try:
            code = self.running.process.wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"60 s after SIGTERM it runs: {self.running.log()}") from None
        seconds = time.monotonic() - started
        self._runs.close()
        return code, seconds

    def scan(self, backlog_time: str = "0") -> int:
        """A one-shot scan; its exit code."""
        command = [sys.executable, "-m", "scanner", "scan", *map(str, self.roots)]
        command += ["--hold-wait", "0"]
        environ = {**self.machine.environ, "COMFY_INVENTORY_BACKLOG_TIME": backlog_time}
        # Not subprocess.run, which would wait for what cannot be killed.
        with Path("/guest/scan.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.machine.work, env=environ, stdout=log, stderr=log
            )
        code = process.wait(300)
        text = Path("/guest/scan.log").read_text()
        assert "Traceback" not in text, text
        return code

    def root(self) -> dict[str, Any]:
        roots = self.machine.status().get("roots", ())
        return next((root for root in roots if root["path"] == str(self.models)), {})

    def state(self) -> str:
        return str(self.root().get("state", ""))

    def lane_scan(self) -> int:
        for lane in self.machine.status().get("lanes", ()):
            if (
                any(root.endswith(f":{self.models}") for root in lane["roots"])
                and lane["last_scan"]
            ):
                return int(lane["last_scan"]["scan"])
        return 0

    def next_scans(self, count: int = 2) -> None:
        seen = {self.lane_scan()}

        def are_done() -> bool:
            seen.add(self.lane_scan())
            return len(seen) > count

        self.running.wait_for(are_done, f"{count} more scans of the mount")

    def entries(self) -> set[str]:
        header = read_header(self.machine.output)
        assert header is not None
        paths = (native(e, header.get("base")) for e in read_entries(self.machine.output))
        return {path for path in paths if path.startswith(str(self.models) + os.sep)}

    def header_state(self) -> str:
        header = read_header(self.machine.output)
        assert header is not None
        return next(str(r["state"]) for r in header["roots"] if r["path"] == str(self.models))

    def told(self, since: int) -> list[str]:
        """Changes below the root after scan `since`, as `kind path` or `moved from path`."""
        top = str(self.models) + os.sep
        found = []
        for line in self.machine.changes(since):
            path = str(self.machine.work / line["path"])
            if path.startswith(top):
                words = [line["kind"], path[len(top) :]]
                if "from" in line:
                    words.insert(1, str(self.machine.work / line["from"])[len(top) :])
                found.append(" ".join(words))
        return sorted(found)

    def explain(self, since: int, expected: list[str]) -> None:
        """Print the lines of the change list if they are others than expected."""
        if self.told(since) != expected:
            for line in self.machine.changes(since):
                print(line)
            for entry in read_entries(self.machine.output):
                if any(entry["path"] in told for told in self.told(since)):
                    print(entry)

    def local_change(self) -> float:
        """Make a file on the local disk; the seconds until it was reported."""
        self._names += 1
        name = f"meanwhile_{self._names}.safetensors"
        started = time.monotonic()
        write(self.local / name, name)
        self.running.wait_for(
            lambda: any(line["path"].endswith(name) for line in self.machine.changes()), name
        )
        return time.monotonic() - started

    def is_of_this_run(self) -> bool:
        """Whether the process that was started last has scanned all roots."""
        status = self.machine.status()
        lanes = status.get("lanes", ())
        if status.get("pid") != self.running.process.pid:
            return False
        return any(lane["last_scan"] for lane in lanes)

    def last_scan(self) -> int:
        header = read_header(self.machine.output)
        assert header is not None
        return int(header["scan"])

    def is_same(self) -> bool:
        """Whether the inventory holds what a walk finds now."""
        found = self.machine.inventory()
        top = str(self.models) + os.sep
        return {p: e for p, e in found.items() if p.startswith(top)} == walked(self.models)


def fill(top: Path, folders: int = FOLDERS) -> None:
    for folder in range(folders):
        for number in range(FILES):
            path = top / f"d{folder}" / f"m{number}.safetensors"
            write(path, f"{top.name} {folder} {number}" * 100)
            os.utime(path, (OLD + 2 * number, OLD + 2 * number))


# A mount, with all of its faults or some


def mount_cell(client: Client, *chosen: str) -> Observations:
    """Edits on the server, then the mount's faults one after the other: those `chosen`, or all."""
    start = start_seconds()
    client.start()
    cell = Cell(client.name, POINT, start)
    fill(cell.models)
    # Moves are proven by fingerprints: it ends when all are known.
    assert cell.scan(backlog_time="200s") == 0
    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a first scan of this run")
    cell.running.wait_for(lambda: cell.state() == "online", "the mount online")
    cell.running.wait_for(lambda: len(cell.entries()) == FOLDERS * (FILES + 1), "all entries")
    cell.next_scans()
    yield _edits(cell, client)
    for number, (name, fault) in enumerate(client.faults().items()):
        if name in chosen or not chosen:
            yield _fault(cell, client, name, fault, f"came_{number}.safetensors")
    cell.end()
    client.close()


def _edits(cell: Cell, client: Client) -> Observed:
    observed = Observed("changed on the server", cell.name, ["online"], ["online"])
    before = cell.machine.status()["scan"]
    observed.entries_before = len(cell.entries())
    started = time.monotonic()
    client.server.write("models/d0/new.safetensors", "new")
    client.server.write("models/d1/m0.safetensors", "longer than before" * 300)
    client.server.unlink("models/d2/m0.safetensors")
    client.server.rename("models/d3/m1.safetensors", "models/d0/renamed.safetensors")
    client.server.write("models/d9/deep/new.safetensors", "deep")
    observed.expected = [
        "created d0/new.safetensors",
        "created d9",
        "created d9/deep",
        "created d9/deep/new.safetensors",
        "deleted d2/m0.safetensors",
        "modified d1/m0.safetensors",
        "moved d3/m1.safetensors d0/renamed.safetensors",
    ]
    cell.running.wait_for(lambda: len(cell.told(before)) >= len(observed.expected), "all edits")
    observed.recovery_seconds = time.monotonic() - started
    cell.next_scans()
    observed.changes_after = cell.told(before)
    observed.header = cell.header_state()
    observed.entries_during = len(cell.entries())
    observed.is_same = cell.is_same()
    cell.explain(before, observed.expected)
    return observed


def _fault(cell: Cell, client: Client, name: str, fault: Fault, came: str) -> Observed:
    """It happens under `run`, which is stopped and started while it lasts; then it ends."""
    observed = Observed(name, cell.name, states_allowed=sorted(fault.states))
    before = cell.machine.status()["scan"]
    known = cell.entries()
    observed.entries_before = len(known)
    fault.happens()
    cell.running.wait_for(lambda: cell.state() in fault.states, f"one of {sorted(fault.states)}")
    observed.local_seconds = cell.local_change()
    cell.running.wait_for(lambda: cell.header_state() == cell.state(), "the header's state")
    observed.states = [cell.state()]
    observed.reason = str(cell.root().get("reason", "")).replace(str(POINT), "MOUNT")
    observed.header = cell.header_state()
    observed.start_seconds = cell.start
    observed.stop_code, observed.stop_seconds = cell.end()
    observed.exit_code = cell.scan()
    observed.entries_during = len(known & cell.entries())
    observed.changes_during = cell.told(before)

    cell.begin()
    cell.running.wait_for(cell.is_of_this_run, "a new start")
    if fault.keeps_server:
        client.server.write(f"models/d0/{came}", came)
    started = time.monotonic()
    fault.ends()
    cell.running.wait_for(lambda: cell.state() == "online", "that it recovers by itself")
    observed.recovery_seconds = time.monotonic() - started
    if not fault.keeps_server:
        client.server.write(f"models/d0/{came}", came)
    observed.expected = [f"created d0/{came}"]
    cell.running.wait_for(lambda: cell.told(before), "what came meanwhile")
    cell.next_scans()
    observed.changes_after = cell.told(before)
    observed.is_same = cell.is_same()
    cell.explain(before, observed.expected)
    return observed


# What only some mounts can do


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
    do("sysctl", "-q", "-w", "fs.nfs.nfs_mountpoint_timeout=5")
    cell = Cell("NFS 4.2", POINT, start)
    observed = Observed("export inside the export unmounted when idle", cell.name)
    observed.states_allowed = ["online"]
    cell.scan()
    cell.scan()
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
    observed = Observed("output on the mount, server stopped", cell.name, ["stalled"], ["stalled"])
    observed.start_seconds = start
    client.stop_serving()
    write(cell.local / "more.safetensors", "more")
    time.sleep(4 * start)  # until a write hangs: nothing here may look at the mount
    try:
        observed.stop_code, observed.stop_seconds = cell.end()
    except AssertionError as error:
        observed.failed = str(error)
    client.serve()
    yield observed


CELLS: dict[str, Callable[[], Observations]] = {
    "NFS 3": lambda: mount_cell(Nfs("3")),
    "NFS 4.2": lambda: mount_cell(Nfs("4.2")),
    "SMB": lambda: mount_cell(Smb()),
    "9p": lambda: mount_cell(Plan9()),
    "vfat": lambda: mount_cell(Disk("vfat")),
    "exfat": lambda: mount_cell(Disk("exfat")),
    "clock": clock_cell,
    "vfat, hour": lambda: zone_cell("vfat"),
    "exfat, hour": lambda: zone_cell("exfat"),
    "autofs, direct": lambda: automount_cell(is_direct=True),
    "autofs, indirect": lambda: automount_cell(is_direct=False),
    "inner export": inner_export_cell,
    "output": output_cell,
    "NFS 4.2, short": lambda: mount_cell(Nfs("4.2"), "server stopped"),
    "SMB, short": lambda: mount_cell(Smb(), "server killed"),
    "vfat, short": lambda: mount_cell(Disk("vfat"), "unmounted"),
}


def main(arguments: list[str]) -> None:
    report = Report(Path(arguments[0]))
    for name in arguments[1:]:
        try:
            for observed in CELLS[name]():
                report.add(observed)
        except Exception:
            report.add(Observed("", name, failed=traceback.format_exc()))
            # Its mounts and processes are left as they are, and no other cell could trust them.
            return
        remove("/guest/cell")


if __name__ == "__main__":
    main(sys.argv[1:])
