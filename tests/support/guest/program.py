"""The program in the guest, on a mount and on a local folder, and what is observed of it."""

from __future__ import annotations

import copy
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanner.core.serialize import native
from scanner.output.inventory_reader import read_entries, read_header
from tests.support.machine import Machine, Running, walked, write

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
    stop_code_expected: int = 0
    is_same: bool = True
    """Whether the inventory was in the end what a walk found."""
    failed: str = ""
    cell: str = ""
    """The cell that it belongs to."""


Observations = Iterator[Observed]


def start_seconds(times: int = 2) -> float:
    """The seconds that a start of Python with the program's modules takes: the last one of some,
    since the first one is not cached."""
    for _ in range(times):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", "import scanner.workers.process"], check=True)
    return time.monotonic() - started


def parent_of(pid: int | None) -> int | None:
    """The process that started `pid`; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])


class Cell:
    """The program on a mount and on a local folder.

    What is asked about entries, changes and states is asked about the root `models`.
    """

    def __init__(self, name: str, point: Path, start: float, kept_in: str = "cell") -> None:
        self.name = name
        self.models = point / "models"
        self.start = start
        folder = Path("/guest") / kept_in
        self.local = folder / "local"
        self.linked = folder / "linked"
        # A call that the busy processor delays is not one that hangs.
        self.stall_after = max(6.0, 3 * start)
        self.machine = Machine(
            folder / "machine",
            COMFY_INVENTORY_STALL_AFTER=f"{self.stall_after:.0f}s",
            # A killed worker may still be ending when the program does.
            PYTHONWARNINGS="error,ignore:subprocess:ResourceWarning",
        )
        write(self.local / "local.safetensors", "local")
        self.roots: tuple[str | Path, ...] = ("--models", self.models, "--extra", self.local)
        self.running: Running
        self._runs = ExitStack()
        self._names = 0

    def at(self, root: Path) -> Cell:
        """The same program, to be asked about another root of it."""
        other = copy.copy(self)
        other.models = root
        return other

    def follow_link(self, folder: Path) -> None:
        """Add a root that is a link to `folder`."""
        self.linked.symlink_to(folder)
        self.roots = (*self.roots, "--extra", self.linked)

    def lose_state(self) -> None:
        found = list(self.machine.output.parent.glob("*.state.sqlite*"))
        assert found
        for path in found:
            path.unlink()

    # The program

    def begin(self, every: str = "1s") -> None:
        """Start `run`."""
        self.running = self._runs.enter_context(
            self.machine.running("run", *self.roots, "--every", every)
        )

    def end(self) -> tuple[int, float]:
        """Send SIGTERM to `run`; its exit code, and the seconds that it took. It may have ended."""
        started = time.monotonic()
        self.running.process.send_signal(signal.SIGTERM)
        try:
            code = self.running.process.wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"60 s after SIGTERM it runs: {self.running.log()}") from None
        seconds = time.monotonic() - started
        self._runs.close()
        return code, seconds

    def rests(self) -> None:
        """Wait until nothing is left to be read: moves are proven by fingerprints."""
        self.running.wait_for(self.is_of_this_run, "a first scan of this run")
        self.running.wait_for(lambda: self.state() == "online", "the mount online")
        self.next_scans()
        self.running.wait_for(
            lambda: not self.machine.status()["backlog"]["files"], "all fingerprints"
        )
        self.next_scans()

    def stop(self, *rows: Observed) -> None:
        """End `run`, and note how it ended and how slow the guest is just then."""
        code, seconds = self.end()
        start = max(self.start, start_seconds(1))
        for observed in rows:
            observed.stop_code, observed.stop_seconds = code, seconds
            observed.start_seconds = start

    def scan(self) -> int:
        """A one-shot scan; its exit code. It leaves fingerprints to others."""
        command = [sys.executable, "-m", "scanner", "scan", *map(str, self.roots)]
        command += ["--hold-wait", "0"]
        environ = {**self.machine.environ, "COMFY_INVENTORY_BACKLOG_TIME": "0"}
        # Not subprocess.run, which would wait for what cannot be killed.
        with Path("/guest/scan.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.machine.work, env=environ, stdout=log, stderr=log
            )
        code = process.wait(300)
        text = Path("/guest/scan.log").read_text()
        assert "Traceback" not in text, text
        return code

    def accept(self) -> None:
        """Run the command that the status names for the root."""
        commands = [
            item["command"]
            for item in self.machine.status()["accept"]
            if item["id"].endswith(f":{self.models}")
        ]
        assert len(commands) == 1, self.machine.status()["accept"]
        program, *words = shlex.split(commands[0])
        assert program == "comfy-inventory"
        done = subprocess.run(
            [sys.executable, "-m", "scanner", *words],
            cwd=self.machine.work,
            env=self.machine.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

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
            names = {word for line in self.told(since) for word in line.split()[1:]}
            for entry in read_entries(self.machine.output):
                if str(entry["path"]).endswith(tuple(names)):
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
        own = self.running.process.pid
        if (pid := status.get("pid")) != own and own != parent_of(pid):
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
